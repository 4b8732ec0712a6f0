-- A sensor's id is its name, which no other has. Where several places use one id, this is what the sensor publishes.
ALTER TABLE sensors ADD COLUMN published TEXT;  -- NULL where it is the name
