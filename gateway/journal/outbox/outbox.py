"""The outbox, for the event loop."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gateway.domain.engine import commands
from gateway.domain.engine.commands import Writer
from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.outbox import OutboxItem, OutboxState, Outcome, Planning
from gateway.domain.notification.silences import Silence
from gateway.journal.log.stream import Stream


class Outbox:
    """Notifications on their way out; every change of one is a transaction with the facts that tell of it."""

    def __init__(self, writer: Writer, stream: Stream) -> None:
        self._writer = writer
        self._stream = stream

    async def plan(self, consumer: str, planning: Planning, seq: int) -> None:
        """Write what was planned and move the cursor that led to it."""
        await self._writer.ask(commands.WritePlanning(planning, consumer, seq))
        self._stream.announce()

    async def remembered(self) -> tuple[list[tuple[str, str, bytes]], list[Silence]]:
        """Return what the planner remembers, and the silences that people have added and that still hold."""
        rows = await self._writer.ask(commands.Remembered())
        return rows, await self._writer.ask(commands.SilencesAfter(time.time_ns()))

    async def take(self, handler: str) -> OutboxItem | None:
        """Mark the next notification due for a handler as sending and return it."""
        return await self._writer.ask(commands.TakeMessage(handler, time.time_ns()))

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
        outcome = Outcome(state, time.time_ns(), due_ns, said)
        await self._writer.ask(commands.SettleMessage(item, outcome, facts, instead))
        self._stream.announce()

    async def waiting(self, handler: str) -> list[OutboxItem]:
        """Return what is due for a handler and has certainly not gone."""
        return await self._writer.ask(commands.WaitingMessages(handler, time.time_ns()))

    async def merge(self, items: Sequence[OutboxItem], into: OutboxItem) -> None:
        """Let one message go instead of several that have not gone."""
        await self._writer.ask(commands.MergeMessages(items, into))

    async def nth_sent(self, handler: str, number: int) -> int | None:
        """Return when the last message but `number` was sent through a handler, in ns, or None."""
        return await self._writer.ask(commands.NthSent(handler, number))

    async def next_due(self, handler: str) -> int | None:
        """Return when the next notification of a handler is due, in ns."""
        return await self._writer.ask(commands.NextDue(handler))

    async def hurry(self, handler: str) -> None:
        """Make everything that waits for a handler due: it works again."""
        await self._writer.ask(commands.HurryMessages(handler, time.time_ns()))

    async def take_up(self, handlers: Sequence[str]) -> int:
        """Take up after a start what was under way; return how many messages were being sent when the last one ended.

        What was for a handler that is not among `handlers` any more has failed.
        """
        interrupted = await self._writer.ask(commands.ResumeMessages(handlers, time.time_ns()))
        self._stream.announce()
        return interrupted
