"""When the planner must look again at what it remembers."""

from __future__ import annotations

from gateway.domain.notification.plan_builder import PlanBuilder
from gateway.domain.notification.silences import Silence, Silences
from gateway.domain.notification.state import AlertNotificationState, Hold, Notice


def await_end(desk: PlanBuilder, silence: Silence) -> None:
    """Look again when a silence is over, if it has an end."""
    if silence.ends_ns is not None:
        desk.wake(silence.ends_ns, "ended", silence.id)


def set_timers(desk: PlanBuilder, silences: Silences) -> None:
    """Set every timer anew, from what is remembered."""
    desk.forget_timers()
    for key, hold in desk.book.all(Hold):
        desk.wake(hold.due_ns, "hold", key)
    for silence in silences:
        await_end(desk, silence)
    for key, notice in desk.book.all(Notice):
        if notice.due_ns is not None:
            desk.wake(notice.due_ns, "notice", key)
    for alert_id, case in desk.book.all(AlertNotificationState):
        _await_case(desk, alert_id, case)


def _await_case(desk: PlanBuilder, alert_id: str, case: AlertNotificationState) -> None:
    if case.mute is not None and case.mute.until_ns is not None:
        desk.wake(case.mute.until_ns, "mute", alert_id)
    for route, leg in case.legs.items():
        if leg.escalate_ns is not None:
            desk.wake(leg.escalate_ns, "escalate", alert_id, route)
        if leg.remind_ns is not None:
            desk.wake(leg.remind_ns, "remind", alert_id, route)
