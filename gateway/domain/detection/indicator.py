"""One indicator against its bounds: on-delay, off-delay and hysteresis."""

from __future__ import annotations

from math import ceil, log

from msgspec import Struct

from gateway.domain.detection.limits import Bounds
from gateway.domain.model.events import SeverityRank

RARE = 10_000_000
"""Readings in which chance may make one row: four months at one a second."""

FORGIVEN = 4 / 256
"""Of the last few hundred readings a handful beyond the limit says nothing about the sensor."""


class IndicatorState(Struct):
    """An indicator that is not at rest: what has been raised for it, and its consecutive readings beyond each limit.

    `on_*` and `off` count them, since the time beside them; `value` is the last one.
    """

    severity: SeverityRank = SeverityRank.NONE
    on_warning: int = 0
    on_warning_ns: int = 0
    on_critical: int = 0
    on_critical_ns: int = 0
    off: int = 0
    off_ns: int = 0
    value: float = 0.0

    @property
    def is_at_rest(self) -> bool:
        """Nothing has been raised and nothing is on its way."""
        return self.severity is SeverityRank.NONE and self.on_warning == 0

    def end_series(self) -> None:
        """Begin to count anew."""
        self.on_warning = self.on_critical = self.off = 0


def step(tally: IndicatorState, value: float, bounds: Bounds, time_ns: int, *, row: int, may_clear: bool) -> None:
    """Take in a reading. Its severity rises after the on-delay and falls only by clearing, if that `may` be.

    `row` is how many readings in a row the on-delay takes. One above the critical limit counts for the warning too.
    """
    tally.value = value
    if value < bounds.critical:
        tally.on_critical = 0
    else:
        if not tally.on_critical:
            tally.on_critical_ns = time_ns
        tally.on_critical += 1
    if value < bounds.lowest:
        tally.on_warning = 0
    else:
        if not tally.on_warning:
            tally.on_warning_ns = time_ns
        tally.on_warning += 1
    if value >= bounds.clear or tally.severity is SeverityRank.NONE or not may_clear:
        tally.off = 0
    else:
        if not tally.off:
            tally.off_ns = time_ns
        tally.off += 1
    delays = bounds.delays
    if tally.on_critical >= row and time_ns - tally.on_critical_ns >= delays.on_ns:
        tally.severity = SeverityRank.CRITICAL
    elif (
        tally.severity is SeverityRank.NONE
        and tally.on_warning >= row
        and time_ns - tally.on_warning_ns >= delays.on_ns
    ):
        tally.severity = SeverityRank.WARNING
    elif tally.off >= delays.off_readings and time_ns - tally.off_ns >= delays.off_ns:
        tally.severity = SeverityRank.NONE


def row_against_chance(on_readings: int, share: float) -> int:
    """Return how many readings in a row are no chance, where a `share` of single ones lies beyond the limit anyway.

    So many that independent ones would make such a row once in `RARE` readings, at most three times as many as usual.
    """
    if share <= FORGIVEN:
        return on_readings
    return max(on_readings, min(3 * on_readings, ceil(-log(RARE) / log(min(share, 0.5)))))
