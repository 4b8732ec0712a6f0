"""Is this reading normal? (state, reading) -> (state, finding), by limits that follow from the sensor's baseline."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from msgspec import Struct

from gateway.domain.detection.baseline import FEWEST, SMOOTHING, Baseline, Learning, learn
from gateway.domain.detection.indicator import IndicatorState, row_against_chance, step
from gateway.domain.detection.indicators import INDICATORS, LEVEL, SHAPE, Reading, limits_for, measured
from gateway.domain.detection.limits import Limits, critical_from, unknown_state
from gateway.domain.detection.operating_state import enter, known_baselines, state_of
from gateway.domain.detection.plausibility import LEARNING, SETTLING, STANDSTILL, STOPPED
from gateway.domain.detection.reasons import figure, raised, recovered, recovered_figure
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sample import Sample
from gateway.domain.detection.state import SensorState
from gateway.domain.model.events import Severity, SeverityRank

SETTLED = frozenset({"learned", "set"})
"""Sources of a baseline after which nothing more is learned."""

FORGETTING = 1 / 256
"""Weight of a new reading in the share of readings that jump beyond the limit and back."""

FRESH = 8
"""For so many on-delays after a start a shift of all sensors of a machine is put down to the start."""

LONG_GAP_NS = 86_400 * 10**9
"""After so long without a reading a shift of all sensors is put down to what happened meanwhile, as after a start."""

FIRST_START = 10.0
"""A level this many times the provisional baseline, where nothing says the state, is the first start of a machine that
stood still so far."""


class Verdict(Enum):
    """What a finding does to the sensor's alert."""

    RAISE = auto()
    ESCALATE = auto()
    CLEAR = auto()


class Finding(Struct, frozen=True):
    """A judgement that changes something, with its reason in plain words. What there is none of is None.

    `figure` says what is beyond which limit, where that is not the level.
    """

    change: Verdict
    severity: Severity
    level: float | None
    baseline: float | None
    reason: str
    figure: str = ""


class Shift(Struct, frozen=True):
    """A sensor whose level has shifted with those of the others: what was normal for it, and what it is now."""

    sensor_id: str
    before: Baseline
    level: float


class Evaluation(Struct, frozen=True):
    """What a reading led to. `shifts` are those of all sensors of its machine at once: a change of the machine.

    `faults` are all of the sensor's own, name -> in words, if they have changed. `not_judged` says why it was passed
    over, by its word in `plausibility.REASONS`.
    """

    finding: Finding | None = None
    learned: Baseline | None = None
    shifts: tuple[Shift, ...] = ()
    faults: Mapping[str, str] | None = None
    not_judged: str = ""


NOTHING = Evaluation()

PASSED_OVER = {reason: Evaluation(not_judged=reason) for reason in (STOPPED, STANDSTILL, SETTLING, LEARNING)}


def evaluate(state: SensorState, sample: Sample, rules: Rules) -> Evaluation:
    """Judge `sample` and move `state` on. Samples of one sensor come in the order of their time.

    A stopped machine is neither healthy nor learned from, and it is not recovery: its samples only end a series of
    readings beyond a limit. What comes without a level is judged by the limits of its quantities.
    """
    unsettled = _unsettled(state, sample, rules)
    if unsettled:
        return PASSED_OVER[unsettled]
    level = sample.level
    if level is None:
        return _judge_quantities(state, sample, rules)
    if sample.event_baseline is not None and sample.event_baseline != state.event_baseline:
        state.event_baseline, state.own_readings = sample.event_baseline, 1
        state.limits = None
        state.odd = True  # it has to be the same for some readings to count for more than its own
    limit = state.limits or current_limits(state, rules)
    if level < limit.stopped:
        _stand_still(state, sample, rules)
        return PASSED_OVER[STANDSTILL]
    state.low = 0
    if state.fresh or state.spikes:
        _outlive(state)
    smooth = state.smooth
    if smooth is None:
        smooth = _first_smooth(limit, level)
    bounded = level if level < limit.lowest else limit.lowest  # noqa: FURB136 - min() costs twice as much
    state.smooth = smooth = smooth + SMOOTHING * (bounded - smooth)
    state.odd = state.odd or smooth < limit.fallen  # for good, perhaps
    is_open = state.severity is not SeverityRank.NONE or bool(state.tallies)
    if is_open or level >= limit.lowest or smooth >= limit.smoothed or limit.quantities or limit.is_moving:
        finding = _judge(state, limit, sample, rules)
        if finding is not None:
            return Evaluation(finding=finding)
        if (is_open or state.tallies) and not _lacks_comparison(state, limit):
            return NOTHING
    return _learn(state, limit, level, sample, rules)


