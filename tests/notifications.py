from typing import Any

from msgspec.structs import replace

from gateway.domain.notification.model import Notification

CRITICAL = Notification(
    id="5f2d3f0e-1c86-5a3d-8a35-0d3b9d1f2a11",
    kind="raised",
    alert_id="9d0f8b52-6f6b-5b3e-9d6a-0a4b6f3f0c11",
    alert_kind="machine",
    severity="critical",
    sensor_id="VB-42345",
    reason="RMS 12.5 m/s², 3.1 × the learned baseline 4.0, for 3 readings in 20 s",
    occurred_ns=1_696_005_145_000_000_000,
    opened_ns=1_696_005_025_000_000_000,
    gateway_id="edge-1",
    site="halmstad",
    area="line-b",
    machine="P-101",
    location="Motor Assembly Line B, Conveyor Unit 4",
    level=12.5,
    baseline=4.0,
    ratio=3.125,
    unit="m/s²",
    page_url="http://192.168.1.10:8080/#alert=9d0f8b52",
)
TEXTS = (
    "id",
    "alert_id",
    "sensor_id",
    "reason",
    "gateway_id",
    "site",
    "area",
    "machine",
    "location",
    "unit",
    "page_url",
)


def notification(**changes: Any) -> Notification:
    """Return a critical alert about a pump, with changes."""
    return replace(CRITICAL, **changes)


def saying(text: str) -> Notification:
    """Return a notification with the same text everywhere."""
    return notification(**dict.fromkeys(TEXTS, text))
