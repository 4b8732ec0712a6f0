"""A reading as a sensor published it, and what is special about a stored one."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct


class Flag:
    """What is special about a stored reading: bits of a plain number, since an enum costs a third of the hot path."""

    LATE: Final = 1  # behind its sensor's own newest reading: stored, not judged
    CLOCK_REPLACED: Final = 2  # the sensor's clock is not believable: `time` is the receive time
    RETAINED: Final = 4  # the broker's memory of an earlier reading, delivered on subscribing: stored, not judged


FLAG_NAMES = {Flag.LATE: "late", Flag.CLOCK_REPLACED: "clock-replaced", Flag.RETAINED: "retained"}


class ReadingData(Struct, rename="camel", gc=False):
    """What a sensor measured. `vibration_level` is in `unit`, `velocity_rms` in mm/s, `temperature` in °C."""

    sensor_id: str
    vibration_level: float
    baseline_vibration_level: float | None = None
    unit: str = "m/s²"
    velocity_rms: float | None = None
    peak: float | None = None
    crest_factor: float | None = None
    kurtosis: float | None = None
    temperature: float | None = None
    rpm: float | None = None
    load: float | None = None
    operating_state: str | None = None
    sequence: int | None = None


class VibrationRecorded(Struct, rename="camel", gc=False):
    """A reading, as a sensor published it. Fields that are not named here stay in the stored body."""

    event_type: str
    timestamp: datetime
    data: ReadingData
    event_id: str | None = None
    sensor_location: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
