"""The event of sensors of our own, as one input among others."""

from __future__ import annotations

from gateway.domain.inputs.native import decode
from gateway.domain.inputs.numbers import UnknownUnitError, canonical_symbol, measured_in
from gateway.domain.inputs.results import Outcome, Reading
from gateway.domain.inputs.route import PLACES, Route
from gateway.domain.model.events import Message, Rejected
from gateway.domain.model.quantities import QUANTITIES
from gateway.domain.model.reading import VibrationRecorded
from gateway.domain.model.timefmt import microseconds


def read_event(route: Route, message: Message) -> Outcome:
    """Return the readings of a message in the event's own format; their bodies are as they were published."""
    out = Outcome(input=route.spec.name)
    place: dict[str, str] = {name: route.captured[name] for name in PLACES if name in route.captured}
    for item in decode(message.payload, route.captured):
        if isinstance(item, Rejected):
            out.rejected.append(item)
        else:
            out.readings.append(_reading(route.spec.name, place, *item))
    return out


def _reading(name: str, place: dict[str, str], event: VibrationRecorded, body: bytes) -> Reading:
    data = event.data
    level, unit = _canonical(data.vibration_level, data.unit)
    said = {each.wire: value for each in QUANTITIES if (value := getattr(data, each.key, None)) is not None}
    return Reading(
        name, data.sensor_id, data.sensor_id, None, place, microseconds(event.timestamp), "message", level, unit,
        data.unit, said, event.event_id or "", body,
    )  # fmt: skip


def _canonical(level: float | None, unit: str) -> tuple[float | None, str]:
    """Return a level in the canonical unit; one in a unit that nobody knows stays as it is."""
    try:
        kind, found = measured_in("level", unit)
    except UnknownUnitError:
        return level, unit
    return (None if level is None else found.canonical(level)), canonical_symbol(kind)
