-- Alerts that have cleared and are still shelved: what is raised in their place is shelved too. There are few.
CREATE INDEX alerts_shelved ON alerts (id) WHERE state = 'cleared' AND json_extract(alert, '$.shelvedUntilNs') IS NOT NULL;
