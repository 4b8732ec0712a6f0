"""The event envelope, every event type, and the types that the parts of the house share.

Times: `*_us` are microseconds and `*_ns` nanoseconds since 1970-01-01T00:00:00Z, as integers, so that nothing is
rounded between the sensor and the database.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from msgspec import Struct

Severity = Literal["warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("warning", "critical")
AlertKind = Literal["machine", "sensor", "gateway"]
AlertState = Literal["active", "cleared", "stale"]

FEATURES = {
    "velocityRms": "velocity_rms",
    "peak": "peak",
    "crestFactor": "crest_factor",
    "kurtosis": "kurtosis",
    "temperature": "temperature",
    "rpm": "rpm",
    "load": "load",
}
"""The optional numbers of an event: name on the wire -> name in Python, in InfluxDB and in the config."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAMESPACE = UUID("6f1d5a1e-3c55-5b0e-9f0b-1f3f2c1d7a52")


class Flag:
    """What is special about a stored reading: bits of a plain number, since an enum costs a third of the hot path."""

    LATE: Final = 1  # behind its sensor's own newest reading: stored, not judged
    CLOCK_REPLACED: Final = 2  # the sensor's clock is not believable: `time` is the receive time
    RETAINED: Final = 4  # the broker's memory of an earlier reading, delivered on subscribing: stored, not judged


FLAG_NAMES = {Flag.LATE: "late", Flag.CLOCK_REPLACED: "clock-replaced", Flag.RETAINED: "retained"}


class Level(IntEnum):
    """A severity as a number, so that the worse one is the greater one."""

    NONE = 0
    WARNING = 1
    CRITICAL = 2


class Message(Struct, frozen=True, gc=False):
    """One MQTT message as it came in, before anybody has looked inside. `traceparent` came beside it, and is valid."""

    topic: str
    payload: bytes
    received_ns: int
    packet_id: int = 0
    duplicate: bool = False
    retained: bool = False
    generation: int = 0
    traceparent: str = ""


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


class Rejected(Struct, frozen=True):
    """Why a message, or element `element` of its array, is a dead letter. `reason` is one of `decoding.REASONS`."""

    reason: str
    detail: str
    payload: bytes
    element: int | None = None


class Fact(Struct, frozen=True):
    """An immutable event that the gateway derived: `correlation_id` is its first cause, `causation_id` the last."""

    id: str
    type: str
    time_ns: int
    subject: str
    correlation_id: str
    causation_id: str
    data: dict[str, Any]


def derive(  # a fact is its cause, its type and its subject: made again, it has the same id
    type_: str, subject: str, time_ns: int, *, cause: str, correlation: str, data: dict[str, Any]
) -> Fact:
    """Return the fact of `type_` about `subject` (a sensor or alert id) that follows from the event `cause`."""
    return Fact(
        id=derived_id(cause, type_, subject, str(time_ns)),
        type=type_,
        time_ns=time_ns,
        subject=subject,
        correlation_id=correlation,
        causation_id=cause,
        data=data,
    )


def derived_id(*parts: str) -> str:
    """Return the same UUID for the same parts, whenever and wherever it is asked for."""
    return str(uuid5(_NAMESPACE, "\x1f".join(parts)))


def in_words(duration_ns: int) -> str:
    """Return a duration with its two greatest units: 45 s, 5 min 10 s, 2 h, 3 d 4 h."""
    seconds = max(0, duration_ns) // 1_000_000_000
    words: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if words and not count:
            break
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"


def microseconds(moment: datetime) -> int:
    """Return `moment` as microseconds since 1970; one without a time zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def rfc3339(ns: int) -> str:
    """Return a time in nanoseconds as RFC 3339 in UTC, to the millisecond, or finer where it has more digits."""
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    precise = "microseconds" if ns % 1_000_000 >= 1000 else "milliseconds"  # noqa: PLR2004 - ns in a µs
    return moment.isoformat(timespec=precise).replace("+00:00", "Z")
