"""The gauges of the metrics, brought up to date from time to time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from gateway.config import Config
from gateway.consumers.otel.component import OTEL
from gateway.domain.model.events import SEVERITIES
from gateway.errors import JournalUnavailableError
from gateway.journal import FILE_NAME, Reader, Stream
from gateway.mqtt.subscriber import Subscriber
from gateway.telemetry.metrics import Metrics

_GAUGES_EVERY = 2.0


async def keep_gauges(config: Config, stream: Stream, metrics: Metrics, subscriber: Subscriber) -> None:
    """Bring the gauges up to date from time to time."""
    path = config.gateway.state_dir / FILE_NAME
    files = [path, Path(f"{path}-wal")]
    while True:
        metrics.broker_connected.set(not subscriber.problems)
        metrics.journal_bytes.set(sum(file.stat().st_size for file in files if file.exists()))
        with suppress(JournalUnavailableError):  # said where it is read
            await _count_in_journal(config, stream, metrics)
        await asyncio.sleep(_GAUGES_EVERY)


async def _count_in_journal(config: Config, stream: Stream, metrics: Metrics) -> None:
    open_alerts = await stream.read(Reader.count_open_alerts)
    for severity in SEVERITIES:
        metrics.alerts_open.labels(severity).set(open_alerts.get(severity, 0))
    if config.influxdb is not None:
        metrics.influx_lag_readings.set(stream.last_seq - await stream.cursor("influx"))
    if config.otel is not None:
        metrics.otel_lag_entries.set(stream.last_seq - await stream.cursor(OTEL))
