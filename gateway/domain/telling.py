"""What people are told: the items of a message, and the kinds of messages there are."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from gateway.domain.events import AlertKind, Severity

NotificationKind = Literal["raised", "escalated", "cleared", "reminder", "escalation", "digest", "notice", "test"]
"""A change of an alert (the first three); still active (reminder); nobody has acknowledged in time, so somebody else is
told (escalation); several changes in one message (digest); something about a silence (notice); a test."""


class Item(Struct, frozen=True, rename="camel"):
    """One change of an alert within a message. Times are nanoseconds since 1970; texts come from sensors.

    `change` is the id of the fact that tells of it; `over` says that the alert had cleared when the message was made.
    """

    change: str
    kind: Literal["raised", "escalated", "cleared"]
    alert_id: str
    alert_kind: AlertKind
    severity: Severity
    sensor_id: str
    reason: str
    occurred_ns: int
    opened_ns: int
    site: str = ""
    area: str = ""
    machine: str = ""
    location: str = ""
    level: float | None = None
    baseline: float | None = None
    ratio: float | None = None
    unit: str = ""
    over: bool = False
