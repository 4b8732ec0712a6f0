"""InfluxDB as a part of the gateway: its writer, what it refuses, and the gateway's own metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from hashlib import blake2b

from gateway.config import Config, InfluxSection
from gateway.consumers.runner import follow
from gateway.domain.engine.unit_of_work import DeadLetter, UnitOfWork
from gateway.domain.model.events import Rejected
from gateway.journal import Journal, Stream
from gateway.telemetry.metrics import Metrics

_POINTS_EVERY = 0.2
"""Seconds. A request for each commit would be hundreds a second."""


_OWN_METRICS_EVERY = 10.0


async def follow_influx(  # noqa: PLR0917 - it hands over what it is given
    config: Config,
    section: InfluxSection,
    journal: Journal,
    stream: Stream,
    metrics: Metrics,
    report: Callable[[str, str | None], Awaitable[None]],
) -> None:
    """Write what comes to InfluxDB, and the gateway's own metrics beside it, for ever."""
    from gateway.consumers.influx.writer import InfluxWriter, to_gateway_line  # noqa: PLC0415 - only where there is an InfluxDB

    async def quarantine(line: bytes, reason: str) -> None:
        await journal.call(_quarantine, journal, line, reason)

    writer = InfluxWriter(
        section, quarantine, metrics.influx_points_written.inc, lambda problem: report("influxdb", problem)
    )

    async def put_own_metrics() -> None:
        while True:
            now_ns, values = time.time_ns(), metrics.values()
            await writer.put([to_gateway_line(config.gateway.id, *each, now_ns) for each in values])
            await asyncio.sleep(_OWN_METRICS_EVERY)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(follow("influx", writer, stream, every=_POINTS_EVERY), name="influx")
            group.create_task(put_own_metrics(), name="own metrics to influx")
    finally:
        writer.close()


def _quarantine(journal: Journal, line: bytes, reason: str) -> None:
    """Write a point that InfluxDB refused as a dead letter, once."""
    digest = blake2b(line, digest_size=16).digest()
    if journal.has_dead_letter(digest, 0):
        return
    batch = UnitOfWork(next_seq=journal.next_seq)
    rejected = Rejected("influxdb_refused", reason, line)
    batch.dead_letters.append(DeadLetter(batch.take_seq(), time.time_ns(), "influxdb", 0, digest, rejected))
    journal.write(batch)
