"""What is known of a sensor in each unit that it has measured in: one set of baselines for each, beside the others."""

from __future__ import annotations

from sys import intern

from gateway.domain.detection.operating_state import known_baselines
from gateway.domain.detection.state import Known, SensorState

MAX_UNITS = 4
"""Units that baselines are kept for. A sensor that measures in more has no business to."""


def is_settled(state: SensorState) -> bool:
    """Tell whether anything was learned or set, in whatever operating state, in the unit of the sensor's state."""
    return any(baseline.source != "provisional" for baseline in known_baselines(state))


def change_unit(state: SensorState, unit: str) -> bool:
    """Put aside what is known in the unit so far, take up what is known in another; tell whether there was room."""
    units = state.units or {}
    if unit not in units and len(units) >= MAX_UNITS:
        return False
    state.versions = max([state.versions, *(baseline.version for baseline in known_baselines(state))])
    known = state.others or {}
    if state.learned is not None or state.learning is not None:
        known[state.operating_state] = Known(state.learned, state.learning, state.smooth)
    if known:
        units[state.unit] = known
    others = units.pop(unit, {})
    here = others.pop(state.operating_state, None) or Known()
    state.units, state.others = units or None, others or None
    state.learned, state.learning, state.smooth = here.learned, here.learning, here.smooth
    state.event_baseline, state.own_readings = None, 0
    state.limits = state.rise_ns = None
    state.unit, state.other_unit = intern(unit), 0
    for tally in (state.tallies or {}).values():
        tally.end_series()
    return True
