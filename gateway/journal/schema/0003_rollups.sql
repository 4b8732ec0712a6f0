-- Rollups: what is left of a sensor's levels when the readings have gone. One row for each span of time in which there
-- was a reading; `time` is its beginning, in seconds. The key keeps a sensor's rows together: a year is read in one go.

CREATE TABLE rollups_10s (
    sensor INTEGER NOT NULL REFERENCES sensors (key),
    time   INTEGER NOT NULL,
    low    REAL NOT NULL,
    mean   REAL NOT NULL,
    high   REAL NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (sensor, time)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollups_1m (
    sensor INTEGER NOT NULL REFERENCES sensors (key),
    time   INTEGER NOT NULL,
    low    REAL NOT NULL,
    mean   REAL NOT NULL,
    high   REAL NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (sensor, time)
) STRICT, WITHOUT ROWID;

CREATE TABLE rollups_1h (
    sensor INTEGER NOT NULL REFERENCES sensors (key),
    time   INTEGER NOT NULL,
    low    REAL NOT NULL,
    mean   REAL NOT NULL,
    high   REAL NOT NULL,
    count  INTEGER NOT NULL,
    PRIMARY KEY (sensor, time)
) STRICT, WITHOUT ROWID;

-- What happened to one sensor or one alert, and what followed from one event, without a walk through all events.
CREATE INDEX events_subject ON events (subject, seq);
CREATE INDEX events_causation ON events (causation_id);
CREATE INDEX alerts_sensor ON alerts (sensor_id, opened);
