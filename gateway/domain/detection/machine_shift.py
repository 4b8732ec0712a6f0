"""A level shift of all of a machine's sensors at once after a restart: a change of the machine, not of one of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gateway.domain.detection.comparison import number
from gateway.domain.detection.detector import Evaluation, Shift, Verdict
from gateway.domain.detection.indicators import LEVEL
from gateway.domain.detection.operating_state import forget_baselines
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Sensor, SensorState
from gateway.domain.model.events import SeverityRank

REGIME_CHANGED = "RegimeChanged"


def shift_of_all(sensor: Sensor, evaluation: Evaluation, machine: Collection[Sensor], rules: Rules) -> list[Shift]:
    """Return the shift of most sensors of the machine, if a warning of one of them, just raised, is one of them all.

    They were seen standing still, or not at all, shortly before, and are above their learned limits, none so far as to
    be critical, or more than `regime_ratio` times what was normal: that is never taken for a new normal. The others may
    lack the last reading of the series, since theirs come later. None are returned if the sensor is alone, or somebody
    has chosen its baseline.
    """
    finding = evaluation.finding
    if finding is None or finding.change is not Verdict.RAISE or finding.severity != "warning":
        return []
    others = [other for other in machine if other is not sensor and not other.is_silent]
    if not others or not sensor.state.fresh or not _is_learned(sensor.state):
        return []
    shifted = [other for other in others if _has_shifted(other.state, max(1, rules.on_readings - 1))]
    if 2 * (1 + len(shifted)) <= 1 + len(others) or not shifted:
        return []
    shifts = [_shift(each) for each in (sensor, *shifted)]
    if any(shift.level > rules.regime_ratio * shift.before.level for shift in shifts):
        return []
    return shifts


def begin_anew(machine: Collection[Sensor], shifts: Collection[Shift]) -> None:
    """Let what is normal be learned anew for every sensor that has shifted, in the state that its machine is in."""
    shifted = {shift.sensor_id for shift in shifts}
    for sensor in machine:
        if sensor.id in shifted:
            state = sensor.state
            forget_baselines(state, state.operating_state)
            state.severity, state.alert_state, state.tallies, state.smooth = SeverityRank.NONE, "", None, None


def in_words(shifts: Collection[Shift]) -> str:
    """Return what a person is told of a shift."""
    ratios = [shift.level / shift.before.level for shift in shifts]
    return (
        f"All {len(ratios)} sensors of the machine are at {number(min(ratios))} to {number(max(ratios))} times their"
        " baselines since it was started, or since nothing came from it: a change of the machine, not of one of them."
        " Look at it. What is normal is learned anew, unless somebody says what it is (baselines set)."
    )


def describe(sensor: Sensor, shifts: Collection[Shift]) -> dict[str, Any]:
    """Return the shift as the fact tells it, in words too."""
    return {
        "machine": sensor.tags.get("machine"),
        "reason": (in_words(shifts)),
        "sensors": [
            {
                "sensorId": shift.sensor_id,
                "level": shift.level,
                "baseline": shift.before.level,
                "version": shift.before.version,
                "state": shift.before.state,
            }
            for shift in shifts
        ],
    }


def relearned(shift: Shift) -> dict[str, Any]:
    """Return what the BaselineRelearn of a shifted sensor says: nobody but the gateway wanted it."""
    comment = "all sensors of the machine have shifted since it was started"
    return {"sensorId": shift.sensor_id, "state": shift.before.state, "by": "gateway", "comment": comment}


def _is_learned(state: SensorState) -> bool:
    return state.learned is not None and state.learned.source == "learned"


def _has_shifted(state: SensorState, readings: int) -> bool:
    tally = (state.tallies or {}).get(LEVEL)
    return (
        bool(state.fresh)
        and _is_learned(state)
        and state.severity is SeverityRank.NONE
        and tally is not None
        and tally.on_warning >= readings
        and tally.on_critical == 0
    )


def _shift(sensor: Sensor) -> Shift:
    learned, tallies = sensor.state.learned, sensor.state.tallies
    assert learned is not None and tallies is not None  # noqa: S101, PT018 - asked for above
    return Shift(sensor.id, learned, tallies[LEVEL].value)
