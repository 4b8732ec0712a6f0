from typing import Any

import msgspec

from gateway.domain.alerting.alert import CLEARED, ESCALATED, RAISED, Alert, Cause, apply, apply_condition, describe
from gateway.domain.detection.detector import Finding, Verdict
from gateway.domain.model.events import DomainEvent, Severity

SECOND = 10**9
SHOWN = {
    "id", "kind", "sensorId", "severity", "state", "acknowledged", "shelvedUntil", "openedAt", "clearedAt", "reason",
    "openedBy",
}  # fmt: skip


def changed(
    alert: Alert | None, change: Verdict, severity: Severity = "warning", *, number: int = 1, level: float = 8.0
) -> tuple[Alert, DomainEvent]:
    cause = Cause(f"event-{number}", "first", number * SECOND, "VB-1", {"machine": "pump-7"}, "g", "Hall 2")
    return apply(alert, Finding(change, severity, level, 4.0, f"reason {number}"), cause)


def test_an_alert_is_raised_with_everything_that_explains_it() -> None:
    alert, fact = changed(None, Verdict.RAISE)
    assert (alert.state, alert.severity, alert.kind, alert.sensor_id) == ("active", "warning", "machine", "VB-1")
    assert (alert.opened_ns, alert.opened_by, alert.reason) == (SECOND, "event-1", "reason 1")
    assert (alert.level, alert.baseline, alert.ratio, alert.unit, alert.location) == (8.0, 4.0, 2.0, "g", "Hall 2")
    assert (fact.id, fact.type, fact.causation_id, fact.correlation_id) == (alert.id, RAISED, "event-1", "first")
    assert fact.data == {**describe(alert), "openedNs": SECOND, "newcomer": False, "finding": "reason 1"}


def test_escalating_keeps_its_beginning_and_has_a_new_reason() -> None:
    first, _ = changed(None, Verdict.RAISE)
    alert, fact = changed(first, Verdict.ESCALATE, "critical", number=2, level=12.0)
    assert (alert.id, alert.opened_ns, alert.opened_by) == (first.id, SECOND, "event-1")
    assert (alert.severity, alert.reason, alert.level, fact.type) == ("critical", "reason 2", 12.0, ESCALATED)
    assert fact.id != first.id


def test_clearing_ends_it_and_keeps_why_it_was_raised() -> None:
    first, _ = changed(None, Verdict.RAISE)
    alert, fact = changed(first, Verdict.CLEAR, number=3, level=4.0)
    assert (alert.state, alert.cleared_ns, alert.reason) == ("cleared", 3 * SECOND, "reason 1")
    assert (fact.type, fact.data["finding"], fact.data["clearedAt"]) == (
        CLEARED,
        "reason 3",
        "1970-01-01T00:00:03.000Z",
    )


def test_the_same_change_gives_the_same_alert_and_fact() -> None:
    assert changed(None, Verdict.RAISE) == changed(None, Verdict.RAISE)


def test_it_is_shown_with_the_promised_names_and_is_json() -> None:
    shown = describe(changed(None, Verdict.RAISE)[0])
    assert set(shown) > SHOWN
    assert shown["shelvedUntil"] is None
    assert msgspec.json.decode(msgspec.json.encode(shown)) == shown


def test_a_ratio_that_is_no_number_does_not_become_one() -> None:
    alert, fact = changed(None, Verdict.RAISE)
    for baseline in (None, 0.0):
        assert msgspec.structs.replace(alert, baseline=baseline).ratio is None
    huge = apply(None, Finding(Verdict.RAISE, "warning", 1e308, 1e-308, ""), Cause("e", "e", 1, "VB-1", {}, "", ""))[1]
    assert msgspec.json.decode(msgspec.json.encode(huge.data))["ratio"] is None
    assert fact.data["ratio"] == 2.0


def condition(alert: Alert | None, severity: Severity | None, number: int) -> tuple[Alert, list[DomainEvent]] | None:
    return apply_condition(alert, "influxdb", severity, f"reason {number}", number * SECOND)


def types(found: tuple[Alert, list[DomainEvent]] | None) -> list[str]:
    return [fact.type for fact in found[1]] if found else []


def test_a_condition_of_the_gateway_is_raised_escalated_and_cleared_like_any_alert() -> None:
    raised = condition(None, "warning", 1)
    assert raised is not None
    alert, (cause, fact) = raised
    assert (alert.kind, alert.sensor_id, alert.state, alert.id) == ("gateway", "influxdb", "active", fact.id)
    assert (fact.causation_id, alert.opened_by) == (cause.id, cause.id)
    assert types(raised)[1:] == [RAISED]
    escalated = condition(alert, "critical", 2)
    assert escalated is not None
    assert (types(escalated)[1:], escalated[0].id) == ([ESCALATED], alert.id)
    cleared = condition(escalated[0], None, 3)
    assert cleared is not None
    assert (types(cleared)[1:], cleared[0].state, cleared[0].cleared_ns) == ([CLEARED], "cleared", 3 * SECOND)
    data: dict[str, Any] = cleared[1][1].data
    assert set(data) > SHOWN


def test_a_condition_that_is_reported_again_changes_nothing() -> None:
    assert condition(None, None, 1) is None
    raised = condition(None, "critical", 1)
    assert raised is not None
    assert condition(raised[0], "critical", 2) is None
    assert condition(raised[0], "warning", 3) is None
