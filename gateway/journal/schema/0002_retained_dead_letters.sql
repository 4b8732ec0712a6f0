-- A retained message is the broker's memory of an earlier one: taken again, it must not be judged either.
ALTER TABLE dead_letters ADD COLUMN retained INTEGER NOT NULL DEFAULT 0;
