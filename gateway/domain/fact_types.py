"""Every type of event that the gateway derives, for those who ask for one by its name."""

from __future__ import annotations

from gateway.domain.alerts import ALERT_FACTS, CONDITION
from gateway.domain.baseline_history import CHANGES
from gateway.domain.regime import REGIME_CHANGED
from gateway.domain.signals import MACHINE_STATE, SENSOR_STATUS
from gateway.domain.silences import ADDED, EXPIRED
from gateway.domain.telling import DEFERRED, FAILED, SENT, SUPPRESSED
from gateway.domain.watch import SENSOR_FORGOTTEN, TIME_PASSED

FACT_TYPES = (
    *ALERT_FACTS,
    *CHANGES,
    CONDITION,
    REGIME_CHANGED,
    MACHINE_STATE,
    SENSOR_STATUS,
    SENSOR_FORGOTTEN,
    TIME_PASSED,
    SENT,
    FAILED,
    SUPPRESSED,
    DEFERRED,
    ADDED,
    EXPIRED,
)
"""In no particular order."""
