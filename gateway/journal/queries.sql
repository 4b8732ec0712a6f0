-- Every statement of the journal, by name. `:columns:` are those of a reading, `:marks:` a question mark for each.

-- name: insert_sensor
INSERT INTO sensors (key, id, tags, unit, location, first_seen, published) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET id = excluded.id, tags = excluded.tags, unit = excluded.unit,
    location = excluded.location, published = excluded.published;

-- name: rename_alerts
UPDATE alerts SET sensor_id = ?2, alert = json_set(alert, '$.sensorId', ?2, '$.publishedId', ?3)
WHERE sensor_id = ?1 AND json_extract(alert, '$.kind') IN ('machine', 'sensor');

-- name: rename_events
-- A machine, or a part of the gateway, may be called as the sensor was: only what is about the sensor is changed.
UPDATE events SET subject = ?2, data = CASE WHEN type LIKE 'Alert%'
    THEN json_set(data, '$.sensorId', ?2, '$.publishedId', ?3) ELSE json_replace(data, '$.sensorId', ?2) END
WHERE subject = ?1 AND (
    (json_extract(data, '$.sensorId') = ?1
        AND (type NOT LIKE 'Alert%' OR json_extract(data, '$.kind') IN ('machine', 'sensor')))
    OR (type IN ('TimePassed', 'RegimeChanged') AND alert IS NULL)
    OR alert IN (SELECT id FROM alerts WHERE sensor_id = ?2)
);

-- name: insert_reading
INSERT INTO readings (:columns:) VALUES (:marks:);

-- name: insert_event
INSERT INTO events (seq, id, type, time, recorded, subject, correlation_id, causation_id, data, alert)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_dead_letter
INSERT INTO dead_letters (seq, received, topic, reason, detail, element, packet_id, digest, payload, retained)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: upsert_alert
INSERT INTO alerts (id, sensor_id, state, opened, alert, shelved) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, alert = excluded.alert, shelved = excluded.shelved;

-- name: upsert_detector
INSERT INTO detector (sensor, state) VALUES (?, ?) ON CONFLICT (sensor) DO UPDATE SET state = excluded.state;

-- name: upsert_note
INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: delete_note
DELETE FROM notes WHERE name = ?;

-- name: send_back
UPDATE cursors SET seq = min(seq, ?2) WHERE consumer = ?1;

-- name: before
-- The last row of the journal before all that were received from a time on.
SELECT min(seq) - 1 FROM (
    SELECT min(seq) AS seq FROM readings WHERE received >= ?1
    UNION ALL SELECT min(seq) FROM events WHERE recorded >= ?1
);

-- name: upsert_cursor
-- A cursor never goes back: who is stopped between a commit and the news of it saves an older place afterwards.
INSERT INTO cursors (consumer, seq) VALUES (?, ?) ON CONFLICT (consumer) DO UPDATE SET seq = max(seq, excluded.seq);

