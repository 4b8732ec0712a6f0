"""What the web part needs from the rest of the gateway; `app` hands it over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from gateway.domain.engine.event_log import StoredReading
from gateway.domain.engine.purging import Selection
from gateway.fleet.wire import Order
from gateway.web.permission import Access


class LiveState(Protocol):
    """The present: sensors and open alerts, with a version that grows with every change."""

    @property
    def version(self) -> int:
        """The newest version."""
        ...

    def worst(self, limit: int) -> list[str]:
        """Return the ids of the `limit` worst sensors, the worst first."""
        ...

    def answering(self, asked: str) -> list[str]:
        """Return the names of the sensors that something people write may mean."""
        ...

    def sensor(self, sensor_id: str) -> dict[str, Any] | None:
        """Return one sensor, or None if it is unknown."""
        ...

    def changes(self, since: int) -> dict[str, Any]:
        """Return what changed after version `since` ; 0 gives everything that is shown."""
        ...

    async def changed(self, since: int) -> None:
        """Wait until there is a later version than `since`."""
        ...


class Answers(Protocol):
    """What can be asked of the journal and of the gateway itself.

    Alerts are as `gateway.domain.alerts.describe` gives them; `web.schema` describes the other answers. Each raises
    TooMuchError if it takes too long to look up.
    """

    async def history(self, sensor_id: str, since_ns: int, until_ns: int, limit: int) -> Sequence[StoredReading]:
        """Return the newest `limit` readings of the sensor with since <= time < until, the oldest first."""
        ...

    async def levels(self, sensor_id: str, window_ns: tuple[int, int], points: int) -> Mapping[str, Any]:
        """Return a sensor's levels in since <= time < until, in about so many points."""
        ...

    async def standing(self, sensor_id: str) -> Mapping[str, Any]:
        """Return what of a sensor was not judged and why, and how its machine was said to run."""
        ...

    async def list_alerts(
        self,
        everything: bool,  # noqa: FBT001 - one word
        limit: int,
        after: str | None,
    ) -> Sequence[Mapping[str, Any]]:
        """Return the `limit` worst open alerts, oldest first; or the newest of all, newest first.

        Of all, `after` is the id of the alert that they follow.
        """
        ...

    async def find_alert(self, alert_id: str) -> Mapping[str, Any] | None:
        """Return an alert, open or closed, with its past as `web.schema` has it; or None."""
        ...

    async def trace(self, event_id: str) -> Mapping[str, Any] | None:
        """Return the life of an event, or None."""
        ...

    async def baselines(self, sensor_id: str | None) -> Sequence[Mapping[str, Any]]:
        """Return the baselines of a sensor that hold now, or of all."""
        ...

    async def silences(self, everything: bool) -> Sequence[Mapping[str, Any]]:  # noqa: FBT001 - one word
        """Return the silences that hold or will, or all, as `gateway.domain.silences.describe_now` gives them.

        Also `mutes`: the ids of the open alerts that each mutes now.
        """
        ...

    async def inputs(self) -> Sequence[Mapping[str, Any]]:
        """Return what each input has done since the gateway was started, as `web.schema` has it."""
        ...

    async def not_understood(self) -> Mapping[str, Any]:
        """Return what was heard and not understood, as `web.schema` has it."""
        ...

    async def proposal(self, seq: int) -> Mapping[str, Any]:
        """Return `inputs`, which would read the group of a dead letter. Raises NotFoundError."""
        ...

    async def tried(self, text: str) -> Mapping[str, Any]:
        """Return what inputs would make of what was heard. Raises RefusedError for what are none."""
        ...

    async def condition(self) -> Mapping[str, Any]:
        """Return how the gateway itself is."""
        ...


