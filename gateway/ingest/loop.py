"""From the broker to the disk, batch after batch, and what keeps it from going on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.model.assets import SENSOR_MOVED, SENSOR_RENAMED
from gateway.domain.model.events import Message
from gateway.errors import JournalUnavailableError
from gateway.ingest.processor import Pipeline
from gateway.journal import Journal, Stream
from gateway.mqtt.subscriber import Subscriber
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.readiness import Health

log = structlog.get_logger(__name__)

_TRY_AGAIN = 1.0
_SAY_REJECTED_EVERY = 10.0


async def ingest(
    subscriber: Subscriber,
    *,
    journal: Journal,
    pipeline: Pipeline,
    stream: Stream,
    metrics: Metrics,
    health: Health,
    stored: Callable[[UnitOfWork], None] = lambda _: None,
) -> None:
    """Take batches through the pipeline for ever; acknowledge each once it is on disk.

    `stored` is called with each batch then: for what is to be done beside the journal.
    """
    said_at = -_SAY_REJECTED_EVERY
    while True:
        messages = await subscriber.batch()
        start = time.perf_counter()
        batch = await _process(journal, pipeline, messages, health)
        subscriber.acknowledge(messages)
        stream.announce()
        stored(batch)
        metrics.count_batch(batch, time.perf_counter() - start)
        for _, fact in batch.facts:
            if fact.type in ALERT_FACTS:
                log.info("alert", change=ALERT_FACTS[fact.type], sensor=fact.subject, reason=fact.data["finding"])
            elif fact.type in {SENSOR_RENAMED, SENSOR_MOVED}:
                log.warning("a sensor has another name, or has moved", sensor=fact.subject, reason=fact.data["reason"])
        for name, remark in batch.news:
            log.warning("an input makes the best of a message; 'inputs list' says how often", input=name, remark=remark)
        if batch.dead_letters and start - said_at >= _SAY_REJECTED_EVERY:
            said_at = start
            first = batch.dead_letters[0]
            log.warning(
                "a message cannot be used; 'deadletters list' shows all of them",
                topic=first.topic,
                reason=first.rejected.reason,
                detail=first.rejected.detail,
            )


async def _process(journal: Journal, pipeline: Pipeline, messages: Sequence[Message], health: Health) -> UnitOfWork:
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
