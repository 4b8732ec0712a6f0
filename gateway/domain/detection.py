"""Is this level normal? (state, reading) -> (state, findings), by the limits that follow from the sensor's baseline."""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

from msgspec import Struct

from gateway.domain.baseline import Baseline, Learning, learn
from gateway.domain.events import Level, Severity
from gateway.domain.operating import enter, state_of
from gateway.domain.sensors import Limits, SensorState

DAY_NS = 86_400_000_000_000

SETTLED = frozenset({"learned", "set"})
"""Sources of a baseline after which nothing more is learned."""

Feature = Literal["velocity_rms", "crest_factor", "kurtosis"]


class Threshold(Struct, frozen=True):
    """Limits of a feature of the reading, and delays of its own: None are those of the rules it is among."""

    feature: Feature
    warning: float | None = None
    critical: float | None = None
    on_readings: int | None = None
    on_delay_ns: int | None = None
    off_readings: int | None = None
    off_delay_ns: int | None = None
    hysteresis: float | None = None


class Rules(Struct, frozen=True):
    """What decides, for one sensor. On- and off-delay hold when both their count and their time are reached.

    A warning is raised at `warning_sigma` robust standard deviations above a learned baseline; `warning_ratio` times
    the baseline decides until a spread has been learned. `critical_ratio` decides what is critical. `drift_ratio` is
    what the smoothed level may slowly reach, `rise_ratio` by how many baselines it may rise within `rise_window_ns`;
    0 switches either off. Below `stopped_ratio` of its baseline a level is that of a machine standing still.

    `settling_ns` after a start or a change of the operating state nothing is judged or learned. `iso_group` (1 or 2)
    and `iso_support` say which limits of ISO 10816-3 hold for `velocity_rms`; without a group none do.

    A sensor is silent after five times `interval_ns` (None: learned), but not before `silent_after_ns`.
    """

    baseline: float | None = None
    learning_ns: int = 7 * DAY_NS
    learning_readings: int = 100
    warning_sigma: float = 5.0
    warning_ratio: float = 1.6
    critical_ratio: float = 2.5
    on_readings: int = 3
    on_delay_ns: int = 0
    off_readings: int = 3
    off_delay_ns: int = 0
    hysteresis: float = 0.1
    stopped_states: frozenset[str] = frozenset({"stopped", "off"})
    unknown_states: frozenset[str] = frozenset({"unknown"})
    stopped_ratio: float = 0.25
    settling_ns: int = 180 * 10**9
    rpm_step: float = 0.1
    load_step: float = 0.25
    drift_ratio: float = 1.25
    rise_ratio: float = 1.0
    rise_window_ns: int = 3600 * 10**9
    regime_change: bool = True
    iso_group: Literal[1, 2] | None = None
    iso_support: Literal["rigid", "flexible"] = "rigid"
    thresholds: tuple[Threshold, ...] = ()
    interval_ns: int | None = None
    silent_after_ns: int = 300_000_000_000


class Change(Enum):
    """What a finding does to the sensor's alert."""

    RAISE = auto()
    ESCALATE = auto()
    CLEAR = auto()


class Finding(Struct, frozen=True):
    """A judgement that changes something, with its reason in plain words."""

    change: Change
    severity: Severity
    level: float
    baseline: float
    reason: str


class Evaluation(Struct, frozen=True):
    """What a reading led to."""

    finding: Finding | None = None
    learned: Baseline | None = None


NOTHING = Evaluation()


class Sample(Struct, gc=False):
    """What detection needs to know of a reading. `level` and `event_baseline` are in `unit`, `velocity_rms` in mm/s."""

    level: float
    time_ns: int
    unit: str = "m/s²"
    event_baseline: float | None = None
    operating_state: str | None = None
    velocity_rms: float | None = None
    crest_factor: float | None = None
    kurtosis: float | None = None
    rpm: float | None = None
    load: float | None = None


def evaluate(state: SensorState, sample: Sample, rules: Rules) -> Evaluation:
    """Judge `sample` and move `state` on. Samples of one sensor come in the order of their time.

    A stopped machine is neither healthy nor learned from, and it is not recovery: its samples only end a series of
    readings above a limit.
    """
    name = state_of(state, sample.operating_state, sample.rpm, sample.load, rules)
    if name is None:
        state.unsettled_ns = sample.time_ns
        state.on_warning = state.on_critical = state.off = 0
        return NOTHING
    if name != state.operating_state:
        before = state.operating_state
        if enter(state, name) and before and name:  # where one of them is not named, nothing says that it has changed
            state.unsettled_ns = state.judged_ns
            state.on_warning = state.on_critical = state.off = 0
    state.judged_ns = sample.time_ns
    if state.unsettled_ns is not None:
        if sample.time_ns - state.unsettled_ns < rules.settling_ns:
            return NOTHING
        state.unsettled_ns = None
    if sample.event_baseline is not None and sample.event_baseline != state.event_baseline:
        state.event_baseline = sample.event_baseline
        state.limits = None
    limit = state.limits or current_limits(state, rules)
    if limit is not None:
        quiet = state.severity is Level.NONE and state.on_warning == 0
        if not quiet or sample.level >= limit.warning or sample.level >= limit.critical:
            finding = _judge(state, limit, sample, rules)
            return NOTHING if finding is None else Evaluation(finding=finding)
    return _learn(state, sample, rules)


def current_limits(state: SensorState, rules: Rules) -> Limits | None:
    """Return what the next sample will be compared with, worked out anew if what it follows from has changed."""
    if state.limits is None:
        state.limits = limits(choose_baseline(state, rules), rules)
    return state.limits