-- name: insert_outbox
INSERT INTO outbox (
    id, handler, state, created, due, attempts, cause, correlation, said, notification, route, kind, alert
)
VALUES (?, ?, 'pending', ?, ?, 0, ?, ?, '', ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING;

-- name: insert_told
INSERT INTO told (change, outbox, alert) VALUES (?, ?, ?) ON CONFLICT DO NOTHING;

-- name: due_outbox
SELECT id, handler, attempts + 1, created, cause, correlation, notification, route, state = 'uncertain' FROM outbox
WHERE handler = ? AND due <= ? AND state IN ('pending', 'uncertain') ORDER BY due LIMIT 1;

-- name: take_outbox
UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = ?;

-- name: settle_outbox
UPDATE outbox SET state = ?, due = ?, said = ? WHERE id = ?;

-- name: interrupted_outbox
UPDATE outbox SET state = 'uncertain' WHERE state = 'sending';

-- name: orphaned_outbox
UPDATE outbox SET state = 'failed', said = ?
WHERE state NOT IN ('sent', 'failed', 'withdrawn') AND handler NOT IN (SELECT value FROM json_each(?))
RETURNING id, handler, attempts, created, cause, correlation, notification, route;

-- name: withdraw_outbox
UPDATE outbox SET state = 'withdrawn', said = ?
WHERE alert = ? AND state = 'pending' AND kind IN (SELECT value FROM json_each(?))
RETURNING cause, kind, route, handler;

-- name: waiting_outbox
SELECT id, handler, attempts, created, cause, correlation, notification, route FROM outbox
WHERE handler = ? AND due <= ? AND state = 'pending' ORDER BY due LIMIT 5000;

-- name: merge_outbox
UPDATE outbox SET state = 'withdrawn', said = ? WHERE id = ?;

-- name: merge_told
UPDATE OR REPLACE told SET outbox = ? WHERE outbox = ?;

-- name: copy_told
INSERT INTO told (change, outbox, alert) SELECT change, ?, alert FROM told WHERE outbox = ? ON CONFLICT DO NOTHING;

-- name: nth_sent_outbox
SELECT due FROM outbox WHERE handler = ? AND state = 'sent' ORDER BY due DESC LIMIT 1 OFFSET ?;

-- name: hurry_outbox
UPDATE outbox SET due = ? WHERE handler = ? AND state IN ('pending', 'uncertain') AND due > ?;

-- name: next_outbox
SELECT min(due) FROM outbox WHERE handler = ? AND state IN ('pending', 'uncertain');

-- name: outbox_of_change
SELECT handler, state, attempts, said FROM told JOIN outbox ON outbox.id = told.outbox
WHERE change = ? ORDER BY handler, created;

-- name: told_of_alert
SELECT DISTINCT change, handler, state, attempts, said, created FROM told JOIN outbox ON outbox.id = told.outbox
WHERE told.alert = ? ORDER BY handler, created;

-- name: messages_of_alert
SELECT DISTINCT outbox.id, handler, route, kind, state, attempts, said, created,
       coalesce(json_extract(notification, '$.count'), 1),
       (SELECT key + 1 FROM json_each(notification, '$.grouped') WHERE json_extract(value, '$.alertId') = told.alert)
FROM told JOIN outbox ON outbox.id = told.outbox WHERE told.alert = ? ORDER BY created, handler;

-- name: upsert_planner
INSERT INTO planner (kind, key, record) VALUES (?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET record = excluded.record;

-- name: delete_planner
DELETE FROM planner WHERE kind = ? AND key = ?;

-- name: planner
SELECT kind, key, record FROM planner;

-- name: upsert_silence
INSERT INTO silences (id, ends, silence) VALUES (?, ?, ?)
ON CONFLICT (id) DO UPDATE SET ends = excluded.ends, silence = excluded.silence;

-- name: silences
SELECT ends, silence FROM silences WHERE ends > ? ORDER BY ends, id;

-- name: trim_silences
DELETE FROM silences WHERE id IN (SELECT id FROM silences WHERE ends < ?3 AND ?1 >= 0 LIMIT ?2);

-- name: count_outbox
SELECT handler, state, count(*) FROM outbox GROUP BY handler, state ORDER BY handler, state;

-- name: find_reading
SELECT body FROM readings WHERE event_us = ? AND sensor = ? AND event_id = ?;

-- name: count_same_time
SELECT count(*) FROM (SELECT 1 FROM readings WHERE event_us = ? AND sensor = ? LIMIT 1000);

-- name: find_dead_letter
SELECT 1 FROM dead_letters WHERE digest = ? AND packet_id = ? LIMIT 1;

-- name: last_seq
-- Where the newest rows have been trimmed, the cursors and the snapshot still know how far the sequence had come.
SELECT max(
    coalesce((SELECT max(seq) FROM readings), 0),
    coalesce((SELECT max(last) FROM sealed_index), 0),
    coalesce((SELECT max(seq) FROM events), 0),
    coalesce((SELECT max(seq) FROM dead_letters), 0),
    coalesce((SELECT max(seq) FROM cursors), 0),
    coalesce((SELECT max(CAST(value AS INTEGER)) FROM notes WHERE name IN ('snapshot_seq', 'newest_seq')), 0)
);

-- name: sensors
SELECT key, id, tags, unit, location, first_seen, published FROM sensors ORDER BY key;

-- name: sensors_with_id
SELECT id, tags, published FROM sensors WHERE id IN (?1, ?2) OR published IN (?1, ?2) ORDER BY key;

-- name: names
SELECT key, id, tags FROM sensors WHERE key > ? ORDER BY key;

-- name: sensors_with_states
SELECT key, id, tags, unit, location, first_seen, state, published
FROM sensors LEFT JOIN detector ON detector.sensor = key ORDER BY key;

-- name: detectors
SELECT sensor, state FROM detector WHERE sensor > ? AND sensor <= ?;

-- name: note
SELECT value FROM notes WHERE name = ?;

-- name: cursor
SELECT seq FROM cursors WHERE consumer = ?;

-- name: open_alerts
SELECT alert FROM alerts WHERE state <> 'cleared' ORDER BY opened;

-- name: shelved_alerts
SELECT alert FROM alerts WHERE state = 'cleared' AND shelved IS NOT NULL;

-- name: alerts
SELECT alert FROM alerts
WHERE ?1 IS NULL OR (opened, id) < (SELECT opened, id FROM alerts WHERE id = ?1)
ORDER BY opened DESC, id DESC LIMIT ?2;

-- name: worst_alerts
SELECT alert FROM (
    SELECT alert, opened FROM alerts WHERE state <> 'cleared'
    ORDER BY json_extract(alert, '$.severity') <> 'critical', opened DESC LIMIT ?
) ORDER BY opened;

-- name: count_open_alerts
SELECT json_extract(alert, '$.severity'), count(*) FROM alerts WHERE state <> 'cleared' GROUP BY 1;

-- name: alert
SELECT alert FROM alerts WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2;

-- name: replay
SELECT sensor, event_us, received, flags, event_id, body FROM (
    SELECT seq, sensor, event_us, received, flags, event_id, body FROM readings WHERE seq > ?1
    UNION ALL
    SELECT seq, 0, 0, time, -1, type, CAST(data AS BLOB) FROM events
    WHERE seq > ?1
    AND type IN ('TimePassed', 'MachineStateChanged', 'SensorStatusChanged', 'BaselineSet', 'BaselineRelearn',
                 'SensorForgotten', 'EventIdsBeganAgain')
) ORDER BY seq;

-- name: newest_times
SELECT time, received, flags FROM readings ORDER BY seq DESC LIMIT ?;

-- name: recent
SELECT sensor, event_us, received, flags, event_id FROM (
    SELECT * FROM readings WHERE seq <= ? ORDER BY seq DESC LIMIT ?
) ORDER BY seq;

-- name: last_of_slice
SELECT max(seq) FROM (SELECT seq FROM readings WHERE seq > ? ORDER BY seq LIMIT ?);

-- name: delete_readings
DELETE FROM readings WHERE seq > ? AND seq <= ? AND sensor IN (SELECT value FROM json_each(?));

-- name: delete_rollups_10s
DELETE FROM rollups_10s WHERE sensor IN (SELECT value FROM json_each(?));

-- name: delete_rollups_1m
DELETE FROM rollups_1m WHERE sensor IN (SELECT value FROM json_each(?));

-- name: delete_rollups_1h
DELETE FROM rollups_1h WHERE sensor IN (SELECT value FROM json_each(?));

-- name: delete_detector
DELETE FROM detector WHERE sensor IN (SELECT value FROM json_each(?));

-- name: delete_waveforms
DELETE FROM waveforms WHERE sensor IN (SELECT value FROM json_each(?));

-- name: delete_sensors
DELETE FROM sensors WHERE key IN (SELECT value FROM json_each(?));

-- name: drop_letters
DELETE FROM dead_letters WHERE seq IN (SELECT seq FROM dead_letters ORDER BY seq LIMIT ?) RETURNING length(payload);

-- name: weigh_letters
SELECT count(*), coalesce(sum(size), 0), coalesce(max(seq), 0)
FROM (SELECT seq, length(payload) AS size FROM dead_letters WHERE seq > ? ORDER BY seq LIMIT ?);

-- name: delete_dead_letter
DELETE FROM dead_letters WHERE seq = ?;

-- name: readings_after
SELECT :columns: FROM readings
WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?;

-- name: events_after
SELECT seq, id, type, time, recorded, subject, correlation_id, causation_id, data FROM events
WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?;

-- name: events_of_subject
SELECT seq, id, type, time, recorded, subject, correlation_id, causation_id, data FROM events
WHERE alert = ? ORDER BY seq;

-- name: alert_changes
SELECT seq, id, type, time, recorded, subject, correlation_id, causation_id, data FROM events
WHERE alert IS NOT NULL AND type LIKE 'Alert%' AND (?1 IS NULL OR subject = ?1) ORDER BY seq DESC LIMIT ?2;

-- name: count_readings
SELECT (SELECT count(*) FROM readings) + (SELECT coalesce(sum(count), 0) FROM sealed_index);

-- name: count_dead_letters
SELECT count(*) FROM dead_letters;

-- name: dead_letters_by_reason
SELECT reason, count(*) FROM dead_letters GROUP BY reason ORDER BY reason;

-- name: dead_letters
SELECT seq, received, topic, reason, detail, element, length(payload) FROM dead_letters
WHERE (?1 IS NULL OR reason = ?1) AND (?3 IS NULL OR instr(topic, ?3)) ORDER BY seq DESC LIMIT ?2;

-- name: newest_dead_letters
-- Of a row only what comes before the payload is read, and of a long topic the beginning.
SELECT seq, received, substr(topic, 1, 256), reason, substr(detail, 1, 512) FROM dead_letters
ORDER BY seq DESC LIMIT ?;

-- name: dead_letter_begins
SELECT substr(payload, 1, ?2), length(payload) FROM dead_letters WHERE seq = ?1;

-- name: dead_messages
SELECT topic, payload, received FROM dead_letters
WHERE seq IN (SELECT value FROM json_each(?)) AND length(payload) <= ? ORDER BY seq;

-- name: dead_letter
SELECT seq, received, topic, reason, detail, element, payload FROM dead_letters WHERE seq = ?;

-- name: newest_since
SELECT :columns: FROM readings
WHERE seq IN (
    SELECT max(seq) FROM readings WHERE seq > ? AND sensor > ? AND sensor <= ? AND NOT flags & 5 GROUP BY sensor
);

-- name: newest_known
SELECT :columns: FROM readings
WHERE sensor = ?1 AND event_us = ?2
UNION ALL
SELECT :columns: FROM readings
WHERE sensor = ?1 AND time = ?3 AND flags & 2
ORDER BY time DESC LIMIT 1;

-- name: trim_readings
-- What a box without a battery received in 1970 is as old as it says itself. Rows from when its clock was ahead do not
-- hold up the others: ten slices are looked at for one that goes, but never the whole table.
DELETE FROM readings WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, max(received, time) AS newest FROM readings WHERE seq <= ?1 ORDER BY seq LIMIT 10 * ?2
    ) WHERE newest < ?3 LIMIT ?2
);

