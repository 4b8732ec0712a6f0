"""A journal in memory, as followers and the notifier see it: a list of facts, cursors, and an outbox."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from gateway.domain.engine.event_log import EventRecord, LogSlice, StoredReading
from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.model import Withdrawal, Withheld, fact_of
from gateway.domain.notification.outbox import OutboxItem, OutboxState, Planning
from gateway.domain.notification.silences import Silence
from gateway.errors import JournalUnavailableError
from tests.servers.waiting import until_async


@dataclass
class Row:
    item: OutboxItem
    state: str = "pending"
    due_ns: int = 0
    said: str = ""


@dataclass
class MemoryJournal:
    """`full` makes so many of the next writes fail."""

    readings: list[StoredReading] = field(default_factory=list)
    entries: list[EventRecord] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)
    saves: list[int] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    facts: list[DomainEvent] = field(default_factory=list)
    records: dict[tuple[str, str], bytes] = field(default_factory=dict)
    full: int = 0

    def __post_init__(self) -> None:
        self._news = asyncio.Event()

    @property
    def last_seq(self) -> int:
        return len(self.readings) + len(self.entries)

    def add(self, *items: StoredReading | EventRecord) -> None:
        """Append readings and facts; they get the next sequence numbers."""
        for item in items:
            placed: Any = replace(item, seq=self.last_seq + 1)
            (self.entries if isinstance(item, EventRecord) else self.readings).append(placed)
        self._news.set()
        self._news = asyncio.Event()

    async def step(self, after: int, limit: int, *, readings: bool) -> LogSlice:
        numbers = sorted([*(row.seq for row in self.readings if readings), *(entry.seq for entry in self.entries)])
        found = [seq for seq in numbers if seq > after][:limit]
        until = found[-1] if len(found) == limit else self.last_seq
        return LogSlice(
            [row for row in self.readings if readings and after < row.seq <= until],
            [entry for entry in self.entries if after < entry.seq <= until],
            until,
        )

    async def wait(self, after: int) -> None:
        while self.last_seq <= after:
            await self._news.wait()

    async def cursor(self, consumer: str) -> int:
        return self.cursors.get(consumer, 0)

    async def places(self) -> Mapping[str, int]:
        return {**self.cursors}

    async def move_cursor(self, consumer: str, seq: int) -> None:
        self._write()
        self.cursors[consumer] = seq
        self.saves.append(seq)

    async def plan(self, consumer: str, planning: Planning, seq: int) -> None:
        self._write()
        self._insert(planning.items)
        facts = [*planning.facts, *(fact for one in planning.withdrawals for fact in self._withdraw(one))]
        for kind, key, record in planning.records:
            if record is None:
                self.records.pop((kind, key), None)
            else:
                self.records[kind, key] = record
        self.cursors[consumer] = seq
        self.facts += facts
        self.add(*(EventRecord(0, fact, planning.time_ns) for fact in facts))

    async def remembered(self) -> tuple[list[tuple[str, str, bytes]], list[Silence]]:
        return [(kind, key, record) for (kind, key), record in self.records.items()], []

    def _insert(self, items: Sequence[OutboxItem]) -> None:
        for item in items:
            self.rows.setdefault(item.id, Row(item))

    def _withdraw(self, one: Withdrawal) -> Iterator[DomainEvent]:
        for row in self.rows.values():
            told = row.item.notification
            if row.state == "pending" and told.alert_id == one.item.alert_id and told.kind in one.kinds:
                row.state = "withdrawn"
                item = replace(one.item, change=row.item.cause)
                yield fact_of(
                    Withheld(
                        item, one.correlation, told.kind, one.by, one.reason, one.time_ns,
                        row.item.route, row.item.handler,
                    )
                )  # fmt: skip

    async def waiting(self, handler: str) -> list[OutboxItem]:
        return [row.item for row in self._waiting(handler) if row.state == "pending" and row.due_ns <= time.time_ns()]

    async def merge(self, items: Sequence[OutboxItem], into: OutboxItem) -> None:
        self._write()
        for item in items:
            self.rows[item.id].state = "withdrawn"
        self._insert([into])

    async def nth_sent(self, handler: str, number: int) -> int | None:
        times = [row.due_ns for row in self.rows.values() if row.item.handler == handler and row.state == "sent"]
        return sorted(times, reverse=True)[number] if number < len(times) else None

    async def take(self, handler: str) -> OutboxItem | None:
        self._write()
        waiting = [row for row in self._waiting(handler) if row.due_ns <= time.time_ns()]
        if not waiting:
            return None
        row = min(waiting, key=lambda row: row.due_ns)
        was_uncertain = row.state == "uncertain"
        row.state, row.item = "sending", replace(row.item, attempts=row.item.attempts + 1, is_uncertain=was_uncertain)
        return row.item

    async def settle(  # noqa: PLR0917 - the shape that the notifier asks for
        self,
        item: OutboxItem,
        state: OutboxState,
        due_ns: int,
        said: str,
        facts: Sequence[DomainEvent],
        instead: Sequence[OutboxItem] = (),
    ) -> None:
        self._write()
        self._insert(instead)
        row = self.rows[item.id]
        row.state, row.due_ns, row.said = state, due_ns, said
        self.facts += facts

    async def next_due(self, handler: str) -> int | None:
        return min((row.due_ns for row in self._waiting(handler)), default=None)

    async def hurry(self, handler: str) -> None:
        for row in self._waiting(handler):
            row.due_ns = min(row.due_ns, time.time_ns())

    def resume(self) -> None:
        """What a restart does: an attempt that was under way is uncertain."""
        for row in self.rows.values():
            if row.state == "sending":
                row.state = "uncertain"

    def states(self) -> list[tuple[str, str]]:
        """Return (handler, state) of every notification, in the order in which they were planned."""
        return [(row.item.handler, row.state) for row in self.rows.values()]

    def _waiting(self, handler: str) -> list[Row]:
        return [
            row for row in self.rows.values() if row.item.handler == handler and row.state in {"pending", "uncertain"}
        ]

    def _write(self) -> None:
        if self.full:
            self.full -= 1
            raise JournalUnavailableError("database or disk is full")


async def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    await until_async(condition, 5, "what the test waits for")
