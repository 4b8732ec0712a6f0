"""Every type of event that the gateway derives, for those who ask for one by its name."""

from __future__ import annotations

from gateway.domain.alerting.alert import ALERT_FACTS, CONDITION
from gateway.domain.alerting.liveness import SENSOR_FORGOTTEN, TIME_PASSED
from gateway.domain.detection.baseline_events import CHANGES
from gateway.domain.detection.machine_shift import REGIME_CHANGED
from gateway.domain.engine.id_window import EVENT_IDS_AGAIN
from gateway.domain.engine.purging import SENSORS_PURGED
from gateway.domain.model.assets import MACHINE_STATE, SENSOR_MOVED, SENSOR_RENAMED, SENSOR_STATUS
from gateway.domain.notification.model import DEFERRED, FAILED, SENT, SUPPRESSED
from gateway.domain.notification.silences import ADDED, EXPIRED

FACT_TYPES = (
    *ALERT_FACTS,
    *CHANGES,
    CONDITION,
    REGIME_CHANGED,
    MACHINE_STATE,
    SENSOR_STATUS,
    SENSOR_RENAMED,
    SENSOR_MOVED,
    SENSOR_FORGOTTEN,
    SENSORS_PURGED,
    EVENT_IDS_AGAIN,
    TIME_PASSED,
    SENT,
    FAILED,
    SUPPRESSED,
    DEFERRED,
    ADDED,
    EXPIRED,
)
"""In no particular order."""
