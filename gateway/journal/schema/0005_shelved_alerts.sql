-- Alerts that have cleared and are still shelved: what is raised in their place is shelved too. There are few.
ALTER TABLE alerts ADD COLUMN shelved INTEGER;  -- until when
CREATE INDEX alerts_shelved ON alerts (id) WHERE shelved IS NOT NULL;
