"""What reading a message comes to: readings with their events, presences, waveforms, and why the rest is not used."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, convert

from gateway.domain.inputs.native import Decoded
from gateway.domain.model.events import Rejected
from gateway.domain.model.quantities import BY_WIRE, UNITS, vibration_unit
from gateway.domain.model.reading import ReadingData, VibrationRecorded, quantities_of
from gateway.domain.model.timefmt import microseconds

EVENT_TYPE: Final = "VibrationRecorded"

MAX_ID: Final = 128
MAX_AXIS: Final = 32
MAX_NOTES: Final = 20
"""Remarks that one message leaves; more are all alike."""
MAX_UNUSED: Final = 200
"""Names that one message leaves of rows that no field is for."""

TimeFrom = Literal["message", "received"]
Presence = Literal["online", "offline"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


class Reading(Struct, gc=False):
    """What one sensor measured at one time. `body` is the event in JSON.

    `sensor` ends with its axis, `source` does not. `level` is in `unit`, a canonical one; `sensor_unit` is what the
    sensor itself says.
    """

    input: str
    source: str
    axis: str | None
    place: Mapping[str, str]
    time_from: TimeFrom
    event: VibrationRecorded
    body: bytes

    @property
    def sensor(self) -> str:
        """The id of the sensor."""
        return self.event.data.sensor_id

    @property
    def time_us(self) -> int:
        """When it was measured, in µs since 1970."""
        return microseconds(self.event.timestamp)

    @property
    def level(self) -> float | None:
        """The level in the canonical unit; one in a unit that nobody knows stays as it is."""
        level, known = self.event.data.vibration_level, vibration_unit(self.event.data.unit)
        return level if level is None or known is None else known[1].canonical(level)

    @property
    def unit(self) -> str:
        """The unit of the level."""
        known = vibration_unit(self.event.data.unit)
        return self.event.data.unit if known is None else UNITS[known[0]][0].symbol

    @property
    def sensor_unit(self) -> str:
        """The unit that the sensor itself says."""
        return self.event.data.sensor_unit or ""

    @property
    def event_id(self) -> str:
        """The id of the event."""
        return self.event.event_id or ""

    @property
    def values(self) -> dict[str, float]:
        """What was measured beside the level, in canonical units, by the names that the event uses."""
        return quantities_of(self.event.data)

    @property
    def quantities(self) -> dict[str, float]:
        """What was measured beside the level, by the names that the configuration uses."""
        return {BY_WIRE[wire].key: value for wire, value in self.values.items()}


class _Event(Struct, rename="camel", tag_field="eventType", tag=EVENT_TYPE, gc=False):
    """An event as it is written: with what there is, while VibrationRecorded has a place for what there may be."""

    timestamp: datetime
    event_id: str
    data: dict[str, Any]


class Block(Struct, kw_only=True, gc=False):
    """What is known of a waveform beside its samples. `values` came in the same message."""

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
    values: dict[str, float]
    event_id: str


class Waveform(Block, kw_only=True, gc=False):
    """A block of samples in `unit`, `rate` a second; `values` came in the same message. Its features are a reading."""

    samples: array[float]


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
    It `waits` where it is a part of a waveform, and others have not come yet. `digest` is the message's, where somebody
    needed it.
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
    waits: bool = False
    digest: bytes = b""

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
        return bool(self.readings or self.waveforms or self.statuses or self.waits)


def moment_of(time_us: int) -> datetime:
    """Return a time in µs since 1970 as events have it."""
    return _EPOCH + timedelta(0, 0, time_us)


def timestamp(time_us: int) -> str:
    """Return a time as it is written."""
    return _encode(moment_of(time_us))[1:-1].decode()


def event_of(moment: datetime, event_id: str, data: dict[str, Any]) -> Decoded:
    """Return an event and its body, as sensors of our own publish it.

    The event is what decoding the body gives, at a third of the cost.
    """
    body = _encode(_Event(moment, event_id, data))
    return VibrationRecorded(EVENT_TYPE, moment, convert(data, ReadingData), event_id), body


def is_axis(text: str) -> bool:
    """Tell whether a text may be the name of an axis, which sensors' ids end with."""
    return len(text) <= MAX_AXIS and text.isprintable()


def is_id(text: str | None) -> bool:
    """Tell whether a text may be the id of a sensor."""
    return text is not None and 0 < len(text) <= MAX_ID and text.isprintable()


class InputHeard(Struct, frozen=True):
    """What an input has done since the gateway was started: messages that it read, and that it left out on purpose.

    `unused` has the paths of numbers that no field of it uses. `remarks` say what was not as it should be and was made
    the best of, and how often: a time that is none, a unit that nobody knows, samples without a rate.
    """

    name: str
    messages: int
    ignored: int
    unused: list[str]
    remarks: dict[str, int] = {}
