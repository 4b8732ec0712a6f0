"""What is remembered of the last readings: their ids, so that one used again is noticed."""

from __future__ import annotations

from collections import deque

LOOK_BACK = 10_000
"""So many readings are looked back upon for an id that is used again."""


class DedupWindow:
    """The ids of the last readings: within this window, one id for two times of a sensor is noticed."""

    def __init__(self, window: int = LOOK_BACK) -> None:
        self._window = window
        self._times: dict[tuple[int, str], int] = {}
        self._order: deque[tuple[int, str]] = deque()

    def add(self, sensor: int, event_id: str, event_us: int) -> bool:
        """Take in a new reading; return whether its id is its own, or has not been used for another time."""
        key = sensor, event_id
        if self._times.setdefault(key, event_us) != event_us:
            return False
        self._order.append(key)
        if len(self._order) > self._window:
            self._times.pop(self._order.popleft(), None)
        return True
