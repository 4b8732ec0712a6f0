"""Where a reading belongs on its sensor's timeline: which clock counts, what is late, what has to wait."""

from __future__ import annotations

from heapq import heappop, heappush

from msgspec import Struct

from gateway.domain.detection.gateway_clock import FUTURE_TOLERANCE_US
from gateway.domain.detection.state import LateRun, SensorState, Waiting
from gateway.domain.model.reading import Flag

EARLIEST_US, LATEST_US = -9_200_000_000_000_000, 9_200_000_000_000_000
"""The years 1678 and 2261. What lies beyond does not fit into a database's 64-bit count of nanoseconds."""


STEP_READINGS = 3
"""Late readings in a row, in order among themselves, that show that their sensor's clock has stepped back."""

STEP_LEAST_US = 60 * 1_000_000
"""A clock that has stepped back by less is soon in order again; what comes out of order by less was under way."""

_UPPER_HALF_NS = 500
"""Receive times and retained readings stand in the upper half of their microsecond, so that they never meet a time of
the sensor's own timeline there."""


class Clocks(Struct, frozen=True):
    """How far a sensor's clock may be off (`tolerance_us`), and how late a reading may come and still be judged."""

    tolerance_us: int
    lateness_us: int = 0


def classify_timestamp(
    state: SensorState,
    event_us: int,
    received_ns: int,
    clocks: Clocks,
    *,
    retained: bool = False,
    suspect: bool = False,
) -> tuple[int, int]:
    """Return the time in ns that counts for a new reading, and what is special about it; the timeline moves on.

    A time that continues the sensor's own timeline is believed, however old it is. One that begins a timeline, or
    jumps back, by more than the tolerance, or lies in the future, is replaced by the receive time, unless our own
    clock is `suspect`; so is one of a clock that was set back, from the third on. A retained reading is an old one by
    its nature: it keeps its time and moves nothing.
    """
    if state.seen_us is None or event_us > state.seen_us:
        state.seen_us = event_us
    received_us = received_ns // 1000
    newest = state.newest_us
    if not EARLIEST_US <= event_us <= LATEST_US or (event_us > received_us + FUTURE_TOLERANCE_US and not suspect):
        return _receive_time(state, received_us), Flag.CLOCK_REPLACED | (Flag.RETAINED if retained else 0)
    if retained:
        return event_us * 1000 + _UPPER_HALF_NS, Flag.RETAINED
    if newest is None:
        if received_us - event_us > clocks.tolerance_us and not suspect:
            return _receive_time(state, received_us), Flag.CLOCK_REPLACED
    elif event_us < newest:
        return _behind(state, event_us, received_ns, clocks, suspect=suspect)
    if state.late is not None:
        state.late = None
    if event_us == newest:
        state.at_newest += 1
    elif state.at_newest:
        state.at_newest = 0
    state.newest_us = event_us
    return event_us * 1000 + state.at_newest, 0


def _behind(state: SensorState, event_us: int, received_ns: int, clocks: Clocks, *, suspect: bool) -> tuple[int, int]:
    """Return what counts for a reading that lies behind its sensor's newest, which there is."""
    newest = state.newest_us or 0
    if newest - event_us > clocks.tolerance_us:
        return _receive_time(state, received_ns // 1000), Flag.CLOCK_REPLACED
    if event_us >= newest - clocks.lateness_us and (state.released_us is None or event_us >= state.released_us):
        return event_us * 1000, 0
    if not suspect and _has_stepped_back(state, event_us, received_ns):
        return _receive_time(state, received_ns // 1000), Flag.CLOCK_REPLACED
    return event_us * 1000, Flag.LATE


def _has_stepped_back(state: SensorState, event_us: int, received_ns: int) -> bool:
    """Take in a late reading; tell whether it and those before show a clock that was set back, and goes on from there.

    They come as fast as they were measured. A backlog comes faster, with newer readings in between.
    """
    run = state.late
    if run is None or event_us <= run.last_us or received_ns < max(run.first_received_ns, state.heard_ns):
        state.late = LateRun(event_us, received_ns, event_us)
        return False
    run.last_us = event_us
    run.readings += 1
    lived_ns, measured_ns = received_ns - run.first_received_ns, (event_us - run.first_us) * 1000
    is_step = (state.newest_us or 0) - run.first_us >= STEP_LEAST_US
    return is_step and run.readings >= STEP_READINGS and 4 * lived_ns >= 3 * measured_ns


def hold(state: SensorState, reading: Waiting) -> None:
    """Let a reading wait for the watermark, in O(log n) of those that wait."""
    heappush(state.waiting, reading)


def release(state: SensorState, until_us: int) -> list[Waiting]:
    """Return the waiting readings up to a time, in the order of their time; they wait no longer."""
    released = []
    while state.waiting and state.waiting[0].event_us <= until_us:
        released.append(heappop(state.waiting))
    if released:
        state.released_us = released[-1].event_us
    return released


def _receive_time(state: SensorState, received_us: int) -> int:
    state.replaced_ns = max(state.replaced_ns + 1, received_us * 1000 + _UPPER_HALF_NS)
    return state.replaced_ns
