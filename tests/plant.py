"""A small plant: readings and alerts as the journal hands them to a consumer."""

import json
from dataclasses import dataclass, field
from typing import Any

from gateway.domain.alerting.alert import CLEARED, ESCALATED, RAISED, Alert, describe
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.model.events import AlertState, DomainEvent, Severity

SECOND = 1_000_000_000
NOON_NS = 1_696_000_000 * SECOND


@dataclass(frozen=True)
class KnownSensor:
    id: str
    tags: dict[str, str] = field(default_factory=dict)


def place(sensor: str, machine: str = "pump-7") -> dict[str, str]:
    return {"site": "plant-1", "area": "hall-2", "machine": machine, "sensor": sensor}


def stored(
    sensor: str = "VB-1",
    level: float = 4.0,
    *,
    second: float = 0,
    baseline: float | None = 4.0,
    machine: str = "pump-7",
    flags: int = 0,
    data: dict[str, Any] | None = None,
) -> StoredReading:
    """Return a stored reading of `second` seconds after noon; `data` adds to the event's own."""
    time_ns = NOON_NS + int(second * SECOND)
    event = {
        "eventType": "VibrationRecorded",
        "timestamp": "2023-09-29T12:00:00Z",
        "data": {"sensorId": sensor, "vibrationLevel": level, **(data or {})},
    }
    return StoredReading(
        seq=int(second) + 1,
        time_ns=time_ns,
        sensor_id=sensor,
        tags=place(sensor, machine),
        level=level,
        baseline=baseline,
        flags=flags,
        event_id=f"event-{sensor}-{second}",
        received_ns=time_ns + SECOND,
        body=json.dumps(event).encode(),
    )


def alert_of(
    sensor: str = "VB-1",
    severity: Severity = "warning",
    *,
    state: AlertState = "active",
    number: int = 1,
    reason: str = "RMS 8.0 m/s², 2.0 × the learned baseline 4.0, for 3 readings",
) -> dict[str, Any]:
    opened_ns = NOON_NS + number * SECOND
    alert = Alert(
        id=f"alert-{sensor}-{number}",
        kind="machine",
        sensor_id=sensor,
        severity=severity,
        state=state,
        opened_ns=opened_ns,
        reason=reason,
        opened_by="event-1",
        cleared_ns=opened_ns + SECOND if state == "cleared" else None,
        level=8.0,
        baseline=4.0,
        unit="m/s²",
        tags=place(sensor),
    )
    return describe(alert)


def alert_entry(alert: dict[str, Any]) -> EventRecord:
    """Return the fact that tells of an alert as it stands now."""
    type_ = CLEARED if alert["state"] == "cleared" else RAISED if alert["severity"] == "warning" else ESCALATED
    data = {**alert, "openedNs": NOON_NS, "newcomer": False, "finding": alert["reason"]}
    fact = DomainEvent(f"fact-{alert['id']}", type_, NOON_NS, alert["sensorId"], "event-1", "event-1", data)
    return EventRecord(1, fact, NOON_NS)
