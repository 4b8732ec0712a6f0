"""Time, as far as something follows from it alone."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from gateway.domain.alerting.liveness import Reception
from gateway.errors import JournalUnavailableError
from gateway.ingest.processor import Pipeline
from gateway.journal import Journal, Stream
from gateway.telemetry.readiness import Health
from gateway.telemetry.service_manager import Watchdog

_PASS_TIME_EVERY = 1.0


_FROZEN_NS = 5 * 10**9
"""A round that is so late was held up, and what the sensors sent meanwhile is still on its way."""


async def pass_time(journal: Journal, pipeline: Pipeline, stream: Stream, health: Health) -> None:
    """Let follow what follows from time alone. Nobody is silent while we are the ones who cannot hear."""
    watchdog = Watchdog()
    since_ns: int | None = None
    last_ns = time.monotonic_ns()
    while True:
        await asyncio.sleep(_PASS_TIME_EVERY)
        now_ns = time.monotonic_ns()
        if now_ns - last_ns > _FROZEN_NS:  # a stopped process, a paused container, a closed lid
            since_ns = None
        last_ns = now_ns
        since_ns = None if health.deafness() else since_ns or now_ns
        watchdog.feed()  # before what may fail for long, such as a full disk, which no restart mends
        with suppress(JournalUnavailableError):  # said where batches are written; it is tried again
            await journal.call(pipeline.pass_time, time.time_ns(), Reception(now_ns, since_ns))
        stream.announce()