def _outlive(state: SensorState) -> None:
    """Let a start and spikes be further in the past by a reading."""
    state.fresh = max(0, state.fresh - 1)
    state.spikes = state.spikes * (1 - FORGETTING) if state.spikes > FORGETTING / 4 else 0.0


def _first_smooth(limit: Limits, level: float) -> float:
    return level if limit.baseline is None or limit.is_inherited else limit.baseline.level


def _judge_quantities(state: SensorState, sample: Sample, rules: Rules) -> Evaluation:
    limit = state.limits or current_limits(state, rules)
    finding = _judge(state, limit, sample, rules) if limit.quantities else None
    return NOTHING if finding is None else Evaluation(finding=finding)


def _unsettled(state: SensorState, sample: Sample, rules: Rules) -> str:
    """Follow the machine's operating state; say why nothing can be judged: it is stopped, or settling. Else nothing.

    The time counts from the last reading before the state: so a sensor that is seldom read loses none.
    """
    rpm, load = sample.quantities.rpm, sample.quantities.load
    if sample.operating_state is None and rpm is None and load is None:
        name: str | None = ""
    else:
        name = state_of(state, sample.operating_state, rpm, load, rules)
    if name is None:
        _has_stopped(state, sample, rules)
        return STOPPED
    if name != state.operating_state:
        before = state.operating_state
        if enter(state, name) and before and name:  # where one of them is not named, nothing says that it has changed
            state.unsettled_ns = state.judged_ns
            _end_series(state)
    if state.judged_ns is not None and sample.time_ns - state.judged_ns > LONG_GAP_NS:
        state.fresh = FRESH * rules.on_readings  # nobody saw what was done to the machine meanwhile
    state.judged_ns = sample.time_ns
    if state.unsettled_ns is None:
        return ""
    if sample.time_ns - state.unsettled_ns < rules.settling_ns:
        return SETTLING
    state.unsettled_ns = None
    return ""


def _stand_still(state: SensorState, sample: Sample, rules: Rules) -> None:
    """Take in a level far below the baseline: a dropout, or, after some in a row, a machine that stands still."""
    state.low += 1
    state.odd = True  # it may be the sensor that is dead
    if state.low >= rules.on_readings:
        _has_stopped(state, sample, rules)


def _has_stopped(state: SensorState, sample: Sample, rules: Rules) -> None:
    """Begin anew, but for what no run is long enough for: readings beyond a limit in several short runs are a row."""
    state.unsettled_ns = sample.time_ns
    whole = FRESH * rules.on_readings
    if whole - state.fresh >= rules.on_readings:
        _end_series(state)
    state.fresh = whole


def _end_series(state: SensorState) -> None:
    for tally in (state.tallies or {}).values():
        tally.end_series()
    _let_rest(state)


def _let_rest(state: SensorState) -> None:
    """Forget the indicators that are at rest."""
    kept = {kind: tally for kind, tally in (state.tallies or {}).items() if not tally.is_at_rest}
    state.tallies = kept or None


def forget_raised(state: SensorState) -> None:
    """Let nothing have been raised: there is no alert. The series that are on their way stay."""
    for tally in (state.tallies or {}).values():
        tally.severity, tally.off = SeverityRank.NONE, 0
    _let_rest(state)


