"""What the notifier asks of the journal, and patience while the journal cannot be written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.outbox import OutboxItem, OutboxState, Planning
from gateway.domain.notification.silences import Silence
from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

_TRY_AGAIN = 1.0


class Outbox(Protocol):
    """What the notifier asks of the journal, from the event loop."""

    async def plan(self, consumer: str, planning: Planning, seq: int) -> None:
        """Write what was planned and move the cursor that led to it, in one transaction."""
        ...

    async def remembered(self) -> tuple[list[tuple[str, str, bytes]], list[Silence]]:
        """Return what the planner remembers, and the silences that people have added and that still hold."""
        ...

    async def take(self, handler: str) -> OutboxItem | None:
        """Mark the next notification due for a handler as sending and return it."""
        ...

    async def settle(  # noqa: PLR0917 - it writes down what it is given
        self,
        item: OutboxItem,
        state: OutboxState,
        due_ns: int,
        said: str,
        facts: Sequence[DomainEvent],
        instead: Sequence[OutboxItem] = (),
    ) -> None:
        """Write what became of an attempt, and what is to be sent instead."""
        ...

    async def waiting(self, handler: str) -> list[OutboxItem]:
        """Return what is due for a handler and has certainly not gone."""
        ...

    async def merge(self, items: Sequence[OutboxItem], into: OutboxItem) -> None:
        """Let one message go instead of several that have not gone."""
        ...

    async def nth_sent(self, handler: str, number: int) -> int | None:
        """Return when the last message but `number` was sent through a handler, in ns, or None."""
        ...

    async def next_due(self, handler: str) -> int | None:
        """Return when the next notification of a handler is due, in ns."""
        ...

    async def hurry(self, handler: str) -> None:
        """Make everything that waits for a handler due: it works again."""
        ...


async def stored(write: Callable[[], Awaitable[None]]) -> None:
    """Write to the journal; while it cannot be written, try again."""
    while True:
        try:
            return await write()
        except GatewayError as error:
            if not error.retry:
                raise
            log.warning("what became of a message cannot be stored; trying again", error=str(error))
            await asyncio.sleep(_TRY_AGAIN)
