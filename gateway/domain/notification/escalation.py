"""What follows when nobody acts: escalations and reminders, several alerts in one message; and notices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from gateway.domain.model.events import derived_id
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.model import MOST_ITEMS, NotificationKind, Planned, worst_first
from gateway.domain.notification.plan_builder import PlanBuilder, ToldBefore, arm
from gateway.domain.notification.routing import Route
from gateway.domain.notification.silences import Silence
from gateway.domain.notification.state import AlertNotificationState, Notice, RouteState

Muted = Callable[[AlertNotificationState, NotificationKind, int], bool]
"""Tells whether a case is muted now, and takes down that it is."""


class FollowUp:
    """Asks again, and asks somebody else, for as long as nobody acknowledges."""

    def __init__(self, desk: PlanBuilder, muted: Muted) -> None:
        self._desk = desk
        self._muted = muted

    def escalate(self, name: str, alert_ids: Iterable[str], now_ns: int) -> None:
        """Tell the next ones of the alerts that nobody has acknowledged in time."""
        route = self._desk.table.by_name[name]
        due: dict[int, list[ToldBefore]] = defaultdict(list)
        for case, leg in self._found(name, alert_ids):
            if leg.escalate_ns is None or leg.escalate_ns > now_ns or leg.step >= len(route.steps):
                continue
            quiet_ns = _quiet_until(route, case, now_ns)
            if quiet_ns is not None:
                leg.escalate_ns = quiet_ns
                self._desk.wake(quiet_ns, "escalate", case.item.alert_id, name)
                self._desk.keep(case)
            elif not self._muted(case, "escalation", now_ns):
                due[leg.step].append(ToldBefore(case, leg, case.item))
        for step, told in due.items():
            handlers = self._desk.table.resolve(route.steps[step].handlers, now_ns)
            for handler in handlers:
                self._desk.message("escalation", handler, name, told, now_ns, mark=f"{name} escalation {step + 1}")
            for one in told:
                one.leg.step = step + 1
                one.leg.told = tuple(dict.fromkeys((*one.leg.told, *handlers)))
                arm(self._desk, one.case, name, now_ns)
                self._desk.keep(one.case)

    def remind(self, name: str, alert_ids: Iterable[str], now_ns: int) -> None:
        """Remind of what is still active; what would follow soon goes with it."""
        route = self._desk.table.by_name[name]
        if not route.repeat_ns:
            return
        if not any(leg.remind_ns is not None and leg.remind_ns <= now_ns for _, leg in self._found(name, alert_ids)):
            return
        soon_ns = now_ns + route.repeat_ns // 10
        due: dict[str, list[ToldBefore]] = defaultdict(list)
        for case, leg in self._found(name, [alert_id for alert_id, _ in self._desk.book.all(AlertNotificationState)]):
            if leg.remind_ns is None or leg.remind_ns > soon_ns:
                continue
            quiet_ns = _quiet_until(route, case, now_ns)
            leg.remind_ns = quiet_ns or now_ns + route.repeat_ns
            self._desk.wake(leg.remind_ns, "remind", case.item.alert_id, name)
            self._desk.keep(case)
            if quiet_ns is None and not self._muted(case, "reminder", now_ns):
                leg.reminders += 1
                for handler in leg.told:
                    due[handler].append(ToldBefore(case, leg, case.item))
        for handler, told in due.items():
            self._desk.message("reminder", handler, name, told, now_ns, mark=f"{name} reminder {told[0].leg.reminders}")

    def resume(self, case: AlertNotificationState, now_ns: int) -> None:
        """Set the times anew for a case that was muted after people had been told."""
        for name, leg in case.legs.items():
            if leg.told:
                arm(self._desk, case, name, now_ns)
                repeat_ns = self._desk.table.by_name[name].repeat_ns
                if repeat_ns and not case.acknowledged:
                    leg.remind_ns = now_ns + repeat_ns
                    self._desk.wake(leg.remind_ns, "remind", case.item.alert_id, name)

    def unshelved(self, case: AlertNotificationState, until_ns: int | None, now_ns: int) -> None:
        """Tell those who know of an alert that it is not shelved any more and still active."""
        reason = f"Not shelved any more, and still active: {case.item.reason}"
        first: dict[str, tuple[str, RouteState]] = {}
        for name, leg in case.legs.items():
            for handler in leg.told:
                first.setdefault(handler, (name, leg))
        mark = f"unshelved {until_ns or now_ns}"
        for handler, (name, leg) in first.items():
            self._desk.message(
                "notice", handler, name, [ToldBefore(case, leg, case.item)], now_ns, mark=mark, reason=reason
            )

    def expect_notice(self, silence: Silence, now_ns: int) -> None:
        """Set the time of the notice before a silence ends: a quarter of an hour, or of what is left, before."""
        until_ns = silence.ends_ns if silence.hours is None else silence.until(now_ns)
        if until_ns is None or until_ns <= now_ns or not self._desk.noise.notice_ns:
            return
        notice = self._desk.book.get(Notice, silence.id)
        if notice is not None and notice.until_ns == until_ns:
            return
        left_ns = until_ns - max(silence.starts_ns, now_ns)
        due_ns = until_ns - min(self._desk.noise.notice_ns, left_ns // 4)
        self._desk.book.put(silence.id, Notice(until_ns, due_ns))
        self._desk.wake(due_ns, "notice", silence.id)

    def notice(self, silence: Silence | None, muted: Iterable[str], now_ns: int) -> None:
        """Say that a silence ends soon, to those who would be told of what it mutes.

        A window that comes back every week says so only if it mutes something now.
        """
        notice = None if silence is None else self._desk.book.get(Notice, silence.id)
        if silence is None or notice is None or notice.due_ns is None or notice.due_ns > now_ns:
            return
        self._desk.book.put(silence.id, Notice(notice.until_ns, None))
        cases = [
            case
            for alert_id in muted
            if (case := self._desk.book.get(AlertNotificationState, alert_id)) and not case.over
        ]
        if silence.hours is not None and not cases:
            return
        said = set()
        for route, handlers in self._desk.table.overlapping(silence.matchers, now_ns):
            for handler in handlers:
                if handler not in said:
                    said.add(handler)
                    self._desk.plan.messages.append(_notice(silence, notice.until_ns, cases, route, handler, now_ns))

    def _found(self, name: str, alert_ids: Iterable[str]) -> Iterator[tuple[AlertNotificationState, RouteState]]:
        for alert_id in alert_ids:
            case = self._desk.book.get(AlertNotificationState, alert_id)
            if case is not None and not case.over and name in case.legs:
                yield case, case.legs[name]


def _quiet_until(route: Route, case: AlertNotificationState, now_ns: int) -> int | None:
    if route.quiet is None or case.item.severity != "warning" or not route.quiet.contain(now_ns):
        return None
    return route.quiet.until(now_ns)


def _notice(  # noqa: PLR0917 - it writes down what it is given
    silence: Silence, until_ns: int, cases: list[AlertNotificationState], route: str, handler: str, now_ns: int
) -> Planned:
    id_ = derived_id("notice", silence.id, str(until_ns), handler)
    items = worst_first([case.item for case in cases])
    sort = "maintenance" if silence.hours is not None else "silence"
    reason = f"The {sort} {silence.id[:8]} by {silence.owner} ({silence.reason}) ends at {rfc3339(until_ns)}."
    active = f" Still active of what it mutes: {len(items)}." if items else " It mutes nothing at present."
    changes = tuple((item.alert_id, item.change) for item in items)
    return Planned(
        id_, handler, route, "notice", tuple(items[:MOST_ITEMS]), len(items), reason + active, silence.id, silence.id,
        now_ns, changes,
    )  # fmt: skip
