-- Readings that nobody waits for any more, some thousand to a row, by columns: `gateway/journal/sealed/block.py` says how.
-- All of them come before those in `readings`.
CREATE TABLE sealed (
    seq     INTEGER PRIMARY KEY,       -- of its first reading
    head    BLOB NOT NULL,             -- what the table sealed_index is made of, for one that is damaged
    ids     BLOB NOT NULL,
    numbers BLOB NOT NULL,
    bodies  BLOB NOT NULL
) STRICT;

-- Where to look, in small rows.
CREATE TABLE sealed_index (
    seq        INTEGER PRIMARY KEY,
    number     INTEGER NOT NULL,       -- of the block: one more than the last one's
    last       INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    event_low  INTEGER NOT NULL,
    event_high INTEGER NOT NULL,
    time_low   INTEGER NOT NULL,
    time_high  INTEGER NOT NULL,
    newest     INTEGER NOT NULL,       -- the latest of all times of receipt, and of all that count
    replaced   INTEGER NOT NULL,       -- readings whose clock was replaced
    bytes      INTEGER NOT NULL
) STRICT;

-- Of the ids of each reading 32 bits: in which block it may be. First those of a block, in the order of its readings; of
-- 64 blocks those of equal beginning are then put beside each other, so that one id is looked for in one place.
CREATE TABLE sealed_hashes (
    number INTEGER PRIMARY KEY,
    hashes BLOB NOT NULL
) STRICT;

CREATE TABLE sealed_ids (
    bucket  INTEGER NOT NULL,
    segment INTEGER NOT NULL,
    entries BLOB NOT NULL,             -- a checksum; 16 more bits of each; the block of each within the segment
    PRIMARY KEY (bucket, segment)
) STRICT, WITHOUT ROWID;
