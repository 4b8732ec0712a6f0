"""From the broker to the disk, and what keeps it from going on.

Messages are judged as they come; the commit, and with it the acknowledgement, waits until there is a reason for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.model.assets import SENSOR_MOVED, SENSOR_RENAMED
from gateway.domain.model.events import Message
from gateway.errors import JournalUnavailableError
from gateway.ingest.need import Need
from gateway.ingest.processor import Pipeline
from gateway.journal import Journal, Stream
from gateway.mqtt.subscriber import Subscriber
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.readiness import Health

log = structlog.get_logger(__name__)

_TRY_AGAIN = 1.0
_SAY_REJECTED_EVERY = 10.0
_FINISH_WITHIN = 3.0

_LARGE = 4_000_000
"""Bytes of messages that one transaction does not wait with: they are held in memory."""


class IngestLoop:
    """Takes messages through the pipeline, and commits and acknowledges them together.

    A commit comes at once if somebody must be told (an alert has changed), and otherwise as soon as half of what the
    broker may have under way waits for it, or the oldest message has waited for `within` seconds. What waits is
    `judged`. `stored` is called with each batch that is on disk then: for what is to be done beside the journal.
    """

    def __init__(
        self,
        subscriber: Subscriber,
        *,
        journal: Journal,
        pipeline: Pipeline,
        stream: Stream,
        metrics: Metrics,
        health: Health,
        within: float = 0.0,
        stored: Callable[[UnitOfWork], None] = lambda _: None,
    ) -> None:
        self._subscriber = subscriber
        self._journal = journal
        self._pipeline = pipeline
        self._stream = stream
        self._metrics = metrics
        self._health = health
        self._need = Need(within, subscriber.most_under_way)
        self._stored = stored
        self._waiting: list[Message] = []
        self.judged: list[UnitOfWork] = []
        self._seconds = 0.0
        self._said_at = -_SAY_REJECTED_EVERY
        self._next: asyncio.Task[list[Message]] | None = None
        self._at_work = asyncio.Lock()

    async def run(self) -> None:
        """Go on for ever."""
        while True:
            messages = await self._messages()
            async with self._at_work:
                if messages:
                    await self._take(messages)
                if self._waiting and self._must_commit():
                    await self._commit()

    async def finish(self) -> None:
        """Commit and acknowledge what has been taken, if that takes no time; nothing is taken from now on."""
        if self._next is not None:
            self._next.cancel()
        with suppress(TimeoutError):  # a full disk: the broker has it all, and sends it again
            async with asyncio.timeout(_FINISH_WITHIN):
                await self._at_work.acquire()  # for good
                if self._waiting:
                    await self._commit()

    async def _messages(self) -> list[Message]:
        """Return what has come; nothing, once a commit is due."""
        if not self._waiting and self._next is None:
            return await self._subscriber.batch()
        if self._next is None:
            self._next = asyncio.ensure_future(self._subscriber.batch())
        due_at = self._need.due_at
        await asyncio.wait([self._next], timeout=None if due_at is None else max(0.0, due_at - time.monotonic()))
        if not self._next.done():
            return []
        messages, self._next = self._next.result(), None
        return messages

    async def _take(self, messages: list[Message]) -> None:
        if self._waiting and messages[0].generation != self._waiting[-1].generation:
            await self._commit()  # what comes again on a new connection has to be found on disk
        await self._health.room()
        start = time.perf_counter()
        batch = await self._judged(messages)
        self._seconds += time.perf_counter() - start
        self._need.take(len(messages), messages[0].generation, time.monotonic())
        self._waiting += messages
        if not self.judged or self.judged[-1] is not batch:
            self.judged.append(batch)

    async def _judged(self, messages: list[Message]) -> UnitOfWork:
        """Judge messages. While something else waits to be written, which the disk refuses, nothing more is taken."""
        while True:
            try:
                return await self._journal.call(self._pipeline.take, messages, time.time_ns())
            except JournalUnavailableError:
                await self._written()

    def _must_commit(self) -> bool:
        urgent = any(batch.alerts or batch.publications or batch.size >= _LARGE for batch in self.judged)
        return urgent or self._need.is_due(time.monotonic())

    async def _commit(self) -> None:
        start = time.perf_counter()
        await self._written()
        self._subscriber.acknowledge(self._waiting)
        self._need.committed(time.monotonic())
        self._stream.announce()
        batches, self.judged, self._waiting = self.judged, [], []
        for batch in batches:
            self._stored(batch)
        self._seconds += time.perf_counter() - start
        for batch in batches:
            self._metrics.count_batch(batch, self._seconds / len(batches))
            self._say(batch, start)
        self._seconds = 0.0

    async def _written(self) -> None:
        """Write what has been judged; while the journal cannot be written, try again and acknowledge nothing."""
        health = self._health
        while True:
            try:
                await self._journal.call(self._pipeline.commit)
            except JournalUnavailableError as error:
                if health.journal_problem is None:
                    log.error("nothing can be stored, so nothing is acknowledged; trying again", error=str(error))  # noqa: TRY400 - the reason is in the message
                health.journal_problem = str(error)
                await asyncio.sleep(_TRY_AGAIN)
                await health.room()
            else:
                if health.journal_problem is not None:
                    log.info("the journal can be written again")
                    health.journal_problem = None
                return

    def _say(self, batch: UnitOfWork, now: float) -> None:
        for _, fact in batch.facts:
            if fact.type in ALERT_FACTS:
                log.info("alert", change=ALERT_FACTS[fact.type], sensor=fact.subject, reason=fact.data["finding"])
            elif fact.type in {SENSOR_RENAMED, SENSOR_MOVED}:
                log.warning("a sensor has another name, or has moved", sensor=fact.subject, reason=fact.data["reason"])
        for name, remark in batch.news:
            log.warning("an input makes the best of a message; 'inputs list' says how often", input=name, remark=remark)
        if batch.dead_letters and now - self._said_at >= _SAY_REJECTED_EVERY:
            self._said_at = now
            first = batch.dead_letters[0]
            log.warning(
                "a message cannot be used; 'deadletters list' shows all of them",
                topic=first.topic,
                reason=first.rejected.reason,
                detail=first.rejected.detail,
            )
