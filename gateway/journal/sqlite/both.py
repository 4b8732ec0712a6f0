"""What the writer asks of the readings, whether they are sealed or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.domain.engine.event_log import BODY
from gateway.journal.sealed.blocks import Blocks


class Both:
    """The readings of a journal that is open for writing; for the journal's thread."""

    def __init__(self, db: sqlite3.Connection, sql: Mapping[str, str]) -> None:
        self.blocks = Blocks(db, sql)
        self._db, self._sql = db, sql

    def _all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.execute(self._sql[query], values).fetchall()

    def body(self, event_us: int, sensor: int, event_id: str) -> bytes | None:
        """Return the body of the reading with this key, or None."""
        if rows := self._all("find_reading", event_us, sensor, event_id):
            return bytes(rows[0][0])
        row = self.blocks.with_key(event_us, sensor, event_id)
        return None if row is None else row[BODY]

    def count_same_time(self, event_us: int, sensor: int) -> int:
        """Return how many readings of a sensor have the same time."""
        found: int = self._all("count_same_time", event_us, sensor)[0][0]
        return found + self.blocks.count_same_time(event_us, sensor)

    def recent(self, until: int, count: int) -> Iterator[tuple[Any, ...]]:
        """Yield sensor, event time, time of receipt, flags and id of so many readings up to a sequence number."""
        rows = self._all("recent", until, count)
        for row in reversed(self.blocks.newest(until, count - len(rows))):
            _, event_us, sensor, event_id, _, received, _, _, flags, _ = row
            yield sensor, event_us, received, flags, event_id
        yield from rows

    def newest_times(self, count: int) -> list[tuple[int, int, int]]:
        """Return the time that counts, that of receipt, and the flags of so many of the newest readings."""
        rows = self._all("newest_times", count)
        sealed = self.blocks.newest(2**63 - 1, count - len(rows))
        return [*rows, *((row[4], row[5], row[8]) for row in sealed)]
