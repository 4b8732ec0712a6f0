"""What reading a message comes to: readings with their events, presences, waveforms, and why the rest is not used."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from gateway.domain.model.events import Rejected
from gateway.domain.model.quantities import BY_WIRE

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
    """What one sensor measured at one time.

    `sensor` ends with its axis, `source` does not. `level` is in `unit`, a canonical one; `sensor_unit` is what the
    sensor itself says. `body` is the event in JSON, `data` its data.
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
    data: dict[str, Any]
    event_id: str
    body: bytes

    @property
    def values(self) -> dict[str, float]:
        """What was measured beside the level, in canonical units, by the names that the event uses."""
        return {wire: value for wire, value in self.data.items() if wire in BY_WIRE}

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


def timestamp(time_us: int) -> str:
    """Return a time as events have it."""
    return _encode(_EPOCH + timedelta(microseconds=time_us))[1:-1].decode()


def body_of(time: str, event_id: str, data: dict[str, Any]) -> bytes:
    """Return an event in JSON: as sensors of our own publish it, and with the sensor's unit."""
    return body_from(head_of(time), event_id, data)


def head_of(time: str) -> bytes:
    """Return what the events of a time begin with."""
    return f'{{"eventType":"VibrationRecorded","timestamp":"{time}","eventId":'.encode()


def body_from(head: bytes, event_id: str, data: dict[str, Any]) -> bytes:
    """Return an event in JSON that begins with `head`."""
    return b'%b%b,"data":%b}' % (head, _encode(event_id), _encode(data))


def is_axis(text: str) -> bool:
    """Tell whether a text may be the name of an axis, which sensors' ids end with."""
    return len(text) <= MAX_AXIS and text.isprintable()


def is_id(text: str | None) -> bool:
    """Tell whether a text may be the id of a sensor."""
    return text is not None and 0 < len(text) <= MAX_ID and text.isprintable()
