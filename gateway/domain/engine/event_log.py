"""Rows of the event log, as those who follow the journal are handed them."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from gateway.domain.inputs.native import decode_event
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.reading import VibrationRecorded

READING_COLUMNS: Final = (
    "seq", "event_us", "sensor", "event_id", "time", "received", "level", "baseline", "flags", "body",
)  # fmt: skip
"""The columns of the journal's table, in its order: what is written, read and kept in memory follows from them."""

ReadingRow = tuple[int, int, int, str, int, int, float | None, float | None, int, bytes]
"""A reading with these columns; `sensor` is its key."""

SENSOR: Final = 2
TIME: Final = 4
RECEIVED: Final = 5
LEVEL: Final = 6
BODY: Final = 9
"""Where these are in it, as numbers for the type checker's sake; a new column comes after them."""


CONTRADICTS = 3.0
"""A baseline that a sensor gives itself, and that is so many times the one that counts, or so small a part of it."""


class StoredReading(Struct, frozen=True, gc=False):
    """A reading in the journal: `time_ns` is when it was measured, `baseline` what its level was compared with.

    `level` is None where it measured something else.
    """

    seq: int
    time_ns: int
    sensor_id: str
    tags: dict[str, str]
    level: float | None
    baseline: float | None
    flags: int
    event_id: str
    received_ns: int
    body: bytes

    def event(self) -> VibrationRecorded:
        """Decode the whole event, as the sensor published it, its units spelled in one way."""
        return decode_event(self.body)


def stored_reading(row: ReadingRow, sensor_id: str, tags: dict[str, str]) -> StoredReading:
    """Return a row of the journal as followers are handed it."""
    seq, _, _, event_id, time_ns, received_ns, level, baseline, flags, body = row
    return StoredReading(seq, time_ns, sensor_id, tags, level, baseline, flags, event_id, received_ns, body)


def ratio_of(level: float | None, baseline: float | None) -> float | None:
    """Return a level in units of its baseline, where there are both."""
    return level / baseline if level is not None and baseline else None


def contradiction(reading: StoredReading | None) -> str | None:
    """Return in words that a reading's own baseline is far from the one that its level was compared with, or None."""
    if reading is None or not reading.baseline:
        return None
    data = reading.event().data
    own = data.baseline_vibration_level
    if not own or max(own / reading.baseline, reading.baseline / own) <= CONTRADICTS:
        return None
    return (
        f"its readings give {own:.4g} {data.unit} as their own baseline, and are compared with {reading.baseline:.4g}:"
        " check which is right"
    )


class EventRecord(Struct, frozen=True):
    """A derived event in the journal with its place in the sequence."""

    seq: int
    fact: DomainEvent
    recorded_ns: int


class LogSlice(Struct, frozen=True):
    """What a follower is handed at once: everything after its cursor up to and including `until`."""

    readings: list[StoredReading]
    entries: list[EventRecord]
    until: int
