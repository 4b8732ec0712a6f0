"""Following the journal: read a step, hand it over, move the cursor; on failure wait and hand over the same again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import structlog
from msgspec.structs import replace

from gateway.api import Consumer
from gateway.domain.engine.event_log import EventRecord, LogSlice, StoredReading
from gateway.errors import DeliveryError, GatewayError, JournalError, JournalUnavailableError

T = TypeVar("T")

log = structlog.get_logger(__name__)

STEP_SIZE = 5000
_SAVE_AFTER = 2.0
_GLANCE = 0.05
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_LONGEST_REQUEST = 3600.0


class Source(Protocol):
    """What following asks of the journal."""

    async def step(self, after: int, limit: int, *, readings: bool) -> LogSlice:
        """Return what follows `after`."""
        ...

    async def wait(self, after: int) -> None:
        """Wait until there is something after a sequence number."""
        ...

    async def cursor(self, consumer: str) -> int:
        """Return the last sequence number a consumer is done with."""
        ...

    async def move_cursor(self, consumer: str, seq: int) -> None:
        """Remember that a consumer is done with everything up to `seq`."""
        ...


class Cursor:
    """A consumer's place. It is saved every two seconds at most: what was done since is done again after a crash.

    That of a consumer that has never had anything is not known to the journal before it is saved for the first time.
    """

    def __init__(self, source: Source, name: str, seq: int) -> None:
        self.seq = seq
        self._source, self._name = source, name
        self._saved: int | None = seq or None
        self._saved_at = time.monotonic()

    async def wait(self) -> None:
        """Wait for something new, and save the place meanwhile."""
        if self.seq != self._saved:
            try:
                async with asyncio.timeout(_SAVE_AFTER):
                    await self._source.wait(self.seq)
            except TimeoutError:
                await self.save()
        await self._source.wait(self.seq)

    async def move(self, seq: int) -> None:
        """Move on, and save the place if the last time is a while ago."""
        self.seq = seq
        if time.monotonic() - self._saved_at >= _SAVE_AFTER:
            await self.save()

    def saved(self, seq: int) -> None:
        """Take note that somebody else has saved this place."""
        self.seq = self._saved = seq

    async def save(self) -> None:
        """Save the place."""
        self._saved_at = time.monotonic()
        if self._saved != self.seq:
            try:
                await self._source.move_cursor(self._name, self.seq)
            except GatewayError as error:
                log.warning(
                    "how far a consumer has come could not be saved; it will be later",
                    consumer=self._name,
                    error=str(error),
                )
            else:
                self._saved = self.seq


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask the journal; while it cannot be read, which it says itself, ask again."""
    while True:
        try:
            return await ask()
        except JournalUnavailableError:
            await asyncio.sleep(_FIRST_PAUSE)


async def follow(name: str, consumer: Consumer, source: Source, *, readings: bool = True, every: float = 0.0) -> None:
    """Hand everything in the journal after the cursor `name` to `consumer`, for ever; facts only, if so asked.

    One that keeps up is handed something `every` so many seconds at most.
    """
    cursor = Cursor(source, name, await patiently(partial(source.cursor, name)))
    await cursor.save()  # a new consumer that never gets anything through is seen to be behind
    try:
        while True:
            await cursor.wait()
            step = await patiently(partial(source.step, cursor.seq, STEP_SIZE, readings=readings))
            if step.readings or step.entries:
                await _hand_over(name, consumer, step)
            await cursor.move(step.until)
            if every and len(step.readings) < STEP_SIZE:
                await asyncio.sleep(every)
    finally:
        await asyncio.shield(cursor.save())


class Foreign:
    """Somebody else's consumer: the places it is handed are its own, whatever it does with them."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
        """Hand it everything."""
        await self._consumer.consume([replace(each, tags={**each.tags}) for each in readings], entries)


async def watch(consumer: Consumer, source: Source, start: int) -> None:
    """Hand everything after `start` to a consumer that keeps nothing, several times a second at most."""
    seq = start
    while True:
        await source.wait(seq)
        step = await patiently(partial(source.step, seq, STEP_SIZE, readings=True))
        await consumer.consume(step.readings, step.entries)
        seq = step.until
        await asyncio.sleep(0 if len(step.readings) == STEP_SIZE else _GLANCE)


async def _hand_over(name: str, consumer: Consumer, step: LogSlice) -> None:
    """Try until it succeeds, or until the consumer says that trying again is of no use."""
    pause = _FIRST_PAUSE
    failures = 0
    while True:
        try:
            await consumer.consume(step.readings, step.entries)
        except JournalError:
            raise
        except Exception as error:  # a consumer may be foreign code: whatever it raises, the others go on
            failures += 1
            requested = 0.0
            if isinstance(error, DeliveryError):
                requested = error.retry_after or 0.0
                if not error.retry:
                    log.exception(
                        "a consumer can never take some events; they are left out", consumer=name, until=step.until
                    )
                    return
            if failures == 1:
                tell = log.warning if isinstance(error, GatewayError) else log.exception
                tell("a consumer cannot deliver; trying again", consumer=name, error=str(error))
            await asyncio.sleep(max(pause * random.uniform(0.8, 1.2), min(requested, _LONGEST_REQUEST)))
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            if failures:
                log.info("a consumer delivers again", consumer=name, failures=failures)
            return
