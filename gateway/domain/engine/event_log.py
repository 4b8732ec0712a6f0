"""Rows of the event log, as those who follow the journal are handed them."""

from __future__ import annotations

from msgspec import Struct

from gateway.domain.inputs.native import decode_event
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.reading import VibrationRecorded


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


def ratio_of(level: float | None, baseline: float | None) -> float | None:
    """Return a level in units of its baseline, where there are both."""
    return level / baseline if level is not None and baseline else None


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