-- name: trim_events
DELETE FROM events WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, max(recorded, time) AS newest FROM events WHERE seq <= ?1 ORDER BY seq LIMIT 10 * ?2
    ) WHERE newest < ?3 LIMIT ?2
);

-- name: trim_dead_letters
DELETE FROM dead_letters WHERE seq IN (
    SELECT seq FROM (SELECT seq, received FROM dead_letters WHERE seq <= ?1 ORDER BY seq LIMIT 10 * ?2)
    WHERE received < ?3 LIMIT ?2
);

-- name: trim_outbox
DELETE FROM outbox WHERE id IN (
    SELECT id FROM outbox WHERE state IN ('sent', 'failed', 'withdrawn') AND created < ?3 AND ?1 >= 0 LIMIT ?2
);

-- name: trim_alerts
DELETE FROM alerts WHERE id IN (
    SELECT id FROM alerts WHERE state = 'cleared' AND opened < ?3 AND ?1 >= 0 LIMIT ?2
);

-- name: dead_letter_messages
SELECT seq, topic, payload, received, retained FROM dead_letters
WHERE seq > ? AND seq < ? AND reason NOT IN ('consumer_refused', 'influxdb_refused') ORDER BY seq LIMIT ?;

-- name: dead_letter_messages_with_numbers
SELECT seq, topic, payload, received, retained FROM dead_letters
WHERE seq IN (SELECT value FROM json_each(?)) AND seq > ? AND seq < ? AND reason NOT IN ('consumer_refused', 'influxdb_refused')
ORDER BY seq LIMIT ?;

