"""Where messages are made: the records, the timers, and what a step leads to. Shared by the parts of the planner."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from msgspec import Struct, field

from gateway.domain.model.events import derived_id
from gateway.domain.notification.flood import Noise
from gateway.domain.notification.model import (
    MOST_ITEMS,
    Item,
    NotificationKind,
    Planned,
    Withdrawal,
    Withheld,
    in_a_sentence,
    worst_first,
)
from gateway.domain.notification.routing import RouteTable
from gateway.domain.notification.state import AlertNotificationState, PlannerState, RouteState


class Plan(Struct):
    """What a step leads to, to be written in one transaction: `records` as `Book.changes` gives them."""

    messages: list[Planned] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    withdrawals: list[Withdrawal] = field(default_factory=list)
    records: list[tuple[str, str, bytes | None]] = field(default_factory=list)


class ToldBefore(Struct, frozen=True):
    """A case on a route, and the item that tells of it."""

    case: AlertNotificationState
    leg: RouteState
    item: Item


class PlanBuilder:
    """The records, the timers, and the plan that is being made."""

    def __init__(self, table: RouteTable, noise: Noise) -> None:
        self.table = table
        self.noise = noise
        self.book = PlannerState()
        self.plan = Plan()
        self._timers: list[tuple[int, str, str, str]] = []

    def wake(self, at_ns: int, what: str, key: str, route: str = "") -> None:
        """Have something looked at again at a time; whoever is woken looks whether it is due."""
        heapq.heappush(self._timers, (at_ns, what, key, route))

    def due_ns(self) -> int | None:
        """Return when the next timer rings, which may turn out to be about nothing any more."""
        return self._timers[0][0] if self._timers else None

    def ring(self, now_ns: int) -> tuple[str, str, str] | None:
        """Return (what, key, route) of the next timer that has come due."""
        if not self._timers or self._timers[0][0] > now_ns:
            return None
        _, what, key, route = heapq.heappop(self._timers)
        return what, key, route

    def forget_timers(self) -> None:
        """Let no timer ring; they are set anew."""
        self._timers.clear()

    def keep(self, case: AlertNotificationState) -> None:
        """Keep a case, or forget it when it is over and everybody knows."""
        if case.over and not any(leg.hold for leg in case.legs.values()):
            self.book.drop(AlertNotificationState, case.item.alert_id)
        else:
            self.book.put(case.item.alert_id, case)

    def withhold(
        self, case: AlertNotificationState, items: Sequence[Item], by: str, reason: str, now_ns: int, *,
        route: str = "", until_ns: int | None = None, deferred: bool = False, kind: NotificationKind | None = None,
    ) -> None:  # fmt: skip
        """Take down that changes of a case are not told, or not now."""
        for item in items:
            self.plan.withheld.append(
                Withheld(
                    item,
                    case.correlation,
                    kind or item.kind,
                    by,
                    reason,
                    now_ns,
                    route,
                    "",
                    until_ns,
                    deferred=deferred,
                )
            )

    def withdraw(
        self, case: AlertNotificationState, kinds: tuple[NotificationKind, ...], by: str, reason: str, now_ns: int
    ) -> None:
        """Let what has not gone yet about a case not go any more."""
        self.plan.withdrawals.append(Withdrawal(case.item, case.correlation, kinds, by, reason, now_ns))

    def send(self, route: str, told: Sequence[ToldBefore], now_ns: int) -> None:
        """Plan a message for every handler of these cases, and follow them up."""
        for handler in dict.fromkeys(name for one in told for name in one.leg.handlers):
            own = [one for one in told if handler in one.leg.handlers]
            changes = [(item.alert_id, item.change) for one in own for item in one.leg.held]
            kind: NotificationKind = own[0].item.kind if len(own) == 1 else "digest"
            self.message(kind, handler, route, own, now_ns, changes=changes)
        for one in told:
            self._follow_up(route, one, now_ns)

    def message(
        self, kind: NotificationKind, handler: str, route: str, told: Sequence[ToldBefore], now_ns: int, *,
        mark: str = "", reason: str = "", changes: Sequence[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        """Plan one message. Its id follows from what it tells of, to whom, and `mark`: made again, it is the same."""
        items = worst_first([one.item for one in told])
        first = told[0]
        identity = [first.item.change, *([mark] if mark else []), *([str(len(told))] if len(told) > 1 else []), handler]
        self.plan.messages.append(
            Planned(
                id=derived_id(*identity),
                handler=handler,
                route=route,
                kind=kind,
                items=tuple(items[:MOST_ITEMS]),
                count=len(items),
                reason=reason or (items[0].reason if len(items) == 1 else in_a_sentence(items)),
                cause=first.item.change,
                correlation=first.case.correlation,
                created_ns=now_ns,
                changes=tuple(changes) or tuple((item.alert_id, item.change) for item in items),
            )
        )

    def _follow_up(self, name: str, one: ToldBefore, now_ns: int) -> None:
        """Take down who knows, and when to ask again whether somebody acts."""
        case, leg, route = one.case, one.leg, self.table.by_name[name]
        leg.held, leg.hold = (), ""
        leg.told = tuple(dict.fromkeys((*leg.told, *leg.handlers)))
        if not case.over and one.item.kind != "cleared":
            leg.step = 0
            arm(self, case, name, now_ns)
            if route.repeat_ns and not case.acknowledged:
                leg.remind_ns = now_ns + route.repeat_ns
                self.wake(leg.remind_ns, "remind", case.item.alert_id, name)
        self.keep(case)


def arm(desk: PlanBuilder, case: AlertNotificationState, route: str, now_ns: int) -> None:
    """Set the time at which nobody will have acknowledged for too long, if there is a further step."""
    leg, steps = case.legs[route], desk.table.by_name[route].steps
    leg.escalate_ns = None
    if leg.step < len(steps) and not case.acknowledged:
        leg.escalate_ns = now_ns + steps[leg.step].after_ns
        desk.wake(leg.escalate_ns, "escalate", case.item.alert_id, route)
