-- A reading may have no level: a temperature, say, is stored and judged by itself. SQLite documents this way to take a
-- constraint away (lang_altertable.html, "Making Other Kinds Of Table Schema Changes"): no row is written, where a copy of
-- the table would take as much room again.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'level    REAL NOT NULL,', 'level    REAL,                     -- NULL where it measured something else')
WHERE type = 'table' AND name = 'readings';
PRAGMA writable_schema = RESET;
