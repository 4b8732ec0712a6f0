"""The event of sensors of our own, as one input among others."""

from __future__ import annotations

from gateway.domain.inputs.native import decode
from gateway.domain.inputs.results import Outcome, Reading
from gateway.domain.inputs.route import PLACES, Route
from gateway.domain.model.events import Message, Rejected


def read_event(route: Route, message: Message) -> Outcome:
    """Return the readings of a message in the event's own format; their bodies are as they were published."""
    out = Outcome(input=route.spec.name)
    place: dict[str, str] = {name: route.captured[name] for name in PLACES if name in route.captured}
    for item in decode(message.payload, route.captured):
        if isinstance(item, Rejected):
            out.rejected.append(item)
        else:
            event, body = item
            out.readings.append(Reading(route.spec.name, event.data.sensor_id, None, place, "message", event, body))
    return out
