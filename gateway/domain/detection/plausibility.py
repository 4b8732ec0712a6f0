"""Can what a sensor says be true? Readings that are not judged, and levels that contradict the reason for that.

A reading may be passed over for a good reason: its machine stands still, it changes its state, its time has passed.
None of these reasons can last while the level is beyond everything that is known of the sensor: then somebody is told.
"""

from __future__ import annotations

from math import isfinite
from typing import Final

from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.comparison import number
from gateway.domain.detection.limits import UNKNOWN_STATE, critical_from
from gateway.domain.detection.operating_state import known_baselines
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Doubt, SensorState
from gateway.domain.model.events import SeverityRank
from gateway.domain.model.timefmt import in_words

LATE: Final = "late"
RETAINED: Final = "retained"
STOPPED: Final = "stopped"
STANDSTILL: Final = "standstill"
SETTLING: Final = "settling"
LEARNING: Final = "learning"
UNIT: Final = "unit"
STUCK: Final = "stuck"

REASONS: Final = {
    LATE: "their times lie behind its newest reading: check its clock, and who else publishes under its id",
    RETAINED: "the broker keeps them from earlier: check what is published with the retain flag",
    STOPPED: "its machine is said to stand still: check who says so, and the machine",
    STANDSTILL: "its level is that of a machine standing still",
    SETTLING: "its machine is said to change its state again and again: check who says so",
    LEARNING: "nothing is known yet to compare them with",
    UNIT: "they are in another unit",
    STUCK: "they repeat one measurement: check the sensor",
}
"""Why a reading is not judged, and what to do about it."""


def pass_over(state: SensorState, reason: str, level: float | None, rules: Rules, now_ns: int) -> None:
    """Count a reading that is not judged, received at `now_ns`, and doubt the reason if its level contradicts it.

    One that is in another unit, and late as well, is infinite.
    """
    state.not_judged = counts = state.not_judged or {}
    counts[reason] = counts.get(reason, 0) + 1
    if level is None or reason in {UNIT, STUCK, RETAINED}:  # faults of their own, or the broker's memory
        if state.doubt is not None and reason == UNIT:  # it is still so, and nobody can compare this one
            state.doubt.latest_ns = max(state.doubt.latest_ns, now_ns)
        return
    if state.severity is SeverityRank.NONE and _contradicts(state, reason, level, rules):
        _doubt(state, reason, level, now_ns)
    elif reason != LATE:  # what is late says nothing of how it is now
        state.doubt = None


def judged(state: SensorState, level: float, critical: float) -> None:
    """Let a reading that is judged end the doubt, unless it is critical and has led to nothing either."""
    if state.severity is not SeverityRank.NONE or level < critical:
        state.doubt = None


def _doubt(state: SensorState, reason: str, level: float, now_ns: int) -> None:
    """Take in a reading beyond everything that is known, of which nobody has been told."""
    known = state.doubt
    if known is None:
        state.doubt = Doubt(now_ns, now_ns, 1, reason, level)
        return
    known.latest_ns, known.level, known.reason = max(known.latest_ns, now_ns), level, reason
    known.readings += 1


def is_over_due(state: SensorState, rules: Rules) -> bool:
    """Tell whether somebody must be told: the readings in doubt are as many as an alert needs, and last too long."""
    known = state.doubt
    return (
        known is not None
        and known.readings >= rules.on_readings
        and known.latest_ns - known.since_ns >= rules.told_within_ns
    )


def doubt_in_words(known: Doubt, unit: str) -> str:
    """Return what is told of readings in doubt."""
    lasted = in_words(known.latest_ns - known.since_ns)
    level = f"{number(known.level)} {unit}, beyond" if isfinite(known.level) else f"{unit}, and not in the unit of"
    return (
        f"It measures {level} all that is known of it, and {known.readings} readings in"
        f" {lasted} are not judged: {REASONS.get(known.reason, known.reason)}."
    )


def _contradicts(state: SensorState, reason: str, level: float, rules: Rules) -> bool:
    known = _known(state, rules)
    if not known or level < min(baseline.level for baseline in known):
        return False
    running = [baseline for baseline in known if baseline.state or baseline.source == "configured"]
    if reason == STOPPED and running:
        return level >= max(baseline.level for baseline in running)
    critical = max(critical_from(baseline, rules) for baseline in known)
    return level >= (UNKNOWN_STATE * critical if reason == LEARNING else critical)


def _known(state: SensorState, rules: Rules) -> list[Baseline]:
    """Return every baseline that says how the machine runs: settled ones, else what is known so far."""
    if rules.baseline is not None:
        return [Baseline(rules.baseline, "configured")]
    found = known_baselines(state)
    settled = [baseline for baseline in found if baseline.source != "provisional"]
    if settled or state.event_baseline is None or state.event_baseline <= 0:
        return settled or found
    return [*found, Baseline(state.event_baseline, "event")]
