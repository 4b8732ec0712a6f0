"""What a third party builds on: the two Protocols and the types they speak.

A handler tells somebody (mail, SMS, a chat room); a consumer follows the journal (another database, a report).
Both are found by entry point, in the groups `vibration_gateway.handlers` and `vibration_gateway.consumers`, and are
loaded only when the configuration names them. The entry point is a class, or any callable, that takes `name` and
`settings` (its table of the configuration without `type`) and raises ValueError for settings it cannot use.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import Any, Literal, Protocol
from warnings import warn

from msgspec import Struct

from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.model import Item, Notification, NotificationKind
from gateway.errors import DeliveryError

__all__ = [
    "Attached",
    "Consumer",
    "ConsumerContext",
    "Context",
    "DeliveryError",
    "DomainEvent",
    "EventRecord",
    "FullConsumer",
    "Handler",
    "HandlerFactory",
    "Item",
    "Notification",
    "NotificationKind",
    "Previewed",
    "Refused",
    "StoredReading",
    "Taken",
    "Trend",
    "Wants",
]


class Handler(Protocol):
    """Tells somebody. One instance per table `[handlers.NAME]`, used by one task at a time."""

    async def send(self, notification: Notification) -> str:
        """Deliver and return what the other side said, in a few words.

        Raises DeliveryError: `retry=False` if no further attempt can succeed. Any other exception counts as one
        that a retry may cure. The gateway ends a call that takes longer than the handler's `timeout`.
        """
        ...


class Trend(Struct, frozen=True):
    """What a sensor measured lately, the oldest first. `baselines` are what each level was compared with.

    Times are nanoseconds since 1970, everything else is in the sensor's unit. The limits are those of now; None where
    none is known.
    """

    times_ns: Sequence[int] = ()
    levels: Sequence[float] = ()
    baselines: Sequence[float | None] = ()
    warning: float | None = None
    critical: float | None = None


async def _no_trend(_sensor_id: str, _since_ns: int, _until_ns: int) -> Trend:
    return Trend()


def _no_address(_alert_id: str, _person: str) -> str:
    return ""


def _no_page(_alert_id: str, _severity: str, _person: str) -> str:
    return ""


class Context(Struct, frozen=True):
    """What the gateway offers to a handler that asks for it by having a method `attach`.

    `timezone` is for times in messages. `trend(sensor_id, since_ns, until_ns)` gives the
    readings with since <= time < until, or the newest of them where there are very many.
    `acknowledge_url(alert_id, person)` gives the address of a page on which that person, and whoever is handed the
    address, can acknowledge; it is empty where the gateway has no public address. `alert_url(alert_id, severity,
    person)` is short enough for an SMS, and of a page with everything that can be done about the alert while it has
    that severity, by a person whom a handler of the type `email` or `sms` tells today.
    """

    timezone: tzinfo = UTC
    trend: Callable[[str, int, int], Awaitable[Trend]] = _no_trend
    acknowledge_url: Callable[[str, str], str] = _no_address
    alert_url: Callable[[str, str, str], str] = _no_page


class Previewed(Handler, Protocol):
    """A handler that can show what it would send."""

    async def preview(self, notification: Notification) -> Mapping[str, str]:
        """Return the parts of the message by name; `text` is what people read. Sends nothing."""
        ...


class Attached(Handler, Protocol):
    """A handler that wants to know more than its settings and its notifications."""

    def attach(self, context: Context) -> None:
        """Take what the gateway offers; called once, before the first `send`."""
        ...


def __getattr__(name: str) -> type[Struct]:
    """Return a type under the name it had before 0.2: `Fact` is `DomainEvent`, `Entry` is `EventRecord`."""
    if name not in _BEFORE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    now = _BEFORE[name]
    warn(f"gateway.api.{name} is called {now.__name__} now", DeprecationWarning, stacklevel=2)
    return now


_BEFORE: dict[str, type[Struct]] = {"Fact": DomainEvent, "Entry": EventRecord}

HandlerFactory = Callable[[str, Mapping[str, Any]], Handler]


class Refused(Struct, frozen=True):
    """A row that a consumer can never take: the `seq` of a reading or a fact, and why, in a few words."""

    seq: int
    reason: str


class Taken(Struct, frozen=True):
    """What a consumer returns if it has taken everything except some rows.

    Those it has `refused` become dead letters of its own. `skipped` counts those that it has left out and that are
    nobody's concern, such as readings that are older than what it keeps.
    """

    refused: Sequence[Refused] = ()
    skipped: int = 0


class Consumer(Protocol):
    """Follows the journal. It is handed every reading and every fact, in order, and again if it raised."""

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Taken | None:
        """Take everything of one step, ordered by `seq` in each sequence; its cursor moves when this returns.

        Returns None if everything is taken, or a Taken that names what is not. Raises DeliveryError to be handed the
        same again later, or, with `retry=False`, to leave out `rows`; without any, those that it refuses are searched
        for. At least once: be idempotent, for instance by `event_id`.
        """
        ...


class Wants(Struct, frozen=True):
    """What a consumer wants to be handed, from where, and how often.

    `readings` and `facts` say which of the two; `types` are the only types of facts, None for all. A new consumer
    starts with the journal's `beginning`, or with what comes from `now` on. One that keeps up is handed something every
    so many seconds at most. Retention keeps what a consumer has not had yet for as long as it can, if it `waits`.
    """

    readings: bool = True
    facts: bool = True
    types: frozenset[str] | None = None
    start: Literal["beginning", "now"] = "beginning"
    every: float = 0.0
    waits: bool = True


async def _no_reading(_fact: DomainEvent) -> StoredReading | None:
    return None


async def _no_facts(_id: str) -> Sequence[EventRecord]:
    return ()


def _no_metrics() -> Sequence[tuple[Mapping[str, str], Mapping[str, float]]]:
    return ()


class ConsumerContext(Struct, frozen=True):
    """What the gateway offers to every consumer that has a method `start`.

    `own_metrics()` gives (labels, name -> value) for every set of labels of the gateway's own metrics.
    `reading_behind(fact)` finds the reading that a fact followed from, `facts_with_id(id)` the facts with an id.
    """

    gateway_id: str = ""
    own_metrics: Callable[[], Sequence[tuple[Mapping[str, str], Mapping[str, float]]]] = _no_metrics
    reading_behind: Callable[[DomainEvent], Awaitable[StoredReading | None]] = _no_reading
    facts_with_id: Callable[[str], Awaitable[Sequence[EventRecord]]] = _no_facts


class FullConsumer(Consumer, Protocol):
    """A consumer that says what it wants, and is started and closed. Without `wants`, neither is called."""

    wants: Wants

    async def start(self, context: ConsumerContext) -> None:
        """Connect; called before the first `consume`, and again after a pause if it raises."""
        ...

    async def close(self) -> None:
        """Give back what `start` took; called when the gateway stops, after the last `consume`."""
        ...
