-- The journal: the event store and the event stream. Readings, facts and dead letters share one sequence (seq),
-- so that a consumer with one number knows what it has seen. Times ending in _us are microseconds, all others
-- nanoseconds, since 1970-01-01T00:00:00Z.

CREATE TABLE sensors (
    key        INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    tags       TEXT NOT NULL,          -- JSON: what the topic captured
    unit       TEXT NOT NULL,
    location   TEXT NOT NULL,
    first_seen INTEGER NOT NULL
) STRICT;

CREATE TABLE readings (
    seq      INTEGER PRIMARY KEY,
    event_us INTEGER NOT NULL,         -- the time as the sensor gave it
    sensor   INTEGER NOT NULL REFERENCES sensors (key),
    event_id TEXT NOT NULL,
    time     INTEGER NOT NULL,         -- the time that counts: the sensor's, made unique, or the receive time
    received INTEGER NOT NULL,
    level    REAL NOT NULL,
    baseline REAL,                     -- what it was compared with, if there was anything
    flags    INTEGER NOT NULL,
    body     BLOB NOT NULL             -- the event as it was published
) STRICT;

-- The lasting key against duplicates. It grows at its right edge, because time does: its cost per row stays flat,
-- where an index on random ids would grow with the table.
CREATE UNIQUE INDEX readings_key ON readings (event_us, sensor, event_id);
CREATE INDEX readings_replaced ON readings (time) WHERE flags & 2;

CREATE TABLE events (
    seq            INTEGER PRIMARY KEY,
    id             TEXT NOT NULL,
    type           TEXT NOT NULL,
    time           INTEGER NOT NULL,
    recorded       INTEGER NOT NULL,
    subject        TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    causation_id   TEXT NOT NULL,
    data           TEXT NOT NULL       -- JSON
) STRICT;

CREATE INDEX events_id ON events (id);

CREATE TABLE dead_letters (
    seq       INTEGER PRIMARY KEY,
    received  INTEGER NOT NULL,
    topic     TEXT NOT NULL,
    reason    TEXT NOT NULL,
    detail    TEXT NOT NULL,
    element   INTEGER,                 -- position in the array it came in
    packet_id INTEGER NOT NULL,
    digest    BLOB NOT NULL,           -- of topic, element and payload: a redelivered one is known by it
    payload   BLOB NOT NULL
) STRICT;

CREATE INDEX dead_letters_digest ON dead_letters (digest, packet_id);

CREATE TABLE alerts (
    id         TEXT PRIMARY KEY,
    sensor_id  TEXT NOT NULL,
    state      TEXT NOT NULL,
    opened     INTEGER NOT NULL,
    alert      TEXT NOT NULL           -- JSON: the whole alert
) STRICT, WITHOUT ROWID;

CREATE INDEX alerts_open ON alerts (sensor_id) WHERE state <> 'cleared';
CREATE INDEX alerts_opened ON alerts (opened);

CREATE TABLE outbox (
    id           TEXT PRIMARY KEY,     -- the notification's: the same at every attempt
    handler      TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'sent', 'uncertain', 'failed')),
    created      INTEGER NOT NULL,
    due          INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    cause        TEXT NOT NULL,        -- id of the fact it tells of
    correlation  TEXT NOT NULL,
    said         TEXT NOT NULL,        -- by the other side, last
    notification TEXT NOT NULL         -- JSON
) STRICT, WITHOUT ROWID;

CREATE INDEX outbox_open ON outbox (handler, due) WHERE state IN ('pending', 'sending', 'uncertain');

CREATE TABLE cursors (
    consumer TEXT PRIMARY KEY,
    seq      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Detector state, as it was after the reading or fact that `notes.snapshot_seq` names; later readings are replayed.
CREATE TABLE detector (
    sensor INTEGER PRIMARY KEY REFERENCES sensors (key),
    state  BLOB NOT NULL
) STRICT;

CREATE TABLE notes (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
