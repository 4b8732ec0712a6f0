"""Our own clock, as the readings show it: if most sensors disagree with it, it is the suspect, not they."""

from __future__ import annotations

from collections import deque

WINDOW = 200
"""Readings that are looked back upon."""

FUTURE_TOLERANCE_US = 5 * 60 * 1_000_000
"""A reading from further in the future than this disagrees with our clock."""

_WRITTEN_US = 1_735_689_600 * 1_000_000
"""2025-01-01. This program is younger, so a clock of ours that is behind it, such as in 1970, is wrong."""

_STEP_BACK_US = 60 * 1_000_000
_FEWEST_SENSORS = 3


class OurClock:
    """What the last readings say of our clock. It follows from their times alone, in the order of the journal."""

    def __init__(self, tolerance_us: int) -> None:
        self._tolerance_us = tolerance_us
        self._offsets: deque[tuple[int, int | None]] = deque(maxlen=WINDOW)
        self._highest_us = 0
        self._since_highest = 0

    def is_suspect(self, sensor: int, event_us: int, received_us: int, *, known: bool) -> bool:
        """Take in a reading of a sensor (its number) and tell whether our clock can be believed about it.

        Our clock is suspect if it is behind this program's own making, if it has gone back by more than a minute within
        the window, or if at least three sensors, and more than half of those in the window, disagree with it by about
        as much as this one. Only those that are `known` have a say: a new one may have booted in 1970 itself, and
        anybody can invent some. A sensor disagrees if it is ahead of us, or further behind than `tolerance_us`.
        """
        offset = event_us - received_us
        if known:
            disagrees = not -self._tolerance_us <= offset <= FUTURE_TOLERANCE_US
            self._offsets.append((sensor, offset if disagrees else None))
        if received_us >= self._highest_us or self._since_highest >= WINDOW:
            self._highest_us = received_us
            self._since_highest = 0
        else:
            self._since_highest += 1
        if -self._tolerance_us <= offset <= FUTURE_TOLERANCE_US:
            return False
        wrong = received_us < max(_WRITTEN_US, self._highest_us - _STEP_BACK_US)
        return wrong or self._most_disagree(offset)

    def _most_disagree(self, offset: int) -> bool:
        latest = dict(self._offsets)
        alike = [other for other in latest.values() if other is not None and abs(other - offset) <= self._tolerance_us]
        return len(alike) >= _FEWEST_SENSORS and 2 * len(alike) > len(latest)
