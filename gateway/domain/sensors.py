"""The sensor registry's entries, and when a reading belongs: in order, late, or from a clock nobody can believe."""

from __future__ import annotations

from msgspec import Struct

from gateway.domain.baseline import Baseline, Learning
from gateway.domain.events import Flag, Level

FUTURE_TOLERANCE_US = 5 * 60 * 1_000_000
"""A reading from further in the future than this has a wrong clock."""

EARLIEST_US = -9_200_000_000_000_000
"""The year 1678. What is earlier does not fit into a database's 64-bit count of nanoseconds."""

_UPPER_HALF_NS = 500
"""Receive times and retained readings stand in the upper half of their microsecond, so that they never meet a time of
the sensor's own timeline there."""


class Limits(Struct, frozen=True):
    """What a level is compared with, for one baseline; all in the sensor's unit. Below `clear` an alert may end."""

    baseline: Baseline
    warning: float
    critical: float
    clear: float


class SensorState(Struct):
    """Everything the gateway must remember of a sensor to judge its next reading. It is what a snapshot keeps.

    `newest_us` is the newest believable time, `seen_us` the newest of all: beyond it nothing can be a duplicate.
    `on_*` and `off` count consecutive readings beyond a limit, since the time beside them.
    """

    newest_us: int | None = None
    at_newest: int = 0
    seen_us: int | None = None
    replaced_ns: int = 0
    severity: Level = Level.NONE
    on_warning: int = 0
    on_warning_ns: int = 0
    on_critical: int = 0
    on_critical_ns: int = 0
    off: int = 0
    off_ns: int = 0
    learning: Learning | None = None
    learned: Baseline | None = None
    event_baseline: float | None = None
    limits: Limits | None = None


def place(
    state: SensorState, event_us: int, received_ns: int, tolerance_us: int, *, retained: bool = False
) -> tuple[int, int]:
    """Return the time in ns that counts for a new reading, and what is special about it; the timeline moves on.

    A time that continues the sensor's own timeline is believed, however old it is. One that begins a timeline, or
    jumps back, by more than `tolerance_us`, or lies in the future or before `EARLIEST_US`, is replaced by the receive
    time. A retained reading is an old one by its nature: it keeps its time and moves nothing.
    """
    state.seen_us = event_us if state.seen_us is None else max(state.seen_us, event_us)
    received_us = received_ns // 1000
    newest = state.newest_us
    if event_us > received_us + FUTURE_TOLERANCE_US or event_us < EARLIEST_US:
        return _receive_time(state, received_us), Flag.CLOCK_REPLACED | (Flag.RETAINED if retained else 0)
    if retained:
        return event_us * 1000 + _UPPER_HALF_NS, Flag.RETAINED
    if newest is None:
        if received_us - event_us > tolerance_us:
            return _receive_time(state, received_us), Flag.CLOCK_REPLACED
    elif event_us < newest:
        if newest - event_us > tolerance_us:
            return _receive_time(state, received_us), Flag.CLOCK_REPLACED
        return event_us * 1000, Flag.LATE
    state.at_newest = state.at_newest + 1 if event_us == newest else 0
    state.newest_us = event_us
    return event_us * 1000 + state.at_newest, 0


def _receive_time(state: SensorState, received_us: int) -> int:
    state.replaced_ns = max(state.replaced_ns + 1, received_us * 1000 + _UPPER_HALF_NS)
    return state.replaced_ns


class Sensor(Struct):
    """An entry of the registry: a sensor, where it is, and what is known of it. `key` is its number in the journal."""

    key: int
    id: str
    tags: dict[str, str]
    unit: str
    location: str
    first_seen_ns: int
    state: SensorState
