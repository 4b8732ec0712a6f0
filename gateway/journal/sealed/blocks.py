"""What the sealed blocks of a journal hold, for one connection. A damaged block is named in the log and left out.

All sealed readings come before those that are not, so who looks at these first and then here misses none that is sealed
in between.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from heapq import heappop, heappush
from sys import maxsize

import structlog

from gateway.domain.engine.event_log import ReadingRow
from gateway.domain.model.reading import Flag
from gateway.journal.sealed.block import Block, DamagedBlockError, id_hash
from gateway.journal.sealed.finding import SEGMENT, blocks_in, bucket_of, hashes_in
from gateway.journal.sealed.index import Index

log = structlog.get_logger(__name__)

CHANGED = "sealed_changed"
"""The note that says how often blocks that were there have been written anew."""

NEXT = "sealed_next"
"""The note of the number of the next block: none is given twice."""

_KEPT = 3
"""Blocks that stay decoded: some 2 MB each."""
_REPLACED = int(Flag.CLOCK_REPLACED)

Found = tuple[Block, int]
"""A reading, by its block and its place in it."""


class Blocks:
    """Reads the blocks; for one thread at a time. `enough`, asked between two blocks, ends what takes too long."""

    def __init__(self, db: sqlite3.Connection, sql: Mapping[str, str]) -> None:
        self._db, self._sql = db, sql
        self._index = Index(db, sql)
        self._kept: OrderedDict[int, Block] = OrderedDict()
        self._damaged: set[int] = set()
        self._changed = self._index.changed
        self.enough: Callable[[], bool] = lambda: False

    @property
    def index(self) -> Index:
        """Where the blocks are, now."""
        self._index.refresh()
        if self._index.changed != self._changed:
            self._changed = self._index.changed
            self._kept.clear()
        return self._index

    @property
    def last(self) -> int:
        """The last sequence number that is sealed; 0 if none is."""
        return self.index.last

    def block(self, place: int) -> Block | None:
        """Return a block by its place in the index; None if it has gone meanwhile, or is damaged."""
        if self.enough():
            raise sqlite3.OperationalError("interrupted")
        seq = self._index.seqs[place]
        if seq in self._kept:
            self._kept.move_to_end(seq)
            return self._kept[seq]
        parts = self._db.execute(self._sql["sealed_block"], (seq,)).fetchone()
        if parts is None:
            return None
        try:
            block = Block(parts)
        except DamagedBlockError as error:
            self._name(place, error)
            return None
        self._kept[seq] = block
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return block

    def _name(self, place: int, error: DamagedBlockError) -> None:
        """Say once which readings cannot be read."""
        seq = self._index.seqs[place]
        self._kept.pop(seq, None)
        if seq in self._damaged:
            return
        self._damaged.add(seq)
        log.error(
            "a sealed block of the journal is damaged: its readings cannot be read, all others can",
            first=seq, last=self._index.lasts[place], readings=self._index.counts[place], error=str(error),
        )  # fmt: skip

    def _in(self, places: range | Iterator[int]) -> Iterator[tuple[int, Block]]:
        for place in places:
            if (block := self.block(place)) is not None:
                yield place, block

    def searched(
        self, places: range | Iterator[int], look: Callable[[Block], list[int]], *, whole: bool = True
    ) -> Iterator[Found]:
        """Yield what is found in blocks, at the places within each that `look` gives; `whole` readings are wanted."""
        for place, block in self._in(places):
            try:
                found = look(block)
                if found and whole:
                    block.row(found[0])  # so that one whose bodies or ids are damaged is noticed here
            except DamagedBlockError as error:
                self._name(place, error)
                continue
            for index in found:
                yield block, index

    def rows(self, after: int, until: int = maxsize, limit: int = -1) -> Iterator[ReadingRow]:
        """Yield the readings with after < seq <= until, in their order; the first ones, if there is a limit."""
        for block, index in self.searched(
            self.index.after(after, until),
            lambda each: [place for place, seq in enumerate(each.seqs) if after < seq <= until],
        ):
            if limit == 0:
                return
            limit -= 1
            yield block.row(index)

    def newest(self, until: int, limit: int) -> list[ReadingRow]:
        """Return the newest readings up to a sequence number, the newest first."""
        found: list[ReadingRow] = []
        if limit <= 0:
            return found
        places = self.index.after(-1, until)
        for block, index in self.searched(
            iter(places[::-1]),
            lambda each: [place for place in range(each.head.count - 1, -1, -1) if each.seqs[place] <= until],
        ):
            if len(found) == limit:
                break
            found.append(block.row(index))
        return found

    def reading(self, seq: int) -> ReadingRow | None:
        """Return the reading with a sequence number, or None."""
        return next(self.rows(seq - 1, seq), None)

    def with_key(self, event_us: int, sensor: int, event_id: str) -> ReadingRow | None:
        """Return the reading of a sensor with an event time and an id, or None."""
        for block, index in self._of_time(event_us, sensor):
            if block.ids[index] == event_id:
                return block.row(index)
        return None

    def count_same_time(self, event_us: int, sensor: int) -> int:
        """Return how many readings of a sensor have the same event time."""
        return sum(1 for _ in self._of_time(event_us, sensor))

    def _of_time(self, event_us: int, sensor: int) -> Iterator[Found]:
        def look(block: Block) -> list[int]:
            if sensor not in block.head.sensors or event_us not in block.events:
                return []
            pairs = enumerate(zip(block.events, block.sensors, strict=True))
            return [place for place, pair in pairs if pair == (event_us, sensor)]

        return self.searched(self.index.measured(event_us, event_us), look)

    def replaced(self, time_ns: int, sensor: int, event_id: str | None = None) -> ReadingRow | None:
        """Return the reading of a sensor whose clock was replaced that counts at a time, or None."""

        def look(block: Block) -> list[int]:
            if not block.head.replaced or sensor not in block.head.sensors or time_ns not in block.times:
                return []
            triples = enumerate(zip(block.times, block.sensors, block.flags, strict=True))
            return [
                place
                for place, (time, key, flags) in triples
                if time == time_ns and key == sensor and flags & _REPLACED
            ]

        for block, index in self.searched(self.index.counting(time_ns, time_ns), look):
            if event_id is None or block.ids[index] == event_id:
                return block.row(index)
        return None

    def newest_known(self, sensor: int, event_us: int | None, replaced_ns: int) -> ReadingRow | None:
        """Return a sensor's reading with one of two times, the one that counts latest; None if there is neither."""
        same = () if event_us is None else self._of_time(event_us, sensor)
        found = [block.row(index) for block, index in same]
        if (row := self.replaced(replaced_ns, sensor)) is not None:
            found.append(row)
        return max(found, key=lambda row: row[4], default=None)

    def with_id(self, event_id: str) -> ReadingRow | None:
        """Return the reading with an id that has the latest event time, or None."""
        index = self.index
        places = [place for number in self._numbers(event_id) if (place := index.by_number(number)) is not None]
        found = self.searched(
            iter(places), lambda block: [place for place, each in enumerate(block.ids) if each == event_id]
        )
        return max((block.row(place) for block, place in found), key=lambda row: row[1], default=None)

    def _numbers(self, event_id: str) -> Iterator[int]:
        """Yield the numbers of the blocks where an id may be; those of damaged entries all."""
        hashed = id_hash(event_id)
        for segment, entries in self._db.execute(self._sql["sealed_entries"], (bucket_of(hashed),)).fetchall():
            places = blocks_in(entries, hashed)
            yield from (segment * SEGMENT + place for place in (range(SEGMENT) if places is None else places))
        for number, packed in self._db.execute(self._sql["sealed_hashes"], (0, maxsize)):
            hashes = hashes_in(packed)
            if hashes is None or hashed in hashes:
                yield number

    def hashes(self, number: int) -> list[int]:
        """Return 32 bits of each id in the block with a number; none of one that has gone."""
        place = self.index.by_number(number)
        found = () if place is None else self.searched(iter([place]), lambda block: [*range(block.head.count)])
        return [id_hash(block.ids[at]) for block, at in found]

    def ids_that_begin(self, text: str) -> set[str]:
        """Return the ids that begin with a text. It looks at the ids of every block."""
        found = set[str]()
        for place, block in self._in(range(len(self.index))):
            try:
                found |= block.ids_that_begin(text)
            except DamagedBlockError as error:
                self._name(place, error)
            if len(found) > 1:
                found = set(sorted(found)[:2])
        return found

    def newest_first(self, sensor: int | None, since_ns: int, until_ns: int) -> Iterator[tuple[int, int]]:
        """Yield (time, seq) of the readings, of a sensor or of all, with since <= time < until, the latest first."""
        index = self.index
        blocks = [(index.time_highs[place], index.seqs[place]) for place in index.counting(since_ns, until_ns - 1)]
        ready: list[tuple[int, int]] = []
        for latest, seq in sorted(blocks, reverse=True):
            while ready and -ready[0][0] > latest:
                time, number = heappop(ready)
                yield -time, -number
            place = self.index.at(seq)  # anew: others ask, and blocks go, while this is under way
            if place is not None and self._index.seqs[place] == seq:
                for block, found in self.searched(
                    iter([place]), lambda each: _wanted(each, sensor, since_ns, until_ns), whole=False
                ):
                    heappush(ready, (-block.times[found], -block.seqs[found]))
        while ready:
            time, number = heappop(ready)
            yield -time, -number

    def measured(self, sensor: int, window_us: tuple[int, int], most: int) -> list[int]:
        """Return the sequence numbers of a sensor's readings whose event time is within a window, both ends included.

        Blocks of `most` readings are looked at, the newest, and no more.
        """
        found: list[int] = []
        for place in self.index.measured(*window_us):
            if most <= 0:
                break
            most -= self._index.counts[place]
            found += [
                block.seqs[each]
                for block, each in self.searched(
                    iter([place]), lambda block: _measured(block, sensor, window_us), whole=False
                )
            ]
        return found

    def replaced_between(self, sensor: int, since_ns: int, until_ns: int, most: int) -> list[int]:
        """Return the sequence numbers of a sensor's readings whose clock was replaced, with since <= time < until.

        Blocks with `most` of them are looked at, the newest, and no more.
        """
        found: list[int] = []
        for place in self.index.counting(since_ns, until_ns - 1):
            if most <= 0:
                break
            if self._index.replaced[place]:
                most -= self._index.replaced[place]
                found += [
                    block.seqs[each]
                    for block, each in self.searched(
                        iter([place]), lambda block: _wanted(block, sensor, since_ns, until_ns), whole=False
                    )
                    if block.flags[each] & _REPLACED
                ]
        return found

    def level(self, seq: int) -> tuple[int, float | None, float | None] | None:
        """Return (time, level, baseline) of the reading with a sequence number, or None."""
        places = self.index.after(seq - 1, seq)
        found = self.searched(places, lambda each: [each.seqs.index(seq)] if seq in each.seqs else [], whole=False)
        return next(((each.times[at], each.levels[at], each.baselines[at]) for each, at in found), None)

    def count(self, sensor: int | None, since_ns: int, until_ns: int) -> int:
        """Return the number of readings, of a sensor or of all, with since <= time < until."""
        index = self.index
        places = list(index.counting(since_ns, until_ns - 1))
        whole = [
            place
            for place in places
            if sensor is None and index.time_lows[place] >= since_ns and index.time_highs[place] < until_ns
        ]
        rest = sorted(set(places) - set(whole))
        found = self.searched(iter(rest), lambda block: _wanted(block, sensor, since_ns, until_ns), whole=False)
        return sum(index.counts[place] for place in whole) + sum(1 for _ in found)

    def bounds(self, since_ns: int, until_ns: int) -> tuple[int, int] | None:
        """Return a first and a last sequence number between which all with since <= time < until lie; None if none."""
        index = self.index
        places = list(index.counting(since_ns, until_ns - 1))
        return (index.seqs[min(places)], index.lasts[max(places)]) if places else None

    def first_received(self, since_ns: int) -> int | None:
        """Return the first sequence number received from a time on, or None."""
        index = self.index
        places = (place for place in range(len(index)) if index.newest[place] >= since_ns)
        found = self.searched(
            places, lambda block: [place for place, each in enumerate(block.received) if each >= since_ns]
        )
        return next((block.seqs[place] for block, place in found), None)


def _wanted(block: Block, sensor: int | None, since_ns: int, until_ns: int) -> list[int]:
    """Return the places of the readings, of a sensor or of all, with since <= time < until."""
    if sensor is not None and sensor not in block.head.sensors:
        return []
    times = block.times
    found = [place for place, time in enumerate(times) if since_ns <= time < until_ns]
    if sensor is not None:
        sensors = block.sensors
        found = [place for place in found if sensors[place] == sensor]
    return found


def _measured(block: Block, sensor: int, window_us: tuple[int, int]) -> list[int]:
    if sensor not in block.head.sensors:
        return []
    since_us, until_us = window_us
    pairs = enumerate(zip(block.events, block.sensors, strict=True))
    return [place for place, (event, key) in pairs if key == sensor and since_us <= event <= until_us]
