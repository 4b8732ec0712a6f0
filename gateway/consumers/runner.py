"""Following the journal: read a step, hand it over, move the cursor; on failure wait and hand over the same again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import cast

import structlog
from msgspec import Struct

from gateway.api import Consumer, ConsumerContext, FullConsumer, Wants
from gateway.consumers.cursor import STEP_SIZE, Cursor, Source, patiently
from gateway.consumers.handover import Account, Handover, Rows, harmless, storable, words
from gateway.domain.engine.event_log import EventRecord, LogSlice
from gateway.errors import DeliveryError, GatewayError

log = structlog.get_logger(__name__)

_TELL_AFTER = 300.0
"""Seconds in which a consumer takes nothing until people are told: a restart of a database is nothing to see to."""

_LOOK_EVERY = 5.0
_CLOSE_WITHIN = 3.0
_REPLAY_WITHIN = 30.0


class Follower(Struct, frozen=True):
    """A consumer with the name of its cursor, and what an alert about it is about: with nothing, there is none."""

    name: str
    consumer: Consumer
    subject: str = ""
    is_foreign: bool = False

    @property
    def wants(self) -> Wants:
        """What it is handed: everything, unless it says so."""
        wants = getattr(self.consumer, "wants", None)
        return wants if isinstance(wants, Wants) else Wants()

    @property
    def full(self) -> FullConsumer | None:
        """The consumer, if it is one that is started and closed."""
        is_full = isinstance(getattr(self.consumer, "wants", None), Wants)
        return cast("FullConsumer", self.consumer) if is_full else None


class Runner:
    """Hands one consumer everything that follows its cursor, and says how it is getting on."""

    def __init__(self, follower: Follower, source: Source, account: Account) -> None:
        self.follower = follower
        self._wants = follower.wants
        self._source = source
        self._account = account
        self._handover = Handover(follower.name, follower.consumer, account, is_foreign=follower.is_foreign)
        self._is_well = False
        self._cursor: Cursor | None = None  # until it has begun to follow

    def send_back(self, seq: int) -> None:
        """Hand over everything after `seq` once more; who has not begun to follow yet takes the place that is saved."""
        if self._cursor is not None:
            self._cursor.send_back(seq)

    async def run(self, context: ConsumerContext) -> None:
        """Follow the journal for ever."""
        full = self.follower.full
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(), name=f"alert about {self.follower.name}")
                if full is not None:
                    await self._handover.insist(partial(harmless, partial(full.start, context)))
                await self._follow()
        finally:
            if full is not None:
                await self._close(full)

    async def replay(self, rows: Rows) -> set[int]:
        """Hand over dead letters again; return the `seq` of those that are taken now. Raises DeliveryError."""
        try:
            async with asyncio.timeout(_REPLAY_WITHIN):
                return await self._handover.once_more(rows)
        except TimeoutError:
            raise DeliveryError(f"no answer within {_REPLAY_WITHIN:g} seconds") from None
        except DeliveryError:
            raise
        except Exception as error:  # a consumer may be foreign code
            log.exception("a consumer cannot take dead letters again", consumer=self.follower.name)
            raise DeliveryError(said(error)) from error

    async def _follow(self) -> None:
        self._cursor = cursor = Cursor(self._source, self.follower.name, await self._begin())
        await cursor.save()  # a new consumer that never gets anything through is seen to be behind
        try:
            while True:
                await cursor.wait()
                step = await patiently(partial(self._source.step, cursor.seq, STEP_SIZE, readings=self._wants.readings))
                rows = Rows(step.readings, self._wanted(step))
                if len(rows):
                    await self._handover.hand_over(rows)
                    self._is_well = True
                await cursor.move(step.until)
                if self._wants.every and len(step.readings) < STEP_SIZE:
                    await asyncio.sleep(self._wants.every)
        finally:
            await asyncio.shield(cursor.save())

    async def _begin(self) -> int:
        places = await patiently(self._source.places)
        if self.follower.name in places:
            return places[self.follower.name]
        if self._wants.start == "beginning":
            return 0
        await patiently(partial(self._source.move_cursor, self.follower.name, self._source.last_seq))
        return self._source.last_seq

    def _wanted(self, step: LogSlice) -> Sequence[EventRecord]:
        types = self._wants.types
        if not self._wants.facts:
            return ()
        return step.entries if types is None else [each for each in step.entries if each.fact.type in types]

    async def _watch(self) -> None:
        """Say when it has taken nothing for long, whether it raises or does not come back, and when it does again."""
        while True:
            problem = self._problem()
            if problem is not None or self._is_well:
                await self._account.report(problem)
            await asyncio.sleep(_LOOK_EVERY)

    def _problem(self) -> str | None:
        since, error = self._handover.busy_since, self._handover.problem
        needs_person = isinstance(error, DeliveryError) and error.needs_person
        if since is None or (time.monotonic() - since < _TELL_AFTER and not needs_person):
            return self._handover.refusing or None
        return "a call to it does not return" if error is None else said(error)

    async def _close(self, full: FullConsumer) -> None:
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await harmless(full.close)
        except Exception:  # a consumer may be foreign code
            log.exception("a consumer could not be closed", consumer=self.follower.name)


def said(error: Exception) -> str:
    """Return what people may be shown of an error: somebody else's, other than a DeliveryError, may quote secrets."""
    return storable(words(error)) if isinstance(error, GatewayError) else f"{type(error).__name__}; the log has more"
