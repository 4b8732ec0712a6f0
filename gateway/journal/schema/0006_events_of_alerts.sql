-- What happened to an alert is asked for by its id, and there may be millions of events.
ALTER TABLE events ADD COLUMN alert TEXT;  -- the id of the alert that it is about, if it is about one
UPDATE events SET alert = coalesce(json_extract(data, '$.alertId'), json_extract(data, '$.id'))
WHERE (type LIKE 'Alert%' OR type LIKE 'Notification%') AND json_valid(data);
CREATE INDEX events_alert ON events (alert) WHERE alert IS NOT NULL;
