"""What was over a quota: counted for Prometheus, and told once as an alert of the gateway about itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress

from gateway.app.component import IngestSide
from gateway.config import Config
from gateway.domain.engine.quotas import LETTER_BYTES, WORDS
from gateway.errors import JournalUnavailableError
from gateway.journal import Reader
from gateway.journal.maintenance.retention import Report
from gateway.telemetry.metrics import Metrics

_EVERY = 2.0
LASTING_S = 3600.0
"""An alert ends when nothing was over its quota for so long."""


def subject_of(quota: str) -> str:
    """Return what the alert about a quota is about."""
    return f"quota {quota}"


def limits_of(config: Config) -> dict[str, int]:
    """Return quota -> its limit."""
    return {**config.quotas.model_dump(), LETTER_BYTES: config.retention.dead_letters_size}


class OverQuota:
    """What was over a quota, as last seen, and when each was last seen to grow (monotonic seconds)."""

    def __init__(self, limits: Mapping[str, int], metrics: Metrics, report: Report) -> None:
        self._limits = limits
        self._metrics = metrics
        self._report = report
        self._counts: Mapping[str, int] | None = None
        self._grew = dict.fromkeys(WORDS, -LASTING_S)
        self._well = set[str]()

    async def look(self, counts: Mapping[str, int], now: float) -> None:
        """Count what has come to be over a quota since the last look, and say so; what came before the first counts."""
        before, self._counts = self._counts, counts
        for quota, words in WORDS.items():
            more = counts.get(quota, 0) - (before or {}).get(quota, 0)
            self._metrics.over_quota.labels(quota).inc(max(more, 0))
            if before is not None and more > 0:
                self._grew[quota] = now
            if now - self._grew[quota] < LASTING_S:
                self._well.discard(quota)
                await self._report(subject_of(quota), words.format(limit=f"{self._limits[quota]:,}"))
            elif quota not in self._well:  # what an earlier process told of is over, too
                self._well.add(quota)
                await self._report(subject_of(quota), None)


async def watch_quotas(side: IngestSide) -> None:
    """Look at what was over a quota, for ever."""
    watched = OverQuota(limits_of(side.config), side.metrics, side.report)
    while True:
        with suppress(JournalUnavailableError):  # said where it is read
            await watched.look(await side.stream.read(Reader.over_quota), time.monotonic())
        await asyncio.sleep(_EVERY)
