"""A consumer's place in the journal, and reading on from there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol, TypeVar

import structlog

from gateway.api import Consumer
from gateway.domain.engine.event_log import LogSlice
from gateway.errors import GatewayError, JournalUnavailableError

T = TypeVar("T")

log = structlog.get_logger(__name__)

STEP_SIZE = 5000
_SAVE_AFTER = 2.0
_GLANCE = 0.05
_FIRST_PAUSE = 0.5


class Source(Protocol):
    """What following asks of the journal."""

    @property
    def last_seq(self) -> int:
        """The newest sequence number."""
        ...

    async def step(self, after: int, limit: int, *, readings: bool) -> LogSlice:
        """Return what follows `after`."""
        ...

    async def wait(self, after: int) -> None:
        """Wait until there is something after a sequence number."""
        ...

    async def cursor(self, consumer: str) -> int:
        """Return the last sequence number a consumer is done with."""
        ...

    async def places(self) -> Mapping[str, int]:
        """Return consumer -> last sequence number it is done with, for all that have a cursor."""
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
        self._sent_back = asyncio.Event()

    def send_back(self, seq: int) -> None:
        """Have everything after `seq` done again, unless it is to be done anyway; it is not saved here."""
        if seq < self.seq:
            self.seq = self._saved = seq
            self._sent_back.set()

    async def wait(self) -> None:
        """Wait for something new, or until it is sent back, and save the place meanwhile."""
        if self.seq != self._saved:
            try:
                async with asyncio.timeout(_SAVE_AFTER):
                    await self._something()
            except TimeoutError:
                await self.save()
        await self._something()
        self._sent_back.clear()

    async def _something(self) -> None:
        if self._source.last_seq > self.seq:
            return
        waiting = [asyncio.ensure_future(each) for each in (self._source.wait(self.seq), self._sent_back.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    async def move(self, seq: int) -> None:
        """Move on, unless it has been sent back, and save the place if the last time is a while ago."""
        if not self._sent_back.is_set():
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


async def watch(consumer: Consumer, source: Source, start: int) -> None:
    """Hand everything after `start` to a consumer that keeps nothing, several times a second at most."""
    seq = start
    while True:
        await source.wait(seq)
        step = await patiently(partial(source.step, seq, STEP_SIZE, readings=True))
        await consumer.consume(step.readings, step.entries)
        seq = step.until
        await asyncio.sleep(0 if len(step.readings) == STEP_SIZE else _GLANCE)