def current_limits(state: SensorState, rules: Rules) -> Limits:
    """Return what the next sample will be compared with, worked out anew if what it follows from has changed."""
    if state.limits is None:
        state.limits = _limits_in_state(state, rules)
        if state.tallies:
            judged = {*INDICATORS, *(each.name for each in state.limits.quantities)}
            state.tallies = {kind: tally for kind, tally in state.tallies.items() if kind in judged} or None
    return state.limits


def _limits_in_state(state: SensorState, rules: Rules) -> Limits:
    """Return the limits in the state that the machine is in, as far as that is known.

    In a state that nothing is known in yet, a level far beyond what is critical in every other one is critical: a word
    alone makes none normal. Where no state is named though there are named ones, it may be any of them.
    """
    chosen = choose_baseline(state, rules)
    if rules.baseline is not None or not state.others:
        return limits_for(chosen, rules)
    others = [each for each in known_baselines(state) if each.source in SETTLED and each is not chosen]
    widest = max(others, key=lambda each: critical_from(each, rules), default=None)
    if widest is None:
        return limits_for(chosen, rules)
    if not state.operating_state and widest.state:
        known = [each for each in (widest, chosen) if each is not None and each.source != "event"]
        return limits_for(max(known, key=lambda each: critical_from(each, rules)), rules)
    if chosen is None or (chosen.source == "event" and critical_from(chosen, rules) > critical_from(widest, rules)):
        return unknown_state(widest, rules)
    return limits_for(chosen, rules)


def choose_baseline(state: SensorState, rules: Rules) -> Baseline | None:
    """Return the baseline that counts: configured, else set or learned, else the event's own, else the provisional one.

    The event's own comes before the provisional one: somebody chose it, the other is a first look.
    """
    if rules.baseline is not None:
        return Baseline(rules.baseline, "configured")
    if state.learned is not None and state.learned.source in SETTLED:
        return state.learned
    if state.event_baseline is not None and state.event_baseline > 0:
        return Baseline(state.event_baseline, "event")
    return state.learned


def next_version(state: SensorState) -> int:
    """Return the number of the sensor's next baseline, in whatever state."""
    return 1 + max(state.versions, state.learned.version if state.learned else 0)


def _judge(state: SensorState, limit: Limits, sample: Sample, rules: Rules) -> Finding | None:
    tallies = state.tallies = state.tallies or {}
    indicators = measured(state, limit, sample, rules)
    if state.severity is not SeverityRank.NONE and not tallies:  # the alert is known, its details are not
        known = LEVEL if sample.level is not None or state.smooth is not None or not indicators else indicators[0][0]
        tallies[known] = IndicatorState(severity=state.severity)
    may_clear = not (state.alert_state and state.operating_state and state.alert_state != state.operating_state)
    for kind, value, bounds in indicators:
        tally = tallies.get(kind)
        if tally is None:
            if value < bounds.lowest:
                continue
            tally = tallies[kind] = IndicatorState()
        row = bounds.delays.on_readings
        if kind is LEVEL:
            row = row_against_chance(row, state.spikes)
            if tally.severity is SeverityRank.NONE and value < bounds.lowest:  # a row that has led to nothing
                state.spikes += FORGETTING * tally.on_warning
        step(tally, value, bounds, sample.time_ns, row=row, may_clear=may_clear)
    worst = _worst(tallies)
    if worst > state.severity:
        if _is_first_start(state, limit, sample):
            _begin_anew(state)
            return None
        return _raise(state, limit, sample, worst, tallies)
    is_over = worst is SeverityRank.NONE and state.severity is not SeverityRank.NONE
    finding = _clear(state, limit, sample, tallies) if is_over else None
    _let_rest(state)
    return finding


def _worst(tallies: Mapping[str, IndicatorState]) -> SeverityRank:
    """Return the severity of all indicators together: one of the wave's shape needs another one to be critical."""
    worst = shape = SeverityRank.NONE
    for kind, tally in tallies.items():
        if tally.severity > (shape if kind in SHAPE else worst):
            if kind in SHAPE:
                shape = tally.severity
            else:
                worst = tally.severity
    if shape is SeverityRank.NONE:
        return worst
    return max(worst, shape if worst is not SeverityRank.NONE else min(shape, SeverityRank.WARNING))


