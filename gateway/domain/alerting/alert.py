"""The life cycle of an alert: (alert or none, what was found) -> (alert, fact).

It is active, stale (its sensor says nothing that could be believed: that is never recovery) or cleared, which is final.
A latched one stays open when the level is back, until somebody acknowledges it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.detection.detector import Finding, Verdict
from gateway.domain.model.alert_kinds import AlertKind
from gateway.domain.model.events import SEVERITIES, AlertState, DomainEvent, Severity, derive, derived_id
from gateway.domain.model.timefmt import rfc3339

NEWCOMER_NS = 86_400 * 10**9
"""Sensors that have been known for less than this may be invented."""

CONDITION = "GatewayConditionChanged"
RAISED, ESCALATED, CLEARED = "AlertRaised", "AlertEscalated", "AlertCleared"
STALE, ACTIVE, UPDATED, RETURNED = "AlertStale", "AlertActive", "AlertUpdated", "AlertReturned"
ACKNOWLEDGED, SHELVED, UNSHELVED = "AlertAcknowledged", "AlertShelved", "AlertUnshelved"
ALERT_FACTS = {
    RAISED: "raised",
    ESCALATED: "escalated",
    CLEARED: "cleared",
    STALE: "stale",
    ACTIVE: "active again",
    UPDATED: "updated",
    RETURNED: "back to normal",
    ACKNOWLEDGED: "acknowledged",
    SHELVED: "shelved",
    UNSHELVED: "not shelved any more",
}
"""Type of the fact -> what happened to the alert, in a word."""

_FACT_OF = {Verdict.RAISE: RAISED, Verdict.ESCALATE: ESCALATED, Verdict.CLEAR: CLEARED}


class Alert(Struct, frozen=True, rename="camel"):
    """One alert as it stands. `id` is the id of the fact that raised it, `opened_by` the event that caused that.

    `level`, `baseline` (in `unit`) and `ratio` are those of its last change, and `figure` says what was beyond which
    limit where that was not the level. `faults` are what is wrong with the
    sensor itself, in an alert of that kind: name -> in words. `returned_ns` is since when a latched one is only open
    because nobody has acknowledged it. `shelved_severity` is how severe it was when it was shelved. `sensor_id` is the
    sensor's name, `published_id` the id that it publishes where that is another. A `newcomer` is an alert whose sensor
    had been known for less than a day when it was raised, as invented ones are.
    """

    id: str
    kind: AlertKind
    sensor_id: str
    severity: Severity
    state: AlertState
    opened_ns: int
    reason: str
    opened_by: str
    cleared_ns: int | None = None
    acknowledged: bool = False
    acknowledged_by: str = ""
    shelved_until_ns: int | None = None
    shelved_by: str = ""
    shelved_severity: Severity | None = None
    returned_ns: int | None = None
    level: float | None = None
    baseline: float | None = None
    unit: str = ""
    location: str = ""
    tags: dict[str, str] = {}
    faults: dict[str, str] = {}
    figure: str = ""
    published_id: str = ""
    newcomer: bool = False

    @property
    def ratio(self) -> float | None:
        """Level / baseline, where there is a baseline."""
        return self.level / self.baseline if self.level is not None and self.baseline else None


class Cause(Struct, frozen=True):
    """The event that a change follows from, and what is known of where it came from."""

    event_id: str
    correlation_id: str
    time_ns: int
    sensor_id: str
    tags: dict[str, str]
    unit: str
    location: str
    published_id: str = ""
    known_ns: int = 0


def apply(alert: Alert | None, finding: Finding, cause: Cause, *, latching: bool = False) -> tuple[Alert, DomainEvent]:
    """Return the alert of a machine after `finding`, and the fact that says so.

    `alert` is the open alert of the sensor; only a finding that raises may come without one. One that has become worse
    is to be acknowledged anew: who acknowledged the warning has not seen this.
    """
    type_ = _FACT_OF[finding.change]
    if alert is None:
        alert = _opened("machine", finding.severity, finding.reason, cause)
    elif finding.change is Verdict.CLEAR and latching and not alert.acknowledged:
        alert, type_ = replace(alert, returned_ns=cause.time_ns), RETURNED
    elif finding.change is Verdict.CLEAR:
        alert = replace(alert, state="cleared", cleared_ns=cause.time_ns)
    elif finding.change is Verdict.RAISE and not is_worse(finding.severity, alert.severity):  # it was latched
        alert = replace(alert, severity=finding.severity, reason=finding.reason, returned_ns=None)
        type_ = ACTIVE
    else:
        alert = replace(alert, severity=finding.severity, reason=finding.reason, returned_ns=None)
        alert, type_ = replace(alert, acknowledged=False, acknowledged_by=""), ESCALATED
    alert = replace(alert, level=finding.level, baseline=finding.baseline, figure=finding.figure)
    return changed(alert, type_, finding.reason, cause)


def end(alert: Alert, reason: str, cause: Cause) -> tuple[Alert, DomainEvent]:
    """Return an alert as cleared by what somebody has said of it or of its sensor."""
    cleared = replace(alert, state="cleared", cleared_ns=cause.time_ns, faults={})
    return changed(cleared, CLEARED, reason, cause)


def is_worse(severity: Severity, than: Severity) -> bool:
    """Tell whether a severity is worse than another."""
    return SEVERITIES.index(severity) > SEVERITIES.index(than)


def apply_faults(alert: Alert | None, faults: Mapping[str, str], cause: Cause) -> tuple[Alert, DomainEvent] | None:
    """Return the alert about a sensor itself and the fact that says so, or None if nothing changes.

    `alert` is the open one, if there is one, `faults` all that is wrong with the sensor now: name -> in words.
    """
    reason = " ".join(faults.values())
    if not faults:
        if alert is None:
            return None
        cleared = replace(alert, state="cleared", cleared_ns=cause.time_ns, faults={})
        return changed(cleared, CLEARED, "The sensor is well again.", cause)
    if alert is None:
        return changed(replace(_opened("sensor", "warning", reason, cause), faults=dict(faults)), RAISED, reason, cause)
    if faults.keys() == alert.faults.keys():
        return None
    return changed(replace(alert, reason=reason, faults=dict(faults)), UPDATED, reason, cause)


def lose_sight(alert: Alert, reason: str, cause: Cause) -> tuple[Alert, DomainEvent]:
    """Return an active alert as stale: from its sensor comes nothing that could say that it is over."""
    return changed(replace(alert, state="stale"), STALE, reason, cause)


def regain_sight(alert: Alert, cause: Cause) -> tuple[Alert, DomainEvent]:
    """Return a stale alert as active: its sensor measures again, and until it says otherwise, nothing has changed."""
    return changed(replace(alert, state="active"), ACTIVE, "Its sensor measures again.", cause)


def apply_condition(
    alert: Alert | None,
    subject: str,
    severity: Severity | None,
    reason: str,
    time_ns: int,
    *,
    kind: AlertKind = "gateway",
) -> tuple[Alert, list[DomainEvent]] | None:
    """Return the alert about `subject`, which is no sensor, and the facts that say so, or None if nothing changes.

    `alert` is the open one of this kind about it, if there is one; without a `severity` all is well again.
    The first fact is the cause of the second: nothing but the gateway itself reported it.
    """
    if severity is None:
        if alert is None:
            return None
        changed, type_ = replace(alert, state="cleared", cleared_ns=time_ns), CLEARED
    elif alert is None:
        changed, type_ = Alert("", kind, subject, severity, "active", time_ns, reason, ""), RAISED
    elif severity == "critical" and alert.severity == "warning":
        changed, type_ = replace(alert, severity=severity, reason=reason), ESCALATED
    else:
        return None
    own = () if kind == "gateway" else (kind,)
    id_ = derived_id(CONDITION, subject, str(time_ns), *own)
    condition = DomainEvent(id_, CONDITION, time_ns, subject, id_, id_, {"severity": severity, "reason": reason})
    fact = derive(type_, subject, time_ns, cause=id_, correlation=id_, data={})
    if alert is None:
        changed = replace(changed, id=fact.id, opened_by=id_)
    return changed, [condition, replace(fact, data=fact_data(changed, reason))]


def _opened(kind: AlertKind, severity: Severity, reason: str, cause: Cause) -> Alert:
    """Return a new alert; the fact that raises it gives it its id."""
    return Alert(
        id="",
        kind=kind,
        sensor_id=cause.sensor_id,
        severity=severity,
        state="active",
        opened_ns=cause.time_ns,
        reason=reason,
        opened_by=cause.event_id,
        unit=cause.unit,
        location=cause.location,
        tags=cause.tags,
        published_id=cause.published_id,
        newcomer=cause.known_ns > 0 and cause.time_ns - cause.known_ns < NEWCOMER_NS,
    )


def changed(alert: Alert, type_: str, finding: str, cause: Cause) -> tuple[Alert, DomainEvent]:
    """Return a changed alert and the fact of this type that says so."""
    id_ = derived_id(cause.event_id, type_, alert.kind, alert.id or alert.sensor_id, str(cause.time_ns))
    if not alert.id:
        alert = replace(alert, id=id_)
    data = fact_data(alert, finding)
    return alert, DomainEvent(id_, type_, cause.time_ns, alert.sensor_id, cause.correlation_id, cause.event_id, data)


def fact_data(alert: Alert, finding: str) -> dict[str, Any]:
    """Return what a fact about an alert says: the alert as it is then, and what was found."""
    return {**describe(alert), "openedNs": alert.opened_ns, "newcomer": alert.newcomer, "finding": finding}


def describe(alert: Alert) -> dict[str, Any]:
    """Return the alert as every interface shows it (`alerts list -o json`, HTTP, MQTT, the facts)."""
    return {
        "id": alert.id,
        "kind": alert.kind,
        "sensorId": alert.sensor_id,
        "severity": alert.severity,
        "state": alert.state,
        "acknowledged": alert.acknowledged,
        "acknowledgedBy": alert.acknowledged_by or None,
        "shelvedUntil": _moment(alert.shelved_until_ns),
        "shelvedBy": alert.shelved_by or None,
        "openedAt": _moment(alert.opened_ns),
        "returnedAt": _moment(alert.returned_ns),
        "clearedAt": _moment(alert.cleared_ns),
        "reason": alert.reason,
        "openedBy": alert.opened_by,
        "level": alert.level,
        "baseline": alert.baseline,
        "ratio": alert.ratio,
        "unit": alert.unit,
        "figure": alert.figure or None,
        "location": alert.location,
        "tags": alert.tags,
        "faults": sorted(alert.faults),
        **({"publishedId": alert.published_id} if alert.published_id else {}),
    }


def _moment(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)
