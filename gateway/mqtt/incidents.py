"""What has happened at the broker that somebody should know of, since nothing else tells of it.

A state, such as being unable to connect, ends by itself; these are events. Each is an alert of the gateway about itself
that clears when nothing of the kind has happened for an hour.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from gateway.domain.model.events import Severity

log = structlog.get_logger(__name__)

SESSION = "broker session"
"""The broker has not kept our session, or somebody else has taken it: what it had queued for us is lost."""
QUEUE = "broker queue"
"""The broker has dropped messages."""
TOPICS = "broker topics"
"""The broker does not take, or not keep, what we publish, or somebody else publishes on our topics."""
CONNECTIONS = "broker connections"
"""Our two connections cannot live beside each other."""
SUBJECTS = (SESSION, QUEUE, TOPICS, CONNECTIONS)

_LASTING = 3600.0
_GATHERING = 3.0
"""Seconds for which an incident is held back: how many messages the broker dropped is heard over another connection."""
_LOOK_EVERY = 1.0


class Incident(NamedTuple):
    """What happened, when it was first and last seen (monotonic seconds), and how bad it is."""

    severity: Severity
    reason: str
    since: float
    last: float


class Incidents:
    """What has happened lately, by subject."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[str, Incident] = {}
        self._details: dict[str, tuple[str, float]] = {}

    def happened(self, subject: str, severity: Severity, reason: str) -> None:
        """Take note of something that has happened. It may be called from any thread."""
        now = self._clock()
        known = self._found.get(subject)
        if known is not None and known.severity == "critical":
            severity = "critical"
        if known is None or known.severity != severity:
            log.warning(reason, about=subject)
        self._found[subject] = Incident(severity, reason, known.since if known else now, now)

    def add(self, subject: str, detail: str) -> None:
        """Add to what is said of a subject, should it have happened or happen within the hour."""
        self._details[subject] = detail, self._clock()

    def standing(self) -> dict[str, tuple[Severity, str] | None]:
        """Return what is to be told of each subject now; None where nothing has happened for an hour."""
        now = self._clock()
        self._found = {name: each for name, each in self._found.items() if now - each.last < _LASTING}
        ready = {name: each for name, each in self._found.items() if now - each.since >= _GATHERING}
        told: dict[str, tuple[Severity, str] | None] = {name: None for name in SUBJECTS if name not in self._found}
        for name, each in ready.items():
            detail, at = self._details.get(name, ("", now))
            told[name] = (each.severity, f"{each.reason}; {detail}" if detail and now - at < _LASTING else each.reason)
        return told


async def watch_incidents(incidents: Incidents, report: Callable[[str, str | None, Severity], Awaitable[None]]) -> None:
    """Report what has changed, for ever; first that all is well, as what an earlier process told of is over."""
    told: dict[str, tuple[Severity, str] | None] = {}
    while True:
        for subject, found in incidents.standing().items():
            if subject not in told or told[subject] != found:
                severity, reason = found or ("warning", None)
                await report(subject, reason, severity)
                told[subject] = found
        await asyncio.sleep(_LOOK_EVERY)
