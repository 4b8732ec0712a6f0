-- What the inputs make readings of. A message as it came: the readings from seq to last follow from it.
CREATE TABLE originals (
    seq       INTEGER PRIMARY KEY,
    last      INTEGER NOT NULL,
    received  INTEGER NOT NULL,
    input     TEXT NOT NULL,           -- the name of the input that read it
    topic     TEXT NOT NULL,
    packet_id INTEGER NOT NULL,
    digest    BLOB NOT NULL,           -- of topic and payload: a redelivered one is known by it
    payload   BLOB NOT NULL
) STRICT;

-- Blocks of samples; each becomes a reading when its features have been computed.
CREATE TABLE waveforms (
    seq       INTEGER PRIMARY KEY,
    event_id  TEXT NOT NULL UNIQUE,
    sensor    TEXT NOT NULL,
    time_us   INTEGER NOT NULL,
    received  INTEGER NOT NULL,
    topic     TEXT NOT NULL,
    packet_id INTEGER NOT NULL,
    digest    BLOB NOT NULL,           -- as above
    about     BLOB NOT NULL,           -- JSON: everything but the samples
    samples   BLOB NOT NULL,           -- 32-bit floats, little-endian, in the canonical unit
    measured  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX waveforms_to_measure ON waveforms (seq) WHERE measured = 0;

-- What earlier messages said that is needed to read later ones: they have been acknowledged and do not come again.
CREATE TABLE input_memory (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
