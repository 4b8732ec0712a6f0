"""What people say of what is normal for a sensor. Nothing moves on before `apply_baseline` is called with the fact.

So it is after a restart, with the journal's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

from gateway.domain.alerting.open_alerts import Change
from gateway.domain.detection import machine_shift
from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.baseline_events import (
    BASELINE_LEARNED,
    BASELINE_RELEARN,
    BASELINE_SET,
    by_a_person,
    describe_baseline,
    read_baseline,
)
from gateway.domain.detection.detector import Evaluation, next_version
from gateway.domain.detection.machine_shift import REGIME_CHANGED
from gateway.domain.detection.operating_state import forget_baselines, name_of_known, put_baseline
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Sensor
from gateway.domain.model.events import DomainEvent
from gateway.errors import ConflictError


def set_baseline(
    sensor: Sensor, rules: Rules, level: float, *, state: str = "", by: str, reason: str = "", time_ns: int
) -> list[Change]:
    """Return the fact that a person has set what is normal for a sensor in an operating state, in its unit.

    Raises ConflictError if the configuration has a baseline for the sensor, which comes first, and ValueError if the
    level is not above zero.
    """
    if not 0 < level < inf:
        raise ValueError(f"a baseline is a level above zero, not {level}")
    _refuse_if_configured(sensor, rules)
    baseline = Baseline(level, "set", version=next_version(sensor.state), from_ns=time_ns, to_ns=time_ns,
                        state=state.strip().casefold(), by=by)  # fmt: skip
    data = {**describe_baseline(baseline, sensor), "comment": reason}
    return [Change(by_a_person(BASELINE_SET, sensor.id, time_ns, data))]


def relearn(
    sensor: Sensor, rules: Rules, *, state: str | None = None, by: str, reason: str = "", time_ns: int
) -> list[Change]:
    """Return the fact that a person wants what is normal learned anew, in one operating state or (None) in all.

    What was learned stays in the journal, with its version. Raises ConflictError if the configuration has a baseline
    for the sensor, NotFoundError for a state it was never in.
    """
    _refuse_if_configured(sensor, rules)
    name = None if state is None else name_of_known(sensor.state, state)
    data = {"sensorId": sensor.id, "state": name, "by": by, "comment": reason}
    return [Change(by_a_person(BASELINE_RELEARN, sensor.id, time_ns, data))]


def apply_baseline(sensor: Sensor, fact: DomainEvent) -> None:
    """Let a sensor's baselines be as a BaselineSet or BaselineRelearn says; facts of other types change nothing."""
    if fact.type == BASELINE_SET:
        put_baseline(sensor.state, read_baseline(fact))
        sensor.state.unit = ""  # it is meant for what the sensor measures now
    elif fact.type == BASELINE_RELEARN:
        forget_baselines(sensor.state, fact.data["state"])
        sensor.state.unit = ""


def normal_changed(
    sensor: Sensor, evaluation: Evaluation, because: Callable[..., DomainEvent]
) -> Iterator[DomainEvent]:
    """Tell what a judgement has changed about what is normal; `because` makes facts that follow from it."""
    if evaluation.learned is not None:
        yield because(BASELINE_LEARNED, sensor.id, data=describe_baseline(evaluation.learned, sensor))
    if evaluation.shifts:
        yield because(REGIME_CHANGED, sensor.id, data=machine_shift.describe(sensor, evaluation.shifts))
    for shift in evaluation.shifts:
        yield because(BASELINE_RELEARN, shift.sensor_id, data=machine_shift.relearned(shift))


def _refuse_if_configured(sensor: Sensor, rules: Rules) -> None:
    if rules.baseline is not None:
        raise ConflictError(
            f"the configuration sets the baseline of {sensor.id!r} to {rules.baseline}, and that comes first;"
            " take it out of [[sensors]] to have it learned or set"
        )
