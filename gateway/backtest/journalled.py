"""A journal as history: its readings, and what people and time did, in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Protocol

from gateway.backtest.passing import HAPPENS
from gateway.backtest.recorded import Recorded
from gateway.domain.engine.event_log import EventRecord, LogSlice, StoredReading
from gateway.domain.model.assets import MACHINE_STATE
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.reading import Flag
from gateway.domain.model.timefmt import microseconds

_STEP = 5_000


class Source(Protocol):
    """A journal that is read."""

    def last_seq(self) -> int:
        """Return the highest sequence number there is."""

    def step(self, after: int, limit: int) -> LogSlice:
        """Return what follows `after`, at most `limit` readings and facts."""


def read_journal(
    source: Source, since_ns: int | None = None, until_ns: int | None = None
) -> Iterator[Recorded | DomainEvent]:
    """Yield what was measured or happened in since <= time < until; rows count the readings, from 0.

    The operating state that a machine was in at the beginning is part of it.
    """
    last, seq, row = source.last_seq(), 0, 0
    while seq < last:
        step = source.step(seq, _STEP)
        seq = step.until
        happened = [entry for entry in step.entries if entry.fact.type in HAPPENS]
        both: list[StoredReading | EventRecord] = [*step.readings, *happened]
        for each in sorted(both, key=attrgetter("seq")):
            time_ns = each.fact.time_ns if isinstance(each, EventRecord) else each.time_ns
            if until_ns is not None and time_ns >= until_ns:
                continue
            early = since_ns is not None and time_ns < since_ns
            if isinstance(each, EventRecord):
                if not early or each.fact.type == MACHINE_STATE:
                    yield each.fact
            elif not early:
                yield _recorded(each, row)
                row += 1


def _recorded(reading: StoredReading, row: int) -> Recorded:
    event = reading.event()
    event.event_id = reading.event_id
    retained = bool(reading.flags & Flag.RETAINED)
    time_us, name = microseconds(event.timestamp), reading.sensor_id
    return Recorded(row, event, time_us, reading.received_ns, reading.tags, retained, name)