-- name: refused_rows
SELECT seq, topic, element, length(payload) FROM dead_letters
WHERE reason = 'consumer_refused' AND (?1 = '[]' OR seq IN (SELECT value FROM json_each(?1))) AND seq > ?2 AND seq < ?3
ORDER BY seq LIMIT ?4;

-- name: summaries
-- The mean is kept between the extremes: the sum of very large levels is beyond every number.
SELECT sensor, time / 1000000000 / ?3 * ?3, min(level), max(min(avg(level), max(level)), min(level)), max(level),
    count(*)
FROM readings WHERE seq > ?1 AND seq <= ?2 AND level IS NOT NULL GROUP BY 1, 2;

-- name: add_rollup
-- A sensor may have been purged since its readings were summed up.
INSERT INTO ROLLUPS (sensor, time, low, mean, high, count)
SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM sensors WHERE key = ?1)
ON CONFLICT (sensor, time) DO UPDATE SET
    low = min(low, excluded.low),
    mean = max(min(mean + (excluded.mean - mean) * excluded.count / (count + excluded.count),
        max(high, excluded.high)), min(low, excluded.low)),
    high = max(high, excluded.high),
    count = count + excluded.count;

-- name: levels
-- What the rollups do not have yet comes from the readings themselves.
SELECT time / ?5 * ?5, min(low), max(min(sum(mean * count) / sum(count), max(high)), min(low)), max(high), sum(count)
FROM (
    SELECT time, low, mean, high, count FROM ROLLUPS WHERE sensor = ?1 AND time >= ?2 AND time < ?3
    UNION ALL
    SELECT time / 1000000000, level, level, level, 1 FROM readings
    WHERE seq > ?4 AND sensor = ?1 AND time >= ?2 * 1000000000 AND time < ?3 * 1000000000 AND level IS NOT NULL
) GROUP BY 1 ORDER BY 1 LIMIT ?6;

