"""What is remembered of the last readings: their ids, so that one used again is noticed, and said."""

from __future__ import annotations

from collections import deque

from gateway.domain.detection.state import Sensor
from gateway.domain.model.events import DomainEvent, derive

EVENT_IDS_AGAIN = "EventIdsBeganAgain"
"""The fact that ids of a sensor were used for other times before: its counter began again, or somebody guesses them."""

SAID_AGAIN_NS = 86_400 * 10**9

LOOK_BACK = 10_000
"""So many readings are looked back upon for an id that is used again."""


class DedupWindow:
    """The ids of the last readings: within this window, one id for two times of a sensor is noticed.

    A counter that begins again after a reboot does that, and whoever guesses ids. Time and id together are what makes a
    reading: none of them is lost.
    """

    def __init__(self, window: int = LOOK_BACK) -> None:
        self._window = window
        self._times: dict[tuple[int, str], int] = {}
        self._order: deque[tuple[int, str]] = deque()

    def add(self, sensor: int, event_id: str, event_us: int) -> bool:
        """Take in a new reading; return whether its id is its own, or has not been used for another time."""
        key = sensor, event_id
        known = self._times.get(key)
        self._times[key] = event_us
        if known is not None:
            return known == event_us
        self._order.append(key)
        if len(self._order) > self._window:
            self._times.pop(self._order.popleft(), None)
        return True


def ids_again(sensor: Sensor, event_id: str, correlation_id: str, received_ns: int) -> DomainEvent | None:
    """Return the fact that a sensor's ids have been used for other times, unless that was said within a day."""
    if 0 <= received_ns - sensor.state.ids_again_ns < SAID_AGAIN_NS:
        return None
    data = {
        "sensorId": sensor.id,
        "eventId": event_id,
        "reason": f"Its eventId {event_id!r} was used for another time already, as by a counter that begins again after"
        " a restart. Its readings are stored and judged all the same; check that nobody else publishes under its name.",
    }
    return derive(EVENT_IDS_AGAIN, sensor.id, received_ns, cause=event_id, correlation=correlation_id, data=data)
