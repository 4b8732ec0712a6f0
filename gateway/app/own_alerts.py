"""The gateway's alerts about parts of itself."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable

import structlog

from gateway.consumers import SECTIONS
from gateway.consumers.delivery import handler_subject
from gateway.consumers.runner import Follower
from gateway.domain.engine.commands import Report, Writer
from gateway.domain.model.events import Severity
from gateway.errors import JournalUnavailableError
from gateway.journal import Journal, Stream

log = structlog.get_logger(__name__)

_CONSUMER, _DECODER = "consumer.", "decoder "


class OwnAlerts:
    """Raises and clears them, in the journal."""

    def __init__(self, writer: Writer, stream: Stream) -> None:
        self._writer = writer
        self._stream = stream

    async def report(self, subject: str, problem: str | None, severity: Severity = "warning", /) -> None:
        """Raise or clear an alert about a part of the gateway itself; what cannot be recorded is in the log."""
        severity_now, reason = (severity, problem) if problem else (None, "well again")
        try:
            await self._writer.ask(Report(subject, severity_now, reason, time.time_ns()))
        except JournalUnavailableError as error:
            log.warning("what is wrong with the gateway itself could not be recorded", about=subject, error=str(error))
        self._stream.announce()


async def clear_gone(
    journal: Journal,
    report: Callable[[str, None], Awaitable[None]],
    handlers: Iterable[str],
    consumers: Iterable[Follower],
    decoders: Iterable[str] = (),
) -> None:
    """Clear the alerts about handlers, consumers and decoders that are not in the configuration any more."""
    there = {*map(handler_subject, handlers), *(each.subject for each in consumers), *decoders}
    for subject in sorted(await journal.call(_subjects, journal) - there):
        await report(subject, None)


def _subjects(journal: Journal) -> set[str]:
    subjects = {alert.sensor_id for alert in journal.open_alerts() if alert.kind == "gateway"}
    return {
        name for name in subjects if name in SECTIONS or name.startswith((handler_subject(""), _CONSUMER, _DECODER))
    }
