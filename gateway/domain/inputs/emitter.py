"""What was measured -> readings: whose, when, and with which level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway.domain.inputs.fields import Found
from gateway.domain.inputs.paths import ABSENT, find
from gateway.domain.inputs.results import Origin, Outcome, Reading, TimeFrom, body_of
from gateway.domain.inputs.route import Route
from gateway.domain.inputs.times import microseconds_of
from gateway.domain.inputs.wording import text_of

When = tuple[int, TimeFrom]
"""A time in µs, and where it is from."""


class Subject(NamedTuple):
    """What a reading is of: a sensor without its axis, where it is, and when."""

    source: str
    place: Mapping[str, str]
    when: When

    def sensor(self, axis: str | None) -> str:
        """Return the id of an axis."""
        return f"{self.source}-{axis}" if axis else self.source


class Emitter:
    """Adds readings to what comes of a message."""

    def __init__(self, route: Route, origin: Origin, out: Outcome) -> None:
        self.route = route
        self.origin = origin
        self.out = out

    def when(self, scopes: Sequence[Any]) -> When:
        """Return the time of a reading."""
        path = self.route.spec.time.path
        if path is None:
            return self.origin.received_us, "received"
        value = next((found for scope in scopes if (found := find(scope, path)) is not ABSENT), ABSENT)
        return self.moment(value)

    def moment(self, value: Any) -> When:
        """Return what a message says as its time, or the receive time where that is none."""
        found = microseconds_of(value, self.route.spec.time, self.origin.received_us)
        if found is not None:
            return found, "message"
        said = "it is not there" if value is ABSENT else f"{text_of(value)[:40]!r} is none"
        self.out.note(f"the receive time counts, since the message has no time: {said}")
        return self.origin.received_us, "received"

    def emit(self, found: list[Found], subject: Subject) -> None:
        """Add a reading for each axis that measured something, or one for what belongs to no axis."""
        for axis, values in self.route.measured(found):
            self.emit_one(axis, values, subject)

    def emit_one(self, axis: str | None, values: Found, subject: Subject) -> None:
        """Add a reading of an axis."""
        source, place, (time_us, time_from) = subject
        sensor = f"{source}-{axis}" if axis else source
        level, unit, sensor_unit = self.route.level(values)
        event_id = self.origin.event_id(sensor, time_us)
        name = self.origin.input
        reading = Reading(
            name, sensor, source, axis, place, time_us, time_from, level, unit, sensor_unit, values, event_id
        )
        reading.body = body_of(reading, self.origin.timestamp(time_us))
        self.out.readings.append(reading)
