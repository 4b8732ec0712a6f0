"""Readings and facts in the order of the journal, page by page: a year does not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.journal.queries.reader import Reader

_PAGE = 5000


class Wanted(Struct, frozen=True):
    """What is to be exported: of one sensor (or subject), of one type of fact, with since <= time < until in ns."""

    sensor: str | None = None
    type: str | None = None
    since_ns: int | None = None
    until_ns: int | None = None

    def holds(self, subject: str, time_ns: int) -> bool:
        """Tell whether something of this sensor and time is wanted."""
        return (
            self.sensor in {None, subject}
            and (self.since_ns is None or time_ns >= self.since_ns)
            and (self.until_ns is None or time_ns < self.until_ns)
        )


def readings(reader: Reader, wanted: Wanted) -> Iterator[tuple[int, list[StoredReading]]]:
    """Yield (how far the search has come in the journal, readings) until there are no more."""
    first, last = reader.reading_bounds(wanted.since_ns, wanted.until_ns)
    after = first - 1
    while after < last:
        page = reader.readings_after(after, last, _PAGE)
        after = page[-1].seq if page else last
        yield after, [item for item in page if wanted.holds(item.sensor_id, item.time_ns)]


def facts(reader: Reader, wanted: Wanted) -> Iterator[tuple[int, list[EventRecord]]]:
    """Yield (how far the search has come in the journal, facts) until there are no more."""
    after, last = 0, reader.last_seq()
    while after < last:
        step = reader.step(after, _PAGE, readings=False)
        after = step.until
        of_type = [item for item in step.entries if wanted.type in {None, item.fact.type}]
        yield after, [item for item in of_type if wanted.holds(item.fact.subject, item.fact.time_ns)]
