"""What people are told, and what they are not told and why: messages, their items, and the facts about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from gateway.domain.model.alert_kinds import AlertKind
from gateway.domain.model.events import SEVERITIES, DomainEvent, Severity, derived_id
from gateway.domain.model.timefmt import rfc3339

NotificationKind = Literal["raised", "escalated", "cleared", "reminder", "escalation", "digest", "notice", "test"]
"""A change of an alert (the first three); still active (reminder); nobody has acknowledged in time, so somebody else is
told (escalation); several changes in one message (digest); something about a silence (notice); a test."""

ItemKind = Literal["raised", "escalated", "cleared"]

PLACES = ("site", "area", "machine")
"""The placeholders of a topic that say where a machine is, the widest first; each is a field of every item."""

OWN = frozenset({*PLACES, "sensor"})
"""The placeholders that are no tags: an item has them in fields of their own."""

MOST_ITEMS = 1000
"""So many items a message lists; it says how many there are."""

MOST_NAMED = 50
"""So many a text names; of the others it says how many there are."""

SENT, FAILED = "NotificationSent", "NotificationFailed"
SUPPRESSED, DEFERRED = "NotificationSuppressed", "NotificationDeferred"


class Item(Struct, frozen=True, rename="camel"):
    """One change of an alert within a message. Times are nanoseconds since 1970; texts come from sensors.

    `change` is the id of the fact that tells of it; `over` says that the alert had cleared when the message was made.
    `tags` are what further placeholders of the topic have captured. `sensor_id` is the sensor's name, `published_id`
    the id that it publishes where that is another. A `newcomer` is one whose sensor had just become known.
    """

    change: str
    kind: ItemKind
    alert_id: str
    alert_kind: AlertKind
    severity: Severity
    sensor_id: str
    reason: str
    occurred_ns: int
    opened_ns: int
    site: str = ""
    area: str = ""
    machine: str = ""
    location: str = ""
    level: float | None = None
    baseline: float | None = None
    ratio: float | None = None
    unit: str = ""
    over: bool = False
    tags: dict[str, str] = {}
    figure: str = ""
    published_id: str = ""
    newcomer: bool = False


class Planned(Struct, frozen=True):
    """A message to be sent through `handler`, by the choice of `route`. `changes` are (alert, change) it tells of.

    `items` are the worst of them. `cause` is the first change, `correlation` its first cause.
    """

    id: str
    handler: str
    route: str
    kind: NotificationKind
    items: tuple[Item, ...]
    count: int
    reason: str
    cause: str
    correlation: str
    created_ns: int
    changes: tuple[tuple[str, str], ...] = ()


class Withheld(Struct, frozen=True):
    """A message that is not sent, or (with `until_ns` or `deferred`) not now: what decided so, and why."""

    item: Item
    correlation: str
    kind: NotificationKind
    by: str
    reason: str
    time_ns: int
    route: str = ""
    handler: str = ""
    until_ns: int | None = None
    deferred: bool = False


class Withdrawal(Struct, frozen=True):
    """Messages about one alert that have not gone yet and are not to go any more."""

    item: Item
    correlation: str
    kinds: tuple[NotificationKind, ...]
    by: str
    reason: str
    time_ns: int


def item_of(fact: DomainEvent, kind: ItemKind) -> Item:
    """Return the item that tells of an alert's change; `fact` carries the alert as `alerts.describe` gives it."""
    data, tags = fact.data, fact.data["tags"]
    return Item(
        change=fact.id,
        kind=kind,
        alert_id=data["id"],
        alert_kind=data["kind"],
        severity=data["severity"],
        sensor_id=data["sensorId"],
        reason=data["finding"],
        occurred_ns=fact.time_ns,
        opened_ns=data["openedNs"],
        site=tags.get("site", ""),
        area=tags.get("area", ""),
        machine=tags.get("machine", ""),
        location=data["location"],
        level=data["level"],
        baseline=data["baseline"],
        ratio=data["ratio"],
        unit=data["unit"],
        tags=further(tags),
        figure=data.get("figure") or "",
        published_id=data.get("publishedId") or "",
        newcomer=bool(data.get("newcomer")),
    )


def alert_of(sensor_id: str, tags: Mapping[str, str], kind: AlertKind, severity: Severity, now_ns: int) -> Item:
    """Return the item of an alert that there might be, of a sensor whose topic has captured this."""
    site, area, machine = (tags.get(place, "") for place in PLACES)
    own = "", kind, severity, sensor_id, "", now_ns, now_ns, site, area, machine
    return Item("", "raised", *own, tags=further(tags))


def further(tags: Mapping[str, str]) -> dict[str, str]:
    """Return what a topic has captured beside the machine's place and the sensor."""
    return {name: value for name, value in tags.items() if name not in OWN}


def fact_of(withheld: Withheld) -> DomainEvent:
    """Return the fact that a message was not sent, with the reason."""
    item = withheld.item
    type_ = DEFERRED if withheld.deferred else SUPPRESSED
    return DomainEvent(
        id=derived_id(item.change, type_, withheld.kind, withheld.route, withheld.handler, str(withheld.time_ns)),
        type=type_,
        time_ns=withheld.time_ns,
        subject=item.sensor_id,
        correlation_id=withheld.correlation,
        causation_id=item.change,
        data={
            "alertId": item.alert_id,
            "kind": withheld.kind,
            "by": withheld.by,
            "reason": withheld.reason,
            "route": withheld.route or None,
            "handler": withheld.handler or None,
            "until": None if withheld.until_ns is None else rfc3339(withheld.until_ns),
        },
    )


def worst_first(items: Sequence[Item]) -> list[Item]:
    """Return items in the order in which people should read them.

    Sensors that have been known for long come before new ones, however bad these are: whoever invents a hundred alerts
    does not hide one. Of those that are alike, a machine with few comes before one with many: it was healthy until now.
    """
    alerts = Counter((item.site, item.area, item.machine) for item in items)

    def key(item: Item) -> tuple[bool, bool, int, int, float]:
        many = alerts[item.site, item.area, item.machine]
        return item.over, item.newcomer, -SEVERITIES.index(item.severity), many, -(item.ratio or 0.0)

    return sorted(items, key=key)


def in_a_sentence(items: Sequence[Item]) -> str:
    """Return what many changes are: `12 alerts on 3 machines: 2 critical, 10 warning; 4 are over`."""
    severities = Counter(item.severity for item in items)
    machines = len({(item.site, item.area, item.machine) for item in items if item.machine})
    over = sum(item.over or item.kind == "cleared" for item in items)
    counts = ", ".join(
        f"{severities[severity]} {severity}" for severity in reversed(SEVERITIES) if severities[severity]
    )
    where = f" on {machines} machine{'s' * (machines != 1)}" if machines else ""
    return f"{len(items)} alerts{where}: {counts}" + (f"; {over} over" if over else "")


class Notification(Struct, frozen=True, rename="camel"):
    """One message to be told through one handler. Its texts come from sensors: show them, never interpret them.

    `id` is the same at every attempt, so that the receiving side can recognise a repetition. Times are nanoseconds
    since 1970. `level` and `baseline` are in `unit`; `ratio` is level / baseline. Where it is not the level that is
    beyond a limit, `figure` says what is: `velocity RMS 6.2 mm/s, trip of ISO 10816-3 5.62`.

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
    figure: str = ""
