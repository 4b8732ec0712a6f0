"""Why the gateway cannot do its job right now, and the alert about a broker that is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from gateway.domain.model.events import Severity
from gateway.domain.notification.suppression import BROKER
from gateway.journal import Upkeep
from gateway.mqtt.subscriber import Subscriber

_AWAY, _LOOK_EVERY = 300.0, 5.0


class Condition(Protocol):
    """How ingest is, for those who follow the journal."""

    @property
    def broker_problems(self) -> Sequence[str]:
        """Why nothing comes from the broker."""
        ...

    def reasons(self) -> list[str]:
        """Return why the gateway cannot do its job right now; none means ready."""
        ...

    def dead(self) -> list[str]:
        """Say that ingest hangs, if it is a process of its own and does."""
        ...


class Health:
    """Why the gateway cannot do its job right now."""

    def __init__(self, subscriber: Subscriber, upkeep: Upkeep, unpublished: Callable[[], str] = lambda: "") -> None:
        self._subscriber = subscriber
        self._upkeep = upkeep
        self._unpublished = unpublished
        self.journal_problem: str | None = None

    async def room(self) -> None:
        """Wait until there is room on the disk."""
        await self._upkeep.room()

    @property
    def broker_problems(self) -> Sequence[str]:
        """Why nothing comes from the broker."""
        return self._subscriber.problems

    def reasons(self) -> list[str]:
        """Return the reasons; none means ready."""
        return [*self.deafness(), *filter(None, (self._unpublished(),))]

    def dead(self) -> list[str]:
        """Return nothing: it is this very process."""
        return []

    def deafness(self) -> list[str]:
        """Return the reasons for which readings do not come in, or are not stored."""
        found = (self.journal_problem, self._upkeep.problem, self._upkeep.reading_problem)
        return [*self._subscriber.problems, *filter(None, found)]


async def watch_broker(
    problems: Callable[[], Sequence[str]], report: Callable[[str, str | None, Severity], Awaitable[None]]
) -> None:
    """Report when the broker has been away for long: no machine can raise an alert of its own then."""
    since: float | None = None
    while True:
        found = problems()
        since = None if not found else since or time.monotonic()
        if since is None:
            await report(BROKER, None, "critical")
        elif time.monotonic() - since >= _AWAY:
            await report(BROKER, f"nothing is heard for {_AWAY / 60:g} minutes: {found[0]}", "critical")
        await asyncio.sleep(_LOOK_EVERY)
