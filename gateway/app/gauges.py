"""The gauges of the metrics, brought up to date from time to time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from gateway.app.component import IngestSide
from gateway.domain.model.events import SEVERITIES
from gateway.errors import JournalUnavailableError
from gateway.journal import FILE_NAME, Reader, Stream
from gateway.journal.maintenance.retention import Report
from gateway.telemetry.log_writer import standard_error
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.wear import written_bytes

_GAUGES_EVERY = 2.0
_QUIET_ROUNDS = 30
"""Rounds without a lost line after which the log is well again."""

_LOG = "log"
_MEND = "is a terminal stopped (Ctrl-Q starts it), its disk full, or the program behind a pipe stuck?"


async def keep_gauges(side: IngestSide) -> None:
    """Bring the gauges up to date from time to time."""
    metrics, path = side.metrics, side.config.gateway.state_dir / FILE_NAME
    files = [path, Path(f"{path}-wal")]
    lost_lines = LostLines(lambda: standard_error().dropped, metrics, side.report)
    counted = 0
    while True:
        written = written_bytes()
        if written is not None and written > counted:
            metrics.journal_written.inc(written - counted)
            counted = written
        metrics.broker_connected.set(not side.broker.subscriber.problems)
        metrics.journal_bytes.set(sum(file.stat().st_size for file in files if file.exists()))
        with suppress(JournalUnavailableError):  # said where it is read
            await _count_in_journal(side.stream, metrics, side.consumers)
        await lost_lines.look()
        await asyncio.sleep(_GAUGES_EVERY)


class LostLines:
    """Tells of lines of the log that nobody took, and that all of them get through again."""

    def __init__(self, dropped: Callable[[], int], metrics: Metrics, report: Report, about: str = _LOG) -> None:
        self._dropped, self._metrics, self._report, self._about = dropped, metrics, report, about
        self._known = 0
        self._quiet = _QUIET_ROUNDS

    async def look(self) -> None:
        """Count what was dropped since the last time; call it from time to time."""
        now = self._dropped()
        new, self._known = now - self._known, now
        if new:
            self._metrics.log_lines_dropped.inc(new)
            await self._report(
                self._about, f"{now} lines of the log are lost since the start: nobody takes them; {_MEND}"
            )
        self._quiet = 0 if new else self._quiet + 1
        if self._quiet == _QUIET_ROUNDS + 1:
            await self._report(self._about, None)


async def look_after_lines(lines: LostLines) -> None:
    """Tell of lost lines of the log, for ever."""
    while True:
        await lines.look()
        await asyncio.sleep(_GAUGES_EVERY)


async def _count_in_journal(stream: Stream, metrics: Metrics, consumers: Iterable[str]) -> None:
    open_alerts = await stream.read(Reader.count_open_alerts)
    for severity in SEVERITIES:
        metrics.alerts_open.labels(severity).set(open_alerts.get(severity, 0))
    blocks, readings, size = await stream.read(Reader.sealed_figures)
    metrics.journal_sealed_blocks.set(blocks)
    metrics.journal_sealed_readings.set(readings)
    metrics.journal_sealed_bytes.set(size)
    last, places = stream.last_seq, await stream.places()
    for name in consumers:
        metrics.set_lag(name, last - places.get(name, 0))
