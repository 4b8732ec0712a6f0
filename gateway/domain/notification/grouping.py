"""Gathering: the first of a group goes at once, what follows waits; so does what comes in quiet hours or in a flood.

What is worse than all that was told or gathered of its machine waits for no digest.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from msgspec.structs import replace

from gateway.domain.model.events import SEVERITIES
from gateway.domain.notification.flood import URGENT_NS, Flaps, Traffic
from gateway.domain.notification.matching import group_of
from gateway.domain.notification.model import Item
from gateway.domain.notification.plan_builder import PlanBuilder, ToldBefore
from gateway.domain.notification.routing import Route
from gateway.domain.notification.state import AlertNotificationState, Hold, RouteState

_REASONS = {
    "quiet": "quiet hours: warnings of this route wait until they end",
    "flap": "the alert of this sensor comes and goes; what becomes of it is gathered",
    "flood": "more alerts than people can read one by one; they are gathered",
}


class Grouping:
    """What is held back, by hold."""

    def __init__(self, desk: PlanBuilder) -> None:
        self._desk = desk
        self._members: dict[str, dict[str, None]] = {}

    def restore(self, cases: Iterable[tuple[str, AlertNotificationState]]) -> None:
        """Take up who is held back."""
        self._members.clear()
        for alert_id, case in cases:
            for leg in case.legs.values():
                if leg.hold and self._desk.book.get(Hold, leg.hold) is not None:
                    self._members.setdefault(leg.hold, {})[alert_id] = None

    def place(self, case: AlertNotificationState, name: str, items: tuple[Item, ...], now_ns: int) -> None:
        """Send changes of a case on a route, or hold them back."""
        desk, leg, route = self._desk, case.legs[name], self._desk.table.by_name[name]
        leg.held += items
        if items[-1].kind == "cleared" and leg.hold:
            desk.keep(case)  # it goes with the rest, as what is over
            return
        key = self._hold_for(name, route, items[-1], now_ns)
        if leg.hold and leg.hold != key:
            self._members[leg.hold].pop(case.item.alert_id, None)
        if key is None:
            leg.hold = ""
            desk.send(name, [ToldBefore(case, leg, _as_one(leg))], now_ns)
            return
        leg.hold = key
        self._members.setdefault(key, {})[case.item.alert_id] = None
        hold = desk.book.get(Hold, key)
        if hold is not None and hold.kind in _REASONS:
            desk.withhold(
                case, items, hold.kind, _REASONS[hold.kind], now_ns, route=name, until_ns=hold.due_ns, deferred=True
            )
        desk.keep(case)

    def flush(self, key: str, now_ns: int) -> None:
        """Send what a hold has gathered, if it is due."""
        desk, hold = self._desk, self._desk.book.get(Hold, key)
        if hold is None or hold.due_ns > now_ns:
            return
        route = desk.table.by_name[hold.route]
        if hold.kind == "quiet" and route.quiet is not None and route.quiet.contain(now_ns):
            self._put_off(key, hold, route.quiet.until(now_ns))
            return
        shown = self._shown(hold, route, self._members.pop(key, {}), now_ns)
        if shown:
            desk.send(hold.route, shown, now_ns)
        if shown and hold.kind in {"group", "urgent"}:  # what follows soon is gathered again
            self._put_off(key, hold, now_ns + (URGENT_NS if hold.kind == "urgent" else route.group_wait_ns))
            return
        desk.book.drop(Hold, key)
        if shown and hold.kind == "flood":
            traffic = desk.book.get(Traffic, hold.route) or Traffic()
            traffic.digest_ns = now_ns
            desk.book.put(hold.route, traffic)

    def _shown(self, hold: Hold, route: Route, members: Iterable[str], now_ns: int) -> list[ToldBefore]:
        """Return what a message is to tell of, in the order of the alerts.

        Not what is over before anybody was told, unless the route asks for it.
        """
        shown = []
        cases = [case for alert_id in members if (case := self._desk.book.get(AlertNotificationState, alert_id))]
        for case in sorted(cases, key=lambda case: case.number):
            leg = case.legs.get(hold.route)
            if leg is None or not leg.held:
                continue
            item = _as_one(leg)
            if item.kind == "cleared" and hold.kind == "group" and not route.resolved:
                self._desk.withhold(
                    case, leg.held, "over", "it was over before anybody was told", now_ns, route=hold.route
                )
                leg.held, leg.hold = (), ""
                self._desk.keep(case)
            else:
                shown.append(ToldBefore(case, leg, item))
        return shown

    def _hold_for(self, name: str, route: Route, item: Item, now_ns: int) -> str | None:
        """Return the hold that keeps a change back, or None if it goes at once."""
        if route.quiet is not None and item.severity == "warning" and route.quiet.contain(now_ns):
            return self._open("quiet", name, route.quiet.until(now_ns), now_ns)
        flaps = self._desk.book.get(Flaps, item.sensor_id)
        is_flapping = flaps is not None and flaps.flapping(now_ns, self._desk.noise)
        is_worse = self._is_worse(name, item, now_ns)
        if not is_flapping and not self._is_flood(name, now_ns):
            return self._group(name, route, item, now_ns)
        if is_worse:
            return self._first_or_next(f"urgent\x1f{name}", Hold("urgent", name, now_ns + URGENT_NS, now_ns))
        if is_flapping:
            return self._open("flap", name, now_ns + self._desk.noise.flap_window_ns, now_ns)
        return self._join_flood(name, now_ns)

    def _is_worse(self, name: str, item: Item, now_ns: int) -> bool:
        """Tell whether a change is worse than all that was told or gathered of its machine for long."""
        if item.severity != SEVERITIES[-1]:
            return False
        desk = self._desk
        traffic = desk.book.get(Traffic, name) or Traffic()
        machine = "\x1f".join((item.site, item.area, item.machine or item.sensor_id))
        is_news = traffic.is_news(machine, now_ns, max(desk.noise.flood_window_ns, desk.noise.flap_window_ns))
        desk.book.put(name, traffic)
        return is_news

    def _first_or_next(self, key: str, hold: Hold) -> str | None:
        """Return the hold that a change waits with, or None for the first, which opens it and does not wait."""
        if self._desk.book.get(Hold, key) is not None:
            return key
        self._put_off(key, hold, hold.due_ns)
        return None

    def _group(self, name: str, route: Route, item: Item, now_ns: int) -> str | None:
        """Return the group that a change waits with; the first, and what is worse than all before, does not wait."""
        if route.group_by == "none" or not route.group_wait_ns:
            return None
        key = "\x1f".join(("group", name, group_of(item, route.group_by)))
        rank = SEVERITIES.index(item.severity)
        hold = self._desk.book.get(Hold, key)
        if hold is not None and rank > hold.worst:
            self._desk.book.put(key, replace(hold, worst=rank))
            return None
        return self._first_or_next(key, Hold("group", name, now_ns + route.group_wait_ns, now_ns, rank))

    def _is_flood(self, name: str, now_ns: int) -> bool:
        desk = self._desk
        traffic = desk.book.get(Traffic, name) or Traffic()
        before = traffic.flooding
        traffic.note(now_ns, desk.noise)
        desk.book.put(name, traffic)
        if traffic.flooding and not before:
            self._gather_groups(name, now_ns)
        return traffic.flooding

    def _gather_groups(self, name: str, now_ns: int) -> None:
        """Let what waits in the groups of a route, but for the worst, go with the flood's digest as one message."""
        for key, hold in self._desk.book.all(Hold):
            if hold.kind != "group" or hold.route != name or not self._members.get(key):
                continue
            flood = self._join_flood(name, now_ns)
            for alert_id in list(self._members[key]):
                case = self._desk.book.get(AlertNotificationState, alert_id)
                if case is not None and case.item.severity != SEVERITIES[-1]:
                    del self._members[key][alert_id]
                    case.legs[name].hold = flood
                    self._members.setdefault(flood, {})[alert_id] = None
                    self._desk.keep(case)

    def _join_flood(self, name: str, now_ns: int) -> str:
        key = f"flood\x1f{name}"
        hold = self._desk.book.get(Hold, key) or Hold("flood", name, 0, now_ns)
        traffic = self._desk.book.get(Traffic, name) or Traffic()
        due_ns = traffic.digest_due(hold.since_ns, now_ns, self._desk.noise)
        if due_ns != hold.due_ns:
            self._put_off(key, hold, due_ns)
        return key

    def _open(self, kind: str, name: str, due_ns: int, now_ns: int) -> str:
        key = f"{kind}\x1f{name}"
        if self._desk.book.get(Hold, key) is None:
            self._put_off(key, Hold(kind, name, due_ns, now_ns), due_ns)
        return key

    def _put_off(self, key: str, hold: Hold, due_ns: int) -> None:
        self._desk.book.put(key, replace(hold, due_ns=due_ns))
        self._desk.wake(due_ns, "hold", key)


def _as_one(leg: RouteState) -> Item:
    """Return the one item that tells of everything that is held back: the worst there was, and whether it is over."""
    *_, last = leg.held
    if last.kind != "cleared" or leg.told:
        return last
    worst = leg.held[-2] if len(leg.held) > 1 else last
    reason = f"{worst.reason}; over at {_clock(last.occurred_ns)}: {last.reason}"
    return replace(worst, kind="cleared", over=True, reason=reason, occurred_ns=last.occurred_ns)


def _clock(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%H:%M} UTC"