def _is_first_start(state: SensorState, limit: Limits, sample: Sample) -> bool:
    baseline = limit.baseline
    return (
        state.severity is SeverityRank.NONE
        and not state.operating_state
        and baseline is not None
        and baseline.source == "provisional"
        and sample.level is not None
        and sample.level >= FIRST_START * baseline.level
    )


def _lacks_comparison(state: SensorState, limit: Limits) -> bool:
    """Tell whether an alert about the level is open that could never end: nothing is known any more to compare it with.

    That is so after a relearn, or when the configured baseline was taken out. Only then is anything learned meanwhile.
    """
    tallies = state.tallies or {}
    return limit.baseline is None and any(
        tallies[kind].severity is not SeverityRank.NONE for kind in INDICATORS if kind in tallies
    )


def _begin_anew(state: SensorState) -> None:
    """Forget a first look that was at a machine standing still."""
    state.learned = state.learning = state.limits = state.smooth = state.tallies = None


def _reading(state: SensorState, sample: Sample) -> Reading:
    smoothed = state.smooth or sample.level or 0.0
    return Reading(
        sample.level, sample.unit, sample.time_ns, smoothed, sample.quantities, sample.sensor_unit, state.spikes
    )


def _raise(
    state: SensorState, limit: Limits, sample: Sample, severity: SeverityRank, tallies: Mapping[str, IndicatorState]
) -> Finding:
    change = Verdict.RAISE if state.severity is SeverityRank.NONE else Verdict.ESCALATE
    state.severity, state.alert_state = severity, state.operating_state
    reading = _reading(state, sample)
    return Finding(
        change,
        "critical" if severity is SeverityRank.CRITICAL else "warning",
        sample.level,
        limit.baseline.level if limit.baseline and sample.level is not None else None,
        raised(reading, tallies, limit),
        figure(reading, tallies, limit),
    )


def _clear(state: SensorState, limit: Limits, sample: Sample, tallies: Mapping[str, IndicatorState]) -> Finding:
    severity: Severity = "critical" if state.severity is SeverityRank.CRITICAL else "warning"
    reading = _reading(state, sample)
    baseline = limit.baseline.level if limit.baseline and sample.level is not None else None
    reason, shown = recovered(reading, tallies, limit), recovered_figure(reading, tallies, limit)
    state.severity, state.alert_state, state.tallies = SeverityRank.NONE, "", None
    return Finding(Verdict.CLEAR, severity, sample.level, baseline, reason, shown)


def _learn(state: SensorState, limit: Limits, level: float, sample: Sample, rules: Rules) -> Evaluation:
    """Learn from a sample that nothing is wrong with, unless there is nothing left to learn.

    Where nothing is known to compare it with, it is not judged.
    """
    if rules.baseline is not None or (state.learned is not None and state.learned.source in SETTLED):
        return NOTHING
    learning = state.learning
    if learning is None:
        learning = state.learning = Learning(first_ns=sample.time_ns)
    learning.add(level, state.smooth, sample.quantities.velocity_rms)
    complete = sample.time_ns - learning.first_ns >= rules.learning_ns
    few = learning.count < rules.learning_readings
    nothing = PASSED_OVER[LEARNING] if limit.baseline is None or limit.is_inherited else NOTHING
    if not learning.is_due(rules.learning_readings, complete=complete, rare=rules.learning_ns > 0):
        return nothing
    learned = learn(
        learning,
        sample.time_ns,
        readings=FEWEST if few else rules.learning_readings,
        complete=complete and not few,
        version=next_version(state),
        state=state.operating_state,
    )
    if learned is None:
        return nothing
    state.versions = learned.version
    state.learned = learned
    state.limits = None
    if learned.source == "learned":
        state.learning = None
    return Evaluation(learned=learned)
