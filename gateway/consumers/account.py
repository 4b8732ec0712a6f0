"""How one consumer is getting on: its metrics, its dead letters, and the alert about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog

from gateway.consumers.dead_letters import kept
from gateway.consumers.handover import Refusal
from gateway.consumers.runner import Follower
from gateway.domain.engine.commands import Writer
from gateway.domain.inputs.native import CONSUMER_REFUSED
from gateway.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_AT_ONCE = 500
"""Dead letters in one transaction: no batch waits long for it."""


class ConsumerAccount:
    """Tells the metrics, the journal, and people."""

    def __init__(
        self,
        follower: Follower,
        metrics: Metrics,
        writer: Writer,
        report: Callable[[str, str | None], Awaitable[None]],
    ) -> None:
        self._name, self._subject = follower.name, follower.subject
        self._metrics = metrics
        self._writer = writer
        self._report = report
        self._has_skipped = False
        metrics.add_consumer(follower.name)

    def taken(self, rows: int) -> None:
        """Count rows that it has taken."""
        self._metrics.count_taken(self._name, rows)

    def skipped(self, rows: int) -> None:
        """Count rows that it has left out; the log says so once, since nothing is wrong with them."""
        self._metrics.consumer_skipped.labels(self._name).inc(rows)
        if not self._has_skipped:
            log.warning("a consumer leaves out rows that it does not keep, such as old ones", consumer=self._name)
        self._has_skipped = True

    def failed(self) -> None:
        """Count a call that it raised in."""
        self._metrics.consumer_failures.labels(self._name).inc()

    async def refuse(self, refusals: Sequence[Refusal]) -> None:
        """Keep what it does not take as dead letters. Raises JournalUnavailableError."""
        for start in range(0, len(refusals), _AT_ONCE):
            some = refusals[start : start + _AT_ONCE]
            new = await self._writer.ask(kept(self._name, some))
            self._metrics.count_refused(self._name, CONSUMER_REFUSED, new)
        row, reason = refusals[0]
        log.error(
            "a consumer can never take some rows; they are dead letters now",
            consumer=self._name,
            rows=len(refusals),
            first=row.seq,
            reason=reason,
        )

    async def report(self, problem: str | None) -> None:
        """Raise or clear the alert about it."""
        if self._subject:
            await self._report(self._subject, problem)
