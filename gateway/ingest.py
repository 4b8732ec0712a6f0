"""From the broker to the disk, batch after batch, and what keeps it from going on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from gateway.domain.alerts import ALERT_FACTS
from gateway.domain.batch import Batch
from gateway.domain.events import Message, Severity
from gateway.domain.planning.muting import BROKER
from gateway.errors import JournalUnavailableError
from gateway.journal import Journal, Stream, Upkeep
from gateway.mqtt.subscriber import Subscriber
from gateway.pipeline import Pipeline
from gateway.web.metrics import Metrics

log = structlog.get_logger(__name__)

_TRY_AGAIN = 1.0
_SAY_REJECTED_EVERY = 10.0
_AWAY, _LOOK_EVERY = 300.0, 5.0


class Health:
    """Why the gateway cannot do its job right now."""

    def __init__(self, subscriber: Subscriber, upkeep: Upkeep) -> None:
        self._subscriber = subscriber
        self._upkeep = upkeep
        self.journal_problem: str | None = None

    async def room(self) -> None:
        """Wait until there is room on the disk."""
        await self._upkeep.room()

    @property
    def broker_problems(self) -> Sequence[str]:
        """Why nothing comes from the broker."""
        return self._subscriber.problems

    def reasons(self) -> list[str]:
        """Return the reasons; none means ready."""
        return [*self._subscriber.problems, *filter(None, (self.journal_problem, self._upkeep.problem))]


async def ingest(
    subscriber: Subscriber, *, journal: Journal, pipeline: Pipeline, stream: Stream, metrics: Metrics, health: Health
) -> None:
    """Take batches through the pipeline for ever; acknowledge each once it is on disk."""
    said_at = -_SAY_REJECTED_EVERY
    while True:
        messages = await subscriber.batch()
        start = time.perf_counter()
        batch = await _process(journal, pipeline, messages, health)
        subscriber.acknowledge(messages)
        stream.announce()
        metrics.count_batch(batch, time.perf_counter() - start)
        for _, fact in batch.facts:
            if fact.type in ALERT_FACTS:
                log.info("alert", change=ALERT_FACTS[fact.type], sensor=fact.subject, reason=fact.data["finding"])
        if batch.dead_letters and start - said_at >= _SAY_REJECTED_EVERY:
            said_at = start
            first = batch.dead_letters[0]
            log.warning(
                "a message cannot be used; 'deadletters list' shows all of them",
                topic=first.topic,
                reason=first.rejected.reason,
                detail=first.rejected.detail,
            )


async def _process(journal: Journal, pipeline: Pipeline, messages: Sequence[Message], health: Health) -> Batch:
    """Process a batch; while the journal cannot be written, try again and acknowledge nothing."""
    while True:
        await health.room()
        try:
            batch = await journal.call(pipeline.process, messages, time.time_ns())
        except JournalUnavailableError as error:
            if health.journal_problem is None:
                log.error("nothing can be stored, so nothing is acknowledged; trying again", error=str(error))  # noqa: TRY400 - the reason is in the message
            health.journal_problem = str(error)
            await asyncio.sleep(_TRY_AGAIN)
        else:
            if health.journal_problem is not None:
                log.info("the journal can be written again")
                health.journal_problem = None
            return batch


async def watch_broker(
    problems: Callable[[], Sequence[str]], report: Callable[[str, str | None, Severity], Awaitable[None]]
) -> None:
    """Report when the broker has been away for long: no machine can raise an alert of its own then."""
    since: float | None = None
    while True:
        found = problems()
        since = None if not found else since or time.monotonic()
        if since is None:
            await report(BROKER, None, "critical")
        elif time.monotonic() - since >= _AWAY:
            await report(BROKER, f"nothing is heard for {_AWAY / 60:g} minutes: {found[0]}", "critical")
        await asyncio.sleep(_LOOK_EVERY)
