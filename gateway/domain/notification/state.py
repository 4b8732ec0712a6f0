"""What the planner remembers of the alerts that people are told of, record by record, so that each can be stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from gateway.domain.notification.flood import Flaps, Traffic
from gateway.domain.notification.model import Item
from gateway.domain.notification.suppression import Mute

R = TypeVar("R", bound=Struct)


class RouteState(Struct, omit_defaults=True):
    """An alert on one route: `held` are the changes that the hold `hold` keeps back, `told` those who know of it.

    `step` counts the escalations, `reminders` the reminders; the times are those of the next ones.
    """

    handlers: tuple[str, ...] = ()
    held: tuple[Item, ...] = ()
    hold: str = ""
    told: tuple[str, ...] = ()
    step: int = 0
    reminders: int = 0
    escalate_ns: int | None = None
    remind_ns: int | None = None


class AlertNotificationState(Struct, omit_defaults=True):
    """An alert as far as telling people goes: `item` is its last change for the worse.

    `pending` are changes that nobody has been told of, since the alert is muted. `known` says that somebody is told of
    `item`, so that what follows from it need not be. `number` keeps the order.
    """

    number: int
    item: Item
    correlation: str
    acknowledged: bool = False
    over: bool = False
    known: bool = False
    shelved_until_ns: int | None = None
    mute: Mute | None = None
    pending: tuple[Item, ...] = ()
    legs: dict[str, RouteState] = {}


class Hold(Struct, omit_defaults=True):
    """What gathers changes on a route until `due_ns`. `worst` is the worst severity that a group has been told."""

    kind: str
    route: str
    due_ns: int
    since_ns: int
    worst: int = 0


class Notice(Struct, omit_defaults=True):
    """A notice before a silence ends at `until_ns`; it has gone when `due_ns` is None."""

    until_ns: int
    due_ns: int | None


class Stopped(Struct, omit_defaults=True):
    """That a machine has stopped, since when, and the state that says so, in small letters."""

    since_ns: int
    state: str = ""


class Clock(Struct, omit_defaults=True):
    """What our clock said last."""

    now_ns: int = 0


RECORDS: dict[str, type[Struct]] = {
    "case": AlertNotificationState,
    "hold": Hold,
    "traffic": Traffic,
    "flaps": Flaps,
    "notice": Notice,
    "stopped": Stopped,
    "clock": Clock,
}


class PlannerState:
    """Records by kind and key. What has been touched since the last `changes` is what must be stored."""

    def __init__(self) -> None:
        self._records: dict[str, dict[str, Any]] = {kind: {} for kind in RECORDS}
        self._touched: dict[tuple[str, str], None] = {}

    def restore(self, rows: Iterable[tuple[str, str, bytes]]) -> int:
        """Take up records as `changes` gave them; return how many this program cannot read and leaves out."""
        unreadable = 0
        for kind, key, encoded in rows:
            try:
                self._records[kind][key] = msgspec.json.decode(encoded, type=RECORDS[kind])
            except (KeyError, msgspec.ValidationError):
                unreadable += 1
        return unreadable

    def get(self, type_: type[R], key: str) -> R | None:
        """Return a record, or None."""
        found: R | None = self._records[_kind(type_)].get(key)
        return found

    def all(self, type_: type[R]) -> Iterator[tuple[str, R]]:
        """Return (key, record) of every record of a kind, as they are now."""
        return iter(list(self._records[_kind(type_)].items()))

    def put(self, key: str, record: Struct) -> None:
        """Keep a record, new or changed."""
        kind = _kind(type(record))
        self._records[kind][key] = record
        self._touched[kind, key] = None

    def drop(self, type_: type[Struct], key: str) -> None:
        """Forget a record."""
        kind = _kind(type_)
        if self._records[kind].pop(key, None) is not None:
            self._touched[kind, key] = None

    def changes(self) -> list[tuple[str, str, bytes | None]]:
        """Return (kind, key, record) of what has changed since the last time; None for what is forgotten."""
        found = [
            (kind, key, None if record is None else msgspec.json.encode(record))
            for kind, key in self._touched
            for record in (self._records[kind].get(key),)
        ]
        self._touched.clear()
        return found


def shift(book: PlannerState, by_ns: int) -> None:
    """Move the times of everything that waits."""
    for key, hold in book.all(Hold):
        hold.due_ns, hold.since_ns = hold.due_ns + by_ns, hold.since_ns + by_ns
        book.put(key, hold)
    for key, traffic in book.all(Traffic):
        traffic.times = [time + by_ns for time in traffic.times]
        traffic.digest_ns += by_ns if traffic.digest_ns else 0
        traffic.critical = {machine: at_ns + by_ns for machine, at_ns in traffic.critical.items()}
        book.put(key, traffic)
    for key, flaps in book.all(Flaps):
        flaps.times = [time + by_ns for time in flaps.times]
        book.put(key, flaps)
    for key, case in book.all(AlertNotificationState):
        for leg in case.legs.values():
            leg.escalate_ns = None if leg.escalate_ns is None else leg.escalate_ns + by_ns
            leg.remind_ns = None if leg.remind_ns is None else leg.remind_ns + by_ns
        book.put(key, case)


def _kind(type_: type[Struct]) -> str:
    return _KINDS[type_]


_KINDS = {type_: kind for kind, type_ in RECORDS.items()}