class Actions(Protocol):
    """What changes something."""

    async def acknowledge(self, alert_id: str, by: str, reason: str) -> Mapping[str, Any]:
        """Acknowledge an alert and return it. Raises NotFoundError or ConflictError."""
        ...

    async def set_baseline(self, sensor_id: str, level: float, state: str, by: str, reason: str) -> Mapping[str, Any]:
        """Set what is normal for a sensor, and return that. Raises NotFoundError or ConflictError."""
        ...

    async def relearn(self, sensor_id: str, state: str | None, by: str, reason: str) -> Mapping[str, Any]:
        """Have it learned anew, in one operating state or in all. Raises NotFoundError or ConflictError."""
        ...

    async def forget(self, sensor_id: str, by: str, reason: str) -> Mapping[str, Any]:
        """Let nobody wait for a sensor any more; return `sensorId`, `by`, `comment`, `at`. Raises NotFoundError."""
        ...

    async def selected(self, wanted: Selection) -> list[str]:
        """Return the ids of the sensors that `purge` would remove."""
        ...

    async def purge(self, wanted: Selection, by: str, reason: str, *, machine_states: bool) -> Mapping[str, Any]:
        """Remove sensors with all their readings, and states of machines without one; return how many of each."""
        ...

    async def add_silence(self, parts: Mapping[str, Any], by: str, reason: str) -> Mapping[str, Any]:
        """Add a silence and return it. Raises ValueError for one that cannot be."""
        ...

    async def expire_silence(self, silence_id: str, by: str) -> Mapping[str, Any]:
        """End a silence now and return it. Raises NotFoundError or ConflictError."""
        ...

    async def shelve(self, alert_id: str, duration_ns: int, by: str, reason: str) -> Mapping[str, Any]:
        """Shelve an alert for a while and return it. Raises NotFoundError or RefusedError."""
        ...

    async def unshelve(self, alert_id: str, by: str, reason: str) -> Mapping[str, Any]:
        """Take an alert off the shelf and return it. Raises NotFoundError or ConflictError."""
        ...

    async def backfill(self, consumer: str, after: int) -> Mapping[str, Any]:
        """Have a consumer handed everything after a sequence number again. Raises NotFoundError."""
        ...

    async def replay(self, numbers: Sequence[int]) -> Mapping[str, Any]:
        """Take dead letters (all, if no numbers are given) through again.

        Returns `asked`, `replayed` and `problems`.
        """
        ...


class FleetCentre(Protocol):
    """The gateways that this one is the centre of."""

    async def seen(self) -> Mapping[str, Any]:
        """Return all gateways and their open alerts."""
        ...

    async def ask(self, gateway: str, alert: str, wish: Order) -> Order:
        """Order something of a gateway. Raises NotFoundError or ConflictError."""
        ...

    async def forget(self, gateway: str, by: str) -> None:
        """Forget a gateway. Raises NotFoundError or ConflictError."""
        ...


@dataclass(frozen=True)
class Services:
    """Where the answers come from.

    `readiness` gives the reasons for not being ready, `dead` those for not being healthy. `link_key` is what links to
    acknowledge are signed with. `refused` counts a request that was refused, by its reason.
    """

    live: LiveState
    answers: Answers
    readiness: Callable[[], Sequence[str]]
    registry: CollectorRegistry
    actions: Actions | None = None
    token: str = ""
    link_key: bytes = b""
    refused: Callable[[str], None] = lambda _: None
    access: Access = field(default_factory=Access)
    dead: Callable[[], Sequence[str]] = list
    fleet: FleetCentre | None = None


@dataclass(frozen=True)
class PageSettings:
    """What the page shows of the configuration, and `hosts`: further names under which browsers may ask for it.

    `timezone` is for times that the gateway itself writes into a page, `people` are those whom a message with a link of
    their own is for.
    """

    gateway_id: str
    topics: Sequence[str] = ()
    warning_ratio: float = 1.6
    critical_ratio: float = 2.5
    hosts: frozenset[str] = frozenset()
    timezone: tzinfo = UTC
    people: frozenset[str] = frozenset()
