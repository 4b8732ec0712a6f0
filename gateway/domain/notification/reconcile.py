"""What becomes of what is remembered when routes, noise or handlers are others than those it was remembered with."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from gateway.domain.notification.flood import Noise, Traffic
from gateway.domain.notification.plan_builder import PlanBuilder
from gateway.domain.notification.routing import Route
from gateway.domain.notification.state import AlertNotificationState, Hold, RouteState, Stopped


def fit(desk: PlanBuilder, now_ns: int) -> list[tuple[AlertNotificationState, dict[str, RouteState]]]:
    """Let records say nothing that is not configured any more.

    Returns, in the order of the alerts, the cases that have lost a route, with their legs on it: it is gone, or nobody
    whom it leads to is told there.
    """
    _fit_holds(desk, now_ns)
    found = []
    for _, case in sorted(desk.book.all(AlertNotificationState), key=lambda entry: entry[1].number):
        before = {name: replace(leg) for name, leg in case.legs.items()}
        lost = {name: before[name] for name, leg in case.legs.items() if not _keep(desk, name, leg)}
        for name in lost:
            del case.legs[name]
        for name in case.legs:
            follow(desk, case, name, now_ns)
        if lost:
            found.append((case, lost))
        if case.legs != before:
            desk.book.put(case.item.alert_id, case)
    return found


def follow(desk: PlanBuilder, case: AlertNotificationState, name: str, now_ns: int) -> None:
    """Let the times of a leg be none that its route does not have any more, nor later than the route wants."""
    leg, route = case.legs[name], desk.table.by_name[name]
    after_ns = route.steps[leg.step].after_ns if leg.step < len(route.steps) else 0
    waits = bool(leg.told) and not (case.acknowledged or case.over or case.mute)
    leg.escalate_ns = _at(leg.escalate_ns, after_ns, now_ns, waits=waits)
    leg.remind_ns = _at(leg.remind_ns, route.repeat_ns, now_ns, waits=waits)


def heir(lost: Mapping[str, RouteState], handlers: tuple[str, ...]) -> RouteState:
    """Return the leg of a new route: it goes on where the first one was that somebody was told on whom it leads to."""
    for leg in lost.values():
        told = tuple(handler for handler in leg.told if handler in handlers)
        if told:
            return replace(leg, told=told, held=(), hold="", handlers=told)
    return RouteState()


def _at(at_ns: int | None, after_ns: int, now_ns: int, *, waits: bool) -> int | None:
    if not after_ns:
        return None
    if at_ns is None:
        return now_ns + after_ns if waits else None
    return min(at_ns, now_ns + after_ns)


def _keep(desk: PlanBuilder, name: str, leg: RouteState) -> bool:
    """Tell whether a leg still leads to somebody, and let it know nobody else."""
    if name not in desk.table.by_name:
        return False
    reached = desk.table.reach(name)
    was_told, leg.told = leg.told, tuple(one for one in leg.told if one in reached)
    if leg.held:
        leg.handlers = tuple(one for one in leg.handlers if one in reached)
        return bool(leg.handlers) and desk.book.get(Hold, leg.hold) is not None
    return bool(leg.told) or not was_told


def _fit_holds(desk: PlanBuilder, now_ns: int) -> None:
    known = desk.table.by_name
    for key, hold in desk.book.all(Hold):
        if hold.route not in known:
            desk.book.drop(Hold, key)
        elif hold.due_ns > now_ns and not _holds(hold, known[hold.route], desk.noise, now_ns):
            desk.book.put(key, replace(hold, due_ns=now_ns))
    for key, _ in desk.book.all(Traffic):
        if key not in known:
            desk.book.drop(Traffic, key)
    for key, stopped in desk.book.all(Stopped):
        if stopped.state and stopped.state not in desk.noise.stopped_states:
            desk.book.drop(Stopped, key)


def _holds(hold: Hold, route: Route, noise: Noise, now_ns: int) -> bool:
    """Tell whether what holds back is still configured."""
    match hold.kind:
        case "quiet":
            return route.quiet is not None and route.quiet.contain(now_ns)
        case "flap":
            return noise.flap_count > 0
        case "flood":
            return noise.flood_count > 0
        case _:
            return route.group_by != "none" and route.group_wait_ns > 0
