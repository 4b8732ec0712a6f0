"""The newest rows of the journal, still in memory: who keeps up need not read back what was just written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.engine.event_log import SENSOR, EventRecord, LogSlice, ReadingRow, StoredReading, stored_reading
from gateway.domain.engine.unit_of_work import UnitOfWork

MAX_BYTES = 6 * 1024 * 1024
"""What is kept at most: a tenth of a second at the highest rate, and more at any other."""

ROW_BYTES = 500
"""What a row takes up beside its body."""

LONGEST_NS = 1_000_000_000
"""Who looks less often than once a second reads the file."""

_JSON = msgspec.json.Encoder()

Names = Callable[[int], tuple[str, dict[str, str]] | None]
"""Number of a sensor -> its id and where it is, or None if that is not known here."""


class _Chunk(Struct):
    """What one transaction wrote: the sequence numbers `first` to `last`. `readings` are made when somebody asks.

    `facts` are beside their data as JSON: everybody is given data of his own, as from the file.
    """

    first: int
    last: int
    recorded_ns: int
    size: int
    rows: list[ReadingRow]
    facts: list[tuple[EventRecord, bytes]]
    readings: list[StoredReading] | None = None


class Tail:
    """The last transactions without a gap between them. It gives exactly what the file would."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._chunks: deque[_Chunk] = deque()
        self._size = 0

    def add(self, batch: UnitOfWork) -> None:
        """Take in what has been written; a gap before it, as another transaction leaves, ends what was kept so far.

        No move of a sensor is kept: who comes past it reads the file, and with that where every sensor is.
        """
        if batch.first_seq == batch.next_seq:
            return
        if batch.is_move or (self._chunks and batch.first_seq != self._chunks[-1].last + 1):
            self.clear()
        if batch.is_move:
            return
        size = batch.size + ROW_BYTES * (len(batch.readings) + len(batch.facts))
        facts = [(EventRecord(seq, fact, batch.recorded_ns), _JSON.encode(fact.data)) for seq, fact in batch.facts]
        last = batch.next_seq - 1
        self._chunks.append(_Chunk(batch.first_seq, last, batch.recorded_ns, size, batch.readings, facts))
        self._size += size
        while self._size > MAX_BYTES or batch.recorded_ns - self._chunks[0].recorded_ns > LONGEST_NS:
            self._size -= self._chunks.popleft().size
            if not self._chunks:
                return

    def clear(self) -> None:
        """Keep nothing."""
        self._chunks.clear()
        self._size = 0

    def step(self, after: int, limit: int, *, readings: bool) -> LogSlice | None:
        """Return what follows `after` as `Reader.step` does; None if it is not here."""
        if not self._chunks or not self._chunks[0].first <= after + 1 <= self._chunks[-1].last:
            return None
        found: list[StoredReading] = []
        entries: list[EventRecord] = []
        until = after
        for chunk in self._chunks:
            if chunk.last <= after:
                continue
            made = self._readings(chunk) if readings else []
            if made is None:
                return None
            new = made if chunk.first > after else [each for each in made if each.seq > after]
            room = limit - len(found)
            end = chunk.last if len(new) <= room else new[room - 1].seq if room else until
            facts = [_as_read(entry, data) for entry, data in chunk.facts if after < entry.seq <= end]
            if len(entries) + len(facts) > limit:
                break
            found += new[:room]
            entries += facts
            until = end
            if end < chunk.last:
                break
        return LogSlice(found, entries, until) if until > after else None

    def _readings(self, chunk: _Chunk) -> list[StoredReading] | None:
        if chunk.readings is None:
            sensors = {row[SENSOR] for row in chunk.rows}
            names = {key: name for key in sensors if (name := self._names(key)) is not None}
            if len(names) < len(sensors):
                return None
            chunk.readings = [stored_reading(row, *names[row[SENSOR]]) for row in chunk.rows]
        return chunk.readings


def _as_read(entry: EventRecord, data: bytes) -> EventRecord:
    """Return a fact as it comes out of the file, with lists for tuples and words for enums."""
    return replace(entry, fact=replace(entry.fact, data=msgspec.json.decode(data)))
