"""The gauges of the metrics, brought up to date from time to time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gateway.app.component import Built
from gateway.domain.model.events import SEVERITIES
from gateway.errors import JournalUnavailableError
from gateway.journal import FILE_NAME, Reader, Stream
from gateway.telemetry.metrics import Metrics

_GAUGES_EVERY = 2.0


async def keep_gauges(built: Built) -> None:
    """Bring the gauges up to date from time to time."""
    metrics, path = built.metrics, built.config.gateway.state_dir / FILE_NAME
    files = [path, Path(f"{path}-wal")]
    while True:
        metrics.broker_connected.set(not built.broker.subscriber.problems)
        metrics.journal_bytes.set(sum(file.stat().st_size for file in files if file.exists()))
        with suppress(JournalUnavailableError):  # said where it is read
            await _count_in_journal(built.stream, metrics, built.runners)
        await asyncio.sleep(_GAUGES_EVERY)


async def _count_in_journal(stream: Stream, metrics: Metrics, consumers: Iterable[str]) -> None:
    open_alerts = await stream.read(Reader.count_open_alerts)
    for severity in SEVERITIES:
        metrics.alerts_open.labels(severity).set(open_alerts.get(severity, 0))
    last, places = stream.last_seq, await stream.places()
    for name in consumers:
        metrics.set_lag(name, last - places.get(name, 0))
