"""What changes for good, and is no fault for sure: a level that has fallen, or has shifted with all others.

(state, reading) -> whether it holds. What is normal is learned anew from there on; until that is done it is told.
"""

from __future__ import annotations

from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.comparison import level_in_words, number
from gateway.domain.detection.operating_state import forget_baselines
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sample import Sample
from gateway.domain.detection.state import SensorState
from gateway.domain.model.timefmt import in_words

RETURNED = 0.85
"""Of what was normal before: a level that is back there has not fallen for good."""


def is_learned_here(state: SensorState) -> bool:
    """Tell whether what is normal in the machine's state was learned, or set: more than a first look."""
    return state.learned is not None and state.learned.source != "provisional"


def has_fallen(state: SensorState, sample: Sample, rules: Rules) -> bool:
    """Follow a smoothed level that is far below what is normal; tell whether it has fallen for good.

    A configured baseline is nobody's to forget: with one it is only told, for as long as it lasts.
    """
    if state.fallen is not None:
        return _is_still_fallen(state, state.fallen, sample, rules)
    limit = state.limits
    if limit is None or limit.baseline is None or (state.smooth or 0.0) >= limit.fallen or state.severity:
        state.fall_ns = 0
        return False
    state.fall_ns = state.fall_ns or sample.time_ns
    if sample.time_ns - state.fall_ns < rules.fall_after_ns:
        return False
    if rules.baseline is None and limit.baseline.source != "event":
        state.fallen, state.fall_ns = limit.baseline, 0
        forget_baselines(state, state.operating_state)
    return True


def _is_still_fallen(state: SensorState, before: Baseline, sample: Sample, rules: Rules) -> bool:
    """Tell whether a level is still down; if it is back before anything else was learned, so is the baseline `before`.

    Readings that are as before would be far beyond the limits of the first look that there is by now.
    """
    if is_learned_here(state):  # by now that is what is normal
        state.fallen, state.returned = None, 0
        return False
    if before.state != state.operating_state or (sample.level or 0.0) < RETURNED * before.level:
        state.returned = 0
        return True
    state.returned += 1
    if state.returned < rules.on_readings:
        return True
    state.learned, state.learning, state.limits, state.tallies = before, None, None, None
    state.smooth, state.fallen, state.returned = before.level, None, 0
    return False


def fall_in_words(state: SensorState, sample: Sample, rules_ns: int) -> str:
    """Return what is told of a level that has fallen."""
    before = state.fallen or (state.limits and state.limits.baseline)
    smooth = state.smooth or 0.0
    ratio = f", {number(smooth / before.level)} times what was normal," if before else ""
    return (
        f"Its level has been at {level_in_words(smooth, sample.unit, sample.sensor_unit)}{ratio} for"
        f" {in_words(rules_ns)}. Was it repaired, has the sensor come off, is a tooth broken? Look at it; what is"
        " normal is learned anew from here, unless somebody says what it is (baselines set)."
    )


def still_in_words(since_ns: int) -> str:
    """Return what is told of a level of standing still that nobody explains."""
    return (
        f"At the level of a machine that stands still for {in_words(since_ns)}, and nobody says that it does: nothing"
        " is judged. Look whether the sensor has come off; if the machine is out of use, silence it, or forget the"
        " sensor."
    )
