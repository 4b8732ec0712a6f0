"""The outbox, for the event loop."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gateway.api import Entry, Notification, OutboxItem, OutboxState
from gateway.domain.events import Fact
from gateway.journal.store import Journal, Outcome
from gateway.journal.stream import Stream


class Outbox:
    """Notifications on their way out; every change of one is a transaction with the facts that tell of it."""

    def __init__(self, journal: Journal, stream: Stream) -> None:
        self._journal = journal
        self._stream = stream

    async def plan(self, consumer: str, items: Sequence[tuple[Notification, str, Entry]], seq: int) -> None:
        """Put (notification, handler, what it tells of) into the outbox and move the cursor that led to them."""
        rows = [
            OutboxItem(
                id=notification.id,
                handler=handler,
                attempts=0,
                created_ns=entry.recorded_ns,
                cause=entry.fact.id,
                correlation=entry.fact.correlation_id,
                notification=notification,
            )
            for notification, handler, entry in items
        ]
        await self._journal.call(self._journal.enqueue, rows, consumer, seq)

    async def take(self, handler: str) -> OutboxItem | None:
        """Mark the next notification due for a handler as sending and return it."""
        return await self._journal.call(self._journal.take, handler, time.time_ns())

    async def settle(self, item: OutboxItem, state: OutboxState, due_ns: int, said: str, facts: Sequence[Fact]) -> None:
        """Write what became of an attempt."""
        outcome = Outcome(state, time.time_ns(), due_ns, said)
        await self._journal.call(self._journal.settle, item.id, outcome, facts)
        self._stream.announce(self._journal.next_seq - 1)

    async def next_due(self, handler: str) -> int | None:
        """Return when the next notification of a handler is due, in ns."""
        return await self._journal.call(self._journal.next_due, handler)

    async def hurry(self, handler: str) -> None:
        """Make everything that waits for a handler due: it works again."""
        await self._journal.call(self._journal.hurry, handler, time.time_ns())