-- name: trim_rollups
DELETE FROM ROLLUPS WHERE sensor = ?1 AND time < min(?2, ?3 + (SELECT min(time) FROM ROLLUPS WHERE sensor = ?1));

-- name: alerts_of_sensor
SELECT alert FROM alerts WHERE sensor_id = ?1 AND opened < ?2 ORDER BY opened DESC LIMIT ?3;

-- name: ids_that_begin
SELECT id FROM events WHERE id >= ?1 AND id < ?1 || char(1114111)
UNION SELECT id FROM outbox WHERE id >= ?1 AND id < ?1 || char(1114111) ORDER BY 1 LIMIT 2;

-- name: readings_that_begin
SELECT DISTINCT event_id FROM readings INDEXED BY readings_key
WHERE event_id >= ?1 AND event_id < ?1 || char(1114111) ORDER BY 1 LIMIT 2;

-- name: reading_with_id
-- No index is kept for ids, which come in no order: this walks along the index in event time, the newest first.
SELECT event_us, sensor FROM readings INDEXED BY readings_key WHERE event_id = ? ORDER BY event_us DESC LIMIT 1;

-- name: reading_with_key
SELECT :columns: FROM readings
WHERE event_us = ? AND sensor = ? AND event_id = ?;

-- name: reading
SELECT :columns: FROM readings WHERE seq = ?;

