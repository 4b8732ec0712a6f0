"""What reading a message comes to: readings with their events, presences, waveforms, and why the rest is not used."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from gateway.domain.model.events import Rejected
from gateway.domain.model.quantities import BY_WIRE

MAX_ID: Final = 128
MAX_NOTES: Final = 20
"""Remarks that one message leaves; more are all alike."""
MAX_UNUSED: Final = 200
"""Names that one message leaves of rows that no field is for."""

TimeFrom = Literal["message", "received"]
Presence = Literal["online", "offline"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class Reading(Struct, gc=False):
    """What one sensor measured at one time.

    `sensor` ends with its axis, `source` does not. `values` has what was measured beside the level by the names that
    the event uses, in canonical units; `level` is in `unit`, and `sensor_unit` is what the sensor itself says.
    `body` is the event in JSON.
    """

    input: str
    sensor: str
    source: str
    axis: str | None
    place: Mapping[str, str]
    time_us: int
    time_from: TimeFrom
    level: float | None
    unit: str
    sensor_unit: str
    values: dict[str, float]
    event_id: str
    body: bytes = b""

    @property
    def quantities(self) -> dict[str, float]:
        """What was measured beside the level, by the names that the configuration uses."""
        return {BY_WIRE[wire].key: value for wire, value in self.values.items()}


class Waveform(Struct, gc=False):
    """A block of samples in `unit`, `rate` a second; `values` came in the same message. Its features are a reading."""

    input: str
    sensor: str
    source: str
    axis: str | None
    place: Mapping[str, str]
    time_us: int
    time_from: TimeFrom
    rate: float
    unit: str
    sensor_unit: str
    samples: array[float]
    values: dict[str, float]
    event_id: str


class Status(Struct, frozen=True):
    """A sensor, with all of its axes, has come or gone."""

    input: str
    source: str
    place: Mapping[str, str]
    status: Presence


class Ignored(Struct, frozen=True):
    """An input has left a message out on purpose."""

    input: str
    reason: str


class Publication(Struct, frozen=True):
    """What the gateway should publish to be told what it has missed."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class Outcome(Struct):
    """What came of a message. `input` is the one that read it.

    `notes` say what was not as it should be, and was made the best of; `filtered` counts the elements and rows that
    were left out on purpose, and `unused` has the names of rows that no field is for.
    """

    input: str | None = None
    readings: list[Reading] = []
    waveforms: list[Waveform] = []
    statuses: list[Status] = []
    ignored: list[Ignored] = []
    rejected: list[Rejected] = []
    publications: list[Publication] = []
    notes: list[str] = []
    unused: list[str] = []
    filtered: int = 0

    def note(self, text: str) -> None:
        """Remark something, once."""
        if len(self.notes) < MAX_NOTES and text not in self.notes:
            self.notes.append(text)

    def ignored_as(self, input_: str, reason: str) -> None:
        """Say why an input left the message out."""
        self.ignored.append(Ignored(input_, reason))

    @property
    def is_ignored(self) -> bool:
        """Whether it was left out on purpose."""
        return bool(self.ignored) and not self.is_understood and not self.rejected

    @property
    def is_understood(self) -> bool:
        """Whether something came of it."""
        return bool(self.readings or self.waveforms or self.statuses)


class Origin:
    """A message, as far as the events made of it say where they are from.

    An event's id is made of topic, payload, sensor, time, and which one it is in its message: a message that is
    delivered again makes the same ids. Where the time is the receive time, that is another one then: such a message
    is known by DUP, packet id and content, as a dead letter is.
    """

    def __init__(self, input_: str, topic: str, payload: bytes, received_ns: int) -> None:
        self.input = input_
        self.topic = topic
        self.received_us = received_ns // 1000
        self._digest = blake2b(payload, digest_size=16)
        self._digest.update(topic.encode(errors="replace"))
        self._count = 0
        self._time: tuple[int, str] = (-1, "")

    def timestamp(self, time_us: int) -> str:
        """Return a time as events have it; several readings of a message have the same."""
        if self._time[0] != time_us:
            self._time = time_us, timestamp(time_us)
        return self._time[1]

    def event_id(self, sensor: str, time_us: int) -> str:
        """Return the id of the next event of this message."""
        digest = self._digest.copy()
        digest.update(f"{sensor}\x1f{time_us}\x1f{self._count}".encode())
        self._count += 1
        return digest.hexdigest()


def timestamp(time_us: int) -> str:
    """Return a time as events have it."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat().replace("+00:00", "Z")


def body_of(reading: Reading, time: str) -> bytes:
    """Return the event in JSON: the one that sensors of our own publish, and the sensor's unit."""
    data: dict[str, Any] = {
        "sensorId": reading.sensor,
        "unit": reading.unit,
        "sensorUnit": reading.sensor_unit,
        **reading.values,
    }
    if reading.level is not None:
        data["vibrationLevel"] = reading.level
    return _encode({"eventType": "VibrationRecorded", "timestamp": time, "eventId": reading.event_id, "data": data})


def is_id(text: str | None) -> bool:
    """Tell whether a text may be the id of a sensor."""
    return text is not None and 0 < len(text) <= MAX_ID and text.isprintable()
