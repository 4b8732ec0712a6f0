"""Where the sealed blocks of a journal are, in memory: some 80 bytes for each, read once and then only what is new."""

from __future__ import annotations

import sqlite3
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate

_COLUMNS = (
    "seqs", "numbers", "lasts", "counts", "event_lows", "event_highs", "time_lows", "time_highs", "newest", "replaced",
)  # fmt: skip
_NOWHERE = -(2**63)


class Index:
    """The table `sealed_index`, as columns in the order of the sequence. Call `refresh` before each question."""

    def __init__(self, db: sqlite3.Connection, sql: Mapping[str, str]) -> None:
        self._db, self._sql = db, sql
        self._state: tuple[int | None, int | None, str | None] = (None, None, None)
        for name in (*_COLUMNS, "_event_reach", "_event_floor", "_time_reach", "_time_floor"):
            setattr(self, name, array("q"))

    def refresh(self) -> None:
        """Take in what has been sealed, and leave out what has gone."""
        state = self._db.execute(self._sql["sealed_state"]).fetchone()
        if state == self._state:
            return
        newest, oldest, changed = self._state
        if state[2] != changed or oldest is None or state[1] != oldest or state[0] is None or state[0] < newest:
            self._read(_NOWHERE)
        else:
            self._read(self.seqs[-1])
        self._state = state

    def _read(self, after: int) -> None:
        if after == _NOWHERE:
            for name in _COLUMNS:
                setattr(self, name, array("q"))
        rows = self._db.execute(self._sql["sealed_index"], (after,)).fetchall()
        for name, values in zip(_COLUMNS, zip(*rows, strict=True), strict=False):  # nothing, where there are no rows
            getattr(self, name).extend(values)
        # What no block before, or after, goes beyond: time nearly follows the sequence, so few blocks are left between.
        self._event_reach = array("q", accumulate(self.event_highs, max))
        self._event_floor = array("q", accumulate(reversed(self.event_lows), min))[::-1]
        self._time_reach = array("q", accumulate(self.time_highs, max))
        self._time_floor = array("q", accumulate(reversed(self.time_lows), min))[::-1]

    seqs: array[int]
    numbers: array[int]
    lasts: array[int]
    counts: array[int]
    event_lows: array[int]
    event_highs: array[int]
    time_lows: array[int]
    time_highs: array[int]
    newest: array[int]
    replaced: array[int]
    _event_reach: array[int]
    _event_floor: array[int]
    _time_reach: array[int]
    _time_floor: array[int]

    @property
    def changed(self) -> tuple[int | None, str | None]:
        """What is another value as soon as a block that was there has gone or been written anew."""
        return self._state[1], self._state[2]

    def __len__(self) -> int:
        return len(self.seqs)

    @property
    def last(self) -> int:
        """The last sequence number that is sealed; 0 if none is."""
        return self.lasts[-1] if self.lasts else 0

    @property
    def next_number(self) -> int:
        """The number of the next block."""
        return self.numbers[-1] + 1 if self.numbers else 0

    def after(self, seq: int, until: int) -> range:
        """Return the blocks with anything in after < seq <= until."""
        return range(bisect_right(self.lasts, seq), bisect_right(self.seqs, until))

    def at(self, seq: int) -> int | None:
        """Return the block that a sequence number lies in, or None."""
        found = bisect_left(self.lasts, seq)
        return found if found < len(self) and self.seqs[found] <= seq else None

    def by_number(self, number: int) -> int | None:
        """Return the block with a number, or None if it has gone."""
        found = bisect_left(self.numbers, number)
        return found if found < len(self) and self.numbers[found] == number else None

    def measured(self, since_us: int, until_us: int) -> Iterator[int]:
        """Yield the blocks that may hold something of since <= event time <= until, the newest first."""
        start = bisect_left(self._event_reach, since_us)
        for place in range(bisect_right(self._event_floor, until_us) - 1, start - 1, -1):
            if self.event_highs[place] >= since_us and self.event_lows[place] <= until_us:
                yield place

    def counting(self, since_ns: int, until_ns: int) -> Iterator[int]:
        """Yield the blocks that may hold something of since <= time that counts <= until, the newest first."""
        start = bisect_left(self._time_reach, since_ns)
        for place in range(bisect_right(self._time_floor, until_ns) - 1, start - 1, -1):
            if self.time_highs[place] >= since_ns and self.time_lows[place] <= until_ns:
                yield place
