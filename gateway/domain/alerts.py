"""The life cycle of an alert: (alert or none, finding) -> (alert, fact). Raise, escalate, clear."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.detection import Change, Finding
from gateway.domain.events import AlertKind, AlertState, Fact, Severity, derive, rfc3339

RAISED, ESCALATED, CLEARED = "AlertRaised", "AlertEscalated", "AlertCleared"
ALERT_FACTS = {RAISED: "raised", ESCALATED: "escalated", CLEARED: "cleared"}
"""Type of the fact -> kind of the notification that tells of it."""

_FACT_OF = {Change.RAISE: RAISED, Change.ESCALATE: ESCALATED, Change.CLEAR: CLEARED}


class Alert(Struct, frozen=True, rename="camel"):
    """One alert as it stands. `id` is the id of the fact that raised it, `opened_by` the event that caused that.

    `level`, `baseline` (in `unit`) and `ratio` are those of its last change.
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
    shelved_until_ns: int | None = None
    level: float | None = None
    baseline: float | None = None
    unit: str = ""
    location: str = ""
    tags: dict[str, str] = {}

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


def apply(alert: Alert | None, finding: Finding, cause: Cause) -> tuple[Alert, Fact]:
    """Return the alert after `finding`, and the fact that says so.

    `alert` is the open alert of the sensor; only a finding that raises may come without one.
    """
    type_ = _FACT_OF[finding.change]
    fact = derive(
        type_, cause.sensor_id, cause.time_ns, cause=cause.event_id, correlation=cause.correlation_id, data={}
    )
    if alert is None:
        changed = Alert(
            id=fact.id,
            kind="machine",
            sensor_id=cause.sensor_id,
            severity=finding.severity,
            state="active",
            opened_ns=cause.time_ns,
            reason=finding.reason,
            opened_by=cause.event_id,
            unit=cause.unit,
            location=cause.location,
            tags=cause.tags,
        )
    elif finding.change is Change.CLEAR:
        changed = replace(alert, state="cleared", cleared_ns=cause.time_ns)
    else:
        changed = replace(alert, severity=finding.severity, reason=finding.reason)
    changed = replace(changed, level=finding.level, baseline=finding.baseline)
    return changed, replace(fact, data={**describe(changed), "openedNs": changed.opened_ns, "finding": finding.reason})


def describe(alert: Alert) -> dict[str, Any]:
    """Return the alert as every interface shows it (`alerts list -o json`, HTTP, MQTT, the facts)."""
    return {
        "id": alert.id,
        "kind": alert.kind,
        "sensorId": alert.sensor_id,
        "severity": alert.severity,
        "state": alert.state,
        "acknowledged": alert.acknowledged,
        "shelvedUntil": _moment(alert.shelved_until_ns),
        "openedAt": _moment(alert.opened_ns),
        "clearedAt": _moment(alert.cleared_ns),
        "reason": alert.reason,
        "openedBy": alert.opened_by,
        "level": alert.level,
        "baseline": alert.baseline,
        "ratio": alert.ratio,
        "unit": alert.unit,
        "location": alert.location,
        "tags": alert.tags,
    }


def _moment(ns: int | None) -> str | None:
    return None if ns is None else rfc3339(ns)
