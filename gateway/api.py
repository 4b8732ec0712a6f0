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

from msgspec import Struct

from gateway.domain.decoding import EVENT
from gateway.domain.events import AlertKind, Fact, Severity, VibrationRecorded, derive
from gateway.domain.telling import Item, NotificationKind, Withdrawal
from gateway.errors import DeliveryError

__all__ = [
    "Attached",
    "Consumer",
    "Context",
    "DeliveryError",
    "Entry",
    "Fact",
    "Handler",
    "HandlerFactory",
    "Item",
    "Notification",
    "NotificationKind",
    "Previewed",
    "StoredReading",
    "Trend",
]


class Notification(Struct, frozen=True, rename="camel"):
    """One message to be told through one handler. Its texts come from sensors: show them, never interpret them.

    `id` is the same at every attempt, so that the receiving side can recognise a repetition. Times are nanoseconds
    since 1970. `level` and `baseline` are in `unit`; `ratio` is level / baseline.

    A message about several alerts (`count` of them) lists them in `grouped`, the worst first, a thousand at most; its
    own fields are then those of the worst one, `reason` says in a sentence what they are, and `machine`, `area` and
    `site` are empty where they differ. `escalated` says that it is worse, `escalation` that nobody has acknowledged.
    """

    id: str
    kind: NotificationKind
    alert_id: str
    alert_kind: AlertKind
    severity: Severity
    sensor_id: str
    reason: str
    occurred_ns: int
    opened_ns: int
    gateway_id: str
    site: str = ""
    area: str = ""
    machine: str = ""
    location: str = ""
    level: float | None = None
    baseline: float | None = None
    ratio: float | None = None
    unit: str = ""
    page_url: str = ""
    grouped: tuple[Item, ...] = ()
    count: int = 1


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


class Context(Struct, frozen=True):
    """What the gateway offers to a handler that asks for it by having a method `attach`.

    `timezone` is for times in messages. `trend(sensor_id, since_ns, until_ns)` gives the
    readings with since <= time < until, or the newest of them where there are very many.
    `acknowledge_url(alert_id, person)` gives the address of a page on which that person, and whoever is handed the
    address, can acknowledge; it is empty where the gateway has no public address.
    """

    timezone: tzinfo = UTC
    trend: Callable[[str, int, int], Awaitable[Trend]] = _no_trend
    acknowledge_url: Callable[[str, str], str] = _no_address


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


HandlerFactory = Callable[[str, Mapping[str, Any]], Handler]


class StoredReading(Struct, frozen=True, gc=False):
    """A reading in the journal: `time_ns` is when it was measured, `baseline` what it was compared with."""

    seq: int
    time_ns: int
    sensor_id: str
    tags: dict[str, str]
    level: float
    baseline: float | None
    flags: int
    event_id: str
    received_ns: int
    body: bytes

    def event(self) -> VibrationRecorded:
        """Decode the whole event, as the sensor published it."""
        return EVENT.decode(self.body)


class Entry(Struct, frozen=True):
    """A derived event in the journal with its place in the sequence."""

    seq: int
    fact: Fact
    recorded_ns: int


class Step(Struct, frozen=True):
    """What a follower is handed at once: everything after its cursor up to and including `until`."""

    readings: list[StoredReading]
    entries: list[Entry]
    until: int


OutboxState = Literal["pending", "sent", "uncertain", "failed", "withdrawn"]
"""What an attempt leaves a notification in; `sending` is the state during one. One that is not to go any more before it
has gone is withdrawn."""


class OutboxItem(Struct, frozen=True):
    """A notification on its way out through `handler`, by the choice of `route`.

    `cause` is the id of the first fact it tells of; `changes` are all of them, as (alert, fact).
    """

    id: str
    handler: str
    attempts: int
    created_ns: int
    cause: str
    correlation: str
    notification: Notification
    route: str = ""
    changes: tuple[tuple[str, str], ...] = ()

    def outcome(self, type_: str, said: str, time_ns: int) -> Fact:
        """Return the fact of what became of it."""
        data = {
            "alertId": self.notification.alert_id,
            "notificationId": self.id,
            "handler": self.handler,
            "kind": self.notification.kind,
            "attempts": self.attempts,
            "said": said,
        }
        return derive(
            type_,
            self.notification.sensor_id,
            time_ns,
            cause=self.cause,
            correlation=self.correlation,
            data=data,
        )


class Planning(Struct, frozen=True):
    """What the notifier has decided up to a place in the journal, to be written in one transaction.

    `records` are what the planner remembers: (kind, key, JSON), or None for what it has forgotten.
    """

    time_ns: int
    items: Sequence[OutboxItem] = ()
    facts: Sequence[Fact] = ()
    withdrawals: Sequence[Withdrawal] = ()
    records: Sequence[tuple[str, str, bytes | None]] = ()


class Consumer(Protocol):
    """Follows the journal. It is handed every reading and every fact, in order, and again if it raised."""

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[Entry]) -> None:
        """Take everything of one step, ordered by `seq` in each sequence; its cursor moves when this returns.

        Raises DeliveryError to be handed the same again later. At least once: be idempotent, for instance by
        `event_id`.
        """
        ...