-- name: replaced_reading
-- One that counts at the time of receipt, by that.
SELECT :columns: FROM readings INDEXED BY readings_replaced
WHERE flags & 2 AND time = ? AND sensor = ? AND event_id = ?;

-- name: events_with_id
SELECT seq, id, type, time, recorded, subject, correlation_id, causation_id, data FROM events WHERE id = ?;

-- name: events_caused_by
SELECT seq, id, type, time, recorded, subject, correlation_id, causation_id, data FROM events
WHERE causation_id = ? ORDER BY seq LIMIT ?;

-- name: cause_of_notification
SELECT cause FROM outbox WHERE id = ?;

-- name: dead_letters_that_mention
SELECT seq, received, topic, reason, detail, payload FROM dead_letters
WHERE instr(payload, CAST(?1 AS BLOB)) ORDER BY seq DESC LIMIT ?2;

-- name: trend_candidates
-- Only entries of indexes are looked at, and a bounded number of them: a sensor among very many is not searched for
-- through the whole span (?1 to ?2 in us, ?5 to ?6 in ns). Readings whose clock was replaced are found by the time that counts for them.
SELECT seq FROM (SELECT seq, sensor FROM readings WHERE event_us BETWEEN ?1 AND ?2 ORDER BY event_us DESC LIMIT ?3)
WHERE sensor = ?4
UNION
SELECT seq FROM (SELECT seq, sensor FROM readings WHERE flags & 2 AND time BETWEEN ?5 AND ?6 ORDER BY time DESC LIMIT ?7)
WHERE sensor = ?4
ORDER BY 1;

-- name: trend_readings
SELECT time, level, baseline FROM readings
WHERE seq IN (SELECT value FROM json_each(?)) AND time >= ? AND time < ? AND level IS NOT NULL ORDER BY time;

-- name: reading_bounds
-- Along the two indexes in time: the first and the last entry that may belong to a span.
SELECT min(seq), max(seq) FROM (
    SELECT seq FROM readings INDEXED BY readings_key WHERE event_us >= ?1 / 1000 - 2000 AND event_us <= ?2 / 1000
    UNION ALL
    SELECT seq FROM readings INDEXED BY readings_replaced WHERE flags & 2 AND time >= ?1 AND time < ?2
);

-- name: insert_original
INSERT INTO originals (seq, last, received, input, topic, packet_id, digest, payload) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: original_of
SELECT received, input, topic, substr(payload, 1, ?2), length(payload) FROM (
    SELECT * FROM originals WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1
) WHERE last >= ?1;

-- name: waveform_of
SELECT received, topic, about, length(samples) / 4 FROM waveforms WHERE event_id = ?;

-- name: newest_messages
SELECT packet_id, digest FROM (
    SELECT received, packet_id, digest FROM (SELECT * FROM originals ORDER BY seq DESC LIMIT ?1)
    UNION ALL SELECT received, packet_id, digest FROM (SELECT * FROM waveforms ORDER BY seq DESC LIMIT ?1)
) ORDER BY received DESC LIMIT ?1;