def choose_baseline(state: SensorState, rules: Rules) -> Baseline | None:
    """Return the baseline that counts: configured, else learned, else the event's own, else the provisional one.

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


def limits(baseline: Baseline | None, rules: Rules) -> Limits | None:
    """Return what follows from a baseline.

    An alert ends below `hysteresis` under its warning limit, but never deeper than half-way to the baseline: where
    the limit is close to it, the level could not fall that far.
    """
    if baseline is None:
        return None
    level = baseline.level
    warning = level * rules.warning_ratio
    if baseline.sigma is not None:
        warning = level + rules.warning_sigma * baseline.sigma
    critical = level * rules.critical_ratio
    lowest = min(warning, critical)
    return Limits(baseline, warning, critical, clear=max(lowest * (1 - rules.hysteresis), (lowest + level) / 2))


def _judge(state: SensorState, limit: Limits, sample: Sample, rules: Rules) -> Finding | None:
    _count(state, limit, sample)
    time_ns = sample.time_ns
    if (
        state.severity < Level.CRITICAL
        and state.on_critical >= rules.on_readings
        and time_ns - state.on_critical_ns >= rules.on_delay_ns
    ):
        change = Change.RAISE if state.severity is Level.NONE else Change.ESCALATE
        return _raise(state, limit, sample, change, Level.CRITICAL)
    if (
        state.severity is Level.NONE
        and state.on_warning >= rules.on_readings
        and time_ns - state.on_warning_ns >= rules.on_delay_ns
    ):
        return _raise(state, limit, sample, Change.RAISE, Level.WARNING)
    if (
        state.severity is not Level.NONE
        and state.off >= rules.off_readings
        and time_ns - state.off_ns >= rules.off_delay_ns
    ):
        return _clear(state, limit, sample)
    return None


def _count(state: SensorState, limit: Limits, sample: Sample) -> None:
    """Count consecutive samples above each limit, and below the one that ends an alert."""
    if sample.level < limit.critical:
        state.on_critical = 0
    else:
        state.on_critical_ns = state.on_critical_ns if state.on_critical else sample.time_ns
        state.on_critical += 1
    if sample.level < min(limit.warning, limit.critical):
        state.on_warning = 0
    else:
        state.on_warning_ns = state.on_warning_ns if state.on_warning else sample.time_ns
        state.on_warning += 1
    if sample.level >= limit.clear or state.severity is Level.NONE:
        state.off = 0
    else:
        state.off_ns = state.off_ns if state.off else sample.time_ns
        state.off += 1


def _raise(state: SensorState, limit: Limits, sample: Sample, change: Change, severity: Level) -> Finding:
    critical = severity is Level.CRITICAL
    count = state.on_critical if critical else state.on_warning
    since_ns = state.on_critical_ns if critical else state.on_warning_ns
    state.severity = severity
    state.off = 0
    reason = (
        f"Level {number(sample.level)} {sample.unit}, {_compared(sample.level, limit.baseline)},"
        f" for {_series(count, sample.time_ns - since_ns)}"
    )
    return Finding(change, "critical" if critical else "warning", sample.level, limit.baseline.level, reason)


def _clear(state: SensorState, limit: Limits, sample: Sample) -> Finding:
    severity: Severity = "critical" if state.severity is Level.CRITICAL else "warning"
    reason = (
        f"Back to {number(sample.level)} {sample.unit}, {_compared(sample.level, limit.baseline)},"
        f" for {_series(state.off, sample.time_ns - state.off_ns)}"
    )
    state.severity = Level.NONE
    state.on_warning = state.on_critical = state.off = 0
    return Finding(Change.CLEAR, severity, sample.level, limit.baseline.level, reason)


def _learn(state: SensorState, sample: Sample, rules: Rules) -> Evaluation:
    """Learn from a sample that nothing is wrong with, unless there is nothing left to learn."""
    if rules.baseline is not None or (state.learned is not None and state.learned.source in SETTLED):
        return NOTHING
    if state.learning is None:
        state.learning = Learning(first_ns=sample.time_ns)
    learned = learn(
        state.learning,
        sample.level,
        sample.time_ns,
        readings=rules.learning_readings,
        duration_ns=rules.learning_ns,
        version=next_version(state),
        state=state.operating_state,
    )
    if learned is None:
        return NOTHING
    state.versions = learned.version
    state.learned = learned
    state.limits = None
    if learned.source == "learned":
        state.learning = None
    return Evaluation(learned=learned)


def _compared(level: float, baseline: Baseline) -> str:
    words = {"event": "sensor's own", "configured": "configured", "set": "set"}
    source = words.get(baseline.source, baseline.source)
    text = f"{level / baseline.level:.1f} × the {source} baseline {number(baseline.level)}"
    if baseline.sigma is not None:
        text += f" ({(level - baseline.level) / baseline.sigma:+.1f} sigma, version {baseline.version})"
    return text


def _series(count: int, duration_ns: int) -> str:
    readings = f"{count} reading" + "s" * (count != 1)
    seconds = duration_ns // 1_000_000_000
    return f"{readings} in {seconds} s" if seconds else readings


def number(value: float) -> str:
    """Return a measured value with three significant digits: 12.5, 4.0, 0.0842."""
    text = f"{value:.3g}"
    return text + ".0" if text.lstrip("-").isdigit() and len(text.lstrip("-")) < 3 else text  # noqa: PLR2004
