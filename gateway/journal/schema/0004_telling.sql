-- Who is told what, and why somebody is not. A message may tell of several changes, and one that has not gone yet may be
-- withdrawn; what the planner remembers and the silences that people add are kept with it.

CREATE TABLE outbox_new (
    id           TEXT PRIMARY KEY,     -- the notification's: the same at every attempt
    handler      TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'sent', 'uncertain', 'failed', 'withdrawn')),
    created      INTEGER NOT NULL,
    due          INTEGER NOT NULL,     -- of one that is sent: when
    attempts     INTEGER NOT NULL,
    cause        TEXT NOT NULL,        -- id of the first fact it tells of
    correlation  TEXT NOT NULL,
    said         TEXT NOT NULL,        -- by the other side, last
    notification TEXT NOT NULL,        -- JSON
    route        TEXT NOT NULL DEFAULT '',
    kind         TEXT NOT NULL DEFAULT '',
    alert        TEXT                  -- the one alert it tells of; NULL where there are several or none
) STRICT, WITHOUT ROWID;

INSERT INTO outbox_new
SELECT id, handler, state, created, due, attempts, cause, correlation, said, notification, '',
       json_extract(notification, '$.kind'), json_extract(notification, '$.alertId')
FROM outbox;

DROP TABLE outbox;
ALTER TABLE outbox_new RENAME TO outbox;

CREATE INDEX outbox_open ON outbox (handler, due) WHERE state IN ('pending', 'sending', 'uncertain');
CREATE INDEX outbox_sent ON outbox (handler, due) WHERE state = 'sent';
CREATE INDEX outbox_alert ON outbox (alert) WHERE state = 'pending';

CREATE TABLE told (
    change  TEXT NOT NULL,             -- id of a fact about the alert
    outbox  TEXT NOT NULL,             -- the message that tells of it
    alert   TEXT NOT NULL,
    PRIMARY KEY (change, outbox)
) STRICT, WITHOUT ROWID;

INSERT INTO told SELECT cause, id, alert FROM outbox WHERE alert IS NOT NULL;

CREATE INDEX told_alert ON told (alert);
CREATE INDEX told_outbox ON told (outbox);

CREATE TRIGGER outbox_trimmed AFTER DELETE ON outbox BEGIN
    DELETE FROM told WHERE outbox = OLD.id;
END;

CREATE TABLE planner (
    kind   TEXT NOT NULL,
    key    TEXT NOT NULL,
    record TEXT NOT NULL,              -- JSON
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE silences (
    id      TEXT PRIMARY KEY,
    ends    INTEGER NOT NULL,          -- as it was, or as somebody has ended it
    silence TEXT NOT NULL              -- JSON
) STRICT, WITHOUT ROWID;

CREATE INDEX silences_ends ON silences (ends);
