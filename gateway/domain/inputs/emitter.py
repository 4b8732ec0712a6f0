"""What was measured -> readings: whose, when, and with which level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from gateway.domain.inputs.fields import Found
from gateway.domain.inputs.paths import ABSENT, find
from gateway.domain.inputs.redelivery import digest_of
from gateway.domain.inputs.results import Outcome, Reading, TimeFrom, event_of, moment_of
from gateway.domain.inputs.route import Route
from gateway.domain.inputs.times import EARLIEST_US, LATEST_US, microseconds_of
from gateway.domain.inputs.wording import text_of
from gateway.domain.model.assets import asset_of
from gateway.domain.model.events import Message

When = tuple[int, TimeFrom]
"""A time in µs, and where it is from."""


class Subject(Struct, frozen=True, gc=False):
    """What a reading is of: a sensor without its axis, where it is, and when; and the id that its sender gave it."""

    source: str
    place: Mapping[str, str]
    when: When
    event_id: str = ""

    @property
    def key(self) -> str:
        """What is remembered of it under: its id and its place, if its topic says one."""
        return key_of(self.source, self.place)

    def sensor(self, axis: str | None) -> str:
        """Return the id of an axis."""
        return f"{self.source}-{axis}" if axis else self.source


def key_of(source: str, tags: Mapping[str, str]) -> str:
    """Return what tells a sensor from others of the same id at other places."""
    place = asset_of(tags)
    return "\x1f".join((source, *place)) if any(place) else source


class Emitter:
    """Adds readings to what comes of a message."""

    __slots__ = ("_count", "_digest", "_received", "out", "route")

    def __init__(self, route: Route, message: Message) -> None:
        self.route = route
        digest = digest_of(message)
        self.out = Outcome(input=route.spec.name, digest=digest)
        self._received: When = (message.received_ns // 1000, "received")
        self._digest = digest.hex()
        self._count = 0

    def event_id(self, when: When) -> str:
        """Return the id of the next event of this message.

        It is made of topic, payload, and which event of its message it is: a message that is delivered again makes the
        same ids. Where the receive time counts it is a part of the id, since two equal messages are two readings: one
        that is delivered again is known by DUP, packet id and content there.
        """
        self._count += 1
        return f"{self._digest}-{self._count}-{when[0]:x}" if when[1] == "received" else f"{self._digest}-{self._count}"

    def when(self, scopes: Sequence[Any]) -> When:
        """Return the time of a reading."""
        path = self.route.spec.time.path
        if self.route.spec.time_parts is not None:
            said = self.route.spec.time_parts.filled(self.route.captured, scopes)
            return self.moment(ABSENT if said is None else said)
        if path is None:
            return self._received
        for scope in scopes:
            value = find(scope, path)
            if value is not ABSENT:
                return self.moment(value)
        return self.moment(ABSENT)

    def ago(self, seconds: float) -> When:
        """Return the time of what happened before the message came."""
        return self.later(self._received, -seconds)

    def later(self, when: When, seconds: float) -> When:
        """Return the time so many seconds after another one, or the receive time where that cannot be one."""
        if not seconds:
            return when
        if EARLIEST_US <= when[0] + seconds * 1e6 < LATEST_US:
            return when[0] + round(seconds * 1e6), when[1]
        self.out.note(f"the receive time counts, since {seconds:.6g} s from a time of the message are no time")
        return self._received

    def moment(self, value: Any) -> When:
        """Return what a message says as its time, or the receive time where that is none."""
        found = microseconds_of(value, self.route.spec.time, self._received[0])
        if found is not None:
            return found, "message"
        if value is ABSENT and self.route.spec.time.may_lack:
            return self._received
        said = "it is not there" if value is ABSENT else f"{text_of(value)[:40]!r} is none"
        self.out.note(f"the receive time counts, since the message has no time: {said}")
        return self._received

    def emit(self, found: list[Found], subject: Subject) -> None:
        """Add a reading for each axis that measured something, or one for what belongs to no axis."""
        shared = found[-1]
        heard = False
        moment = moment_of(subject.when[0])
        for axis, values in zip(self.route.extraction.names, found, strict=False):  # what is shared has no name
            if values:
                heard = True
                self._add(axis, {**shared, **values} if shared else values, subject, moment)
        if shared and not heard:
            self._add(None, shared, subject, moment)

    def emit_one(self, axis: str | None, data: Found, subject: Subject) -> None:
        """Add a reading of an axis; what was measured becomes the event's data."""
        self._add(axis, data, subject, moment_of(subject.when[0]))

    def _add(self, axis: str | None, data: Found, subject: Subject, moment: datetime) -> None:
        source, said, when = subject.source, subject.event_id, subject.when
        self.route.complete(data)
        data["sensorId"] = f"{source}-{axis}" if axis else source
        event_id = self.event_id(when) if not said else f"{said}-{axis}" if axis else said
        event, body = event_of(moment, event_id, data)
        self.out.readings.append(Reading(self.route.spec.name, source, axis, subject.place, when[1], event, body))