-- name: trim_originals
DELETE FROM originals WHERE seq IN (
    SELECT seq FROM (SELECT seq, received FROM originals WHERE last <= ?1 ORDER BY seq LIMIT 10 * ?2)
    WHERE received < ?3 LIMIT ?2
);

-- name: trim_originals_without_readings
DELETE FROM originals WHERE seq IN (
    SELECT seq FROM originals
    WHERE last < coalesce((SELECT min(seq) FROM sealed_index), (SELECT min(seq) FROM readings), ?1) AND ?3 >= 0
    ORDER BY seq LIMIT ?2
);

-- name: insert_waveform
INSERT INTO waveforms (event_id, sensor, time_us, received, topic, packet_id, digest, about, samples)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (event_id) DO NOTHING;

-- name: waveforms_to_measure
SELECT seq, topic, received, about, samples FROM waveforms WHERE measured = 0 ORDER BY seq LIMIT ?;

-- name: waveform_measured
UPDATE waveforms SET measured = 1 WHERE seq = ?;

-- name: trim_waveforms
DELETE FROM waveforms WHERE measured AND seq IN (
    SELECT seq FROM (SELECT seq, sum(length(samples)) OVER (ORDER BY seq DESC) AS size FROM waveforms) WHERE size > ?
);

-- name: upsert_memory
INSERT INTO input_memory (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: delete_memory
DELETE FROM input_memory WHERE key = ?;

-- name: input_memory
SELECT key, value FROM input_memory;

-- name: to_seal
SELECT :columns: FROM readings WHERE seq <= ? ORDER BY seq LIMIT ?;

-- name: insert_sealed
INSERT INTO sealed (seq, head, ids, numbers, bodies) VALUES (?, ?, ?, ?, ?);

-- name: insert_sealed_index
INSERT INTO sealed_index (
    seq, number, last, count, event_low, event_high, time_low, time_high, newest, replaced, bytes
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_sealed_hashes
INSERT OR REPLACE INTO sealed_hashes (number, hashes) VALUES (?, ?);

-- name: insert_sealed_ids
INSERT OR REPLACE INTO sealed_ids (bucket, segment, entries) VALUES (?, ?, ?);

-- name: count_between
SELECT count(*) FROM readings WHERE seq >= ? AND seq <= ?;

-- name: delete_between
DELETE FROM readings WHERE seq >= ? AND seq <= ?;

-- name: delete_sealed
DELETE FROM sealed WHERE seq = ?;

-- name: delete_sealed_index
DELETE FROM sealed_index WHERE seq = ?;

-- name: delete_sealed_hashes
DELETE FROM sealed_hashes WHERE number >= ? AND number < ?;

-- name: delete_sealed_ids
DELETE FROM sealed_ids WHERE segment = ?;

-- name: sealed_state
-- What tells whether blocks were sealed, have gone, or were written anew since it was last looked.
SELECT (SELECT max(seq) FROM sealed_index), (SELECT min(seq) FROM sealed_index),
    (SELECT value FROM notes WHERE name = 'sealed_changed');

-- name: sealed_index
SELECT seq, number, last, count, event_low, event_high, time_low, time_high, newest, replaced FROM sealed_index
WHERE seq > ? ORDER BY seq;

-- name: sealed_block
SELECT head, ids, numbers, bodies FROM sealed WHERE seq = ?;

-- name: sealed_hashes
SELECT number, hashes FROM sealed_hashes WHERE number >= ? AND number < ? ORDER BY number;

-- name: sealed_entries
SELECT segment, entries FROM sealed_ids WHERE bucket = ? ORDER BY segment DESC;

-- name: sealed_segments
SELECT segment FROM sealed_ids WHERE bucket = 0;

-- name: sealed_segment
SELECT bucket, entries FROM sealed_ids WHERE segment = ?;

-- name: sealed_figures
SELECT count(*), coalesce(sum(count), 0), coalesce(sum(bytes), 0) FROM sealed_index;
