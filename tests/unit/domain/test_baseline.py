import math
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.detection.baseline import CAPACITY, Baseline, Learning, learn, running_from
from gateway.domain.detection.detector import Verdict, choose_baseline, evaluate
from gateway.domain.detection.limits import limits
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sample import Sample
from gateway.domain.detection.state import SensorState
from gateway.domain.model.events import SeverityRank
from tests.samples import make_sample

SECOND = 10**9
HOUR = 3600 * SECOND


def fed(state: SensorState, rules: Rules, levels: list[float], start: int = 0, **more: object) -> list[Baseline]:
    """Evaluate a reading a second and return the baselines that were learned."""
    found = []
    for index, level in enumerate(levels, start=start):
        evaluation = evaluate(state, make_sample(level, index * SECOND, **more), rules)
        if evaluation.learned:
            found.append(evaluation.learned)
    return found


def sample(level: float, second: int = 0, **more: object) -> Sample:
    return make_sample(level, second * SECOND, **more)


RULES = Rules(learning_readings=10, learning_ns=100 * SECOND)


def test_a_provisional_baseline_comes_after_the_readings_and_at_every_doubling_of_them() -> None:
    found = fed(SensorState(), RULES, [4.0] * 90)
    assert [(baseline.source, baseline.readings, baseline.version) for baseline in found] == [
        ("provisional", 10, 1),
        ("provisional", 20, 2),
        ("provisional", 40, 3),
        ("provisional", 80, 4),
    ]
    assert all(baseline.sigma is None for baseline in found), "of a level that never changed no spread is known"


def test_a_learned_one_needs_both_the_readings_and_the_time() -> None:
    early = Rules(learning_readings=10, learning_ns=0)
    assert [(one.source, one.readings) for one in fed(SensorState(), early, [4.0] * 50)] == [("learned", 10)]
    (*_, last) = fed(SensorState(), RULES, [4.0, 4.2] * 60)
    assert (last.source, last.readings, last.version) == ("learned", 101, 5)
    assert (last.from_ns, last.to_ns) == (0, 100 * SECOND)
    assert last.level == 4.0
    assert last.sigma is not None


def test_once_learned_it_stays() -> None:
    state = SensorState()
    fed(state, RULES, [4.0] * 200)
    assert fed(state, RULES, [4.1] * 500, start=200) == []
    assert state.learning is None


def test_the_spread_is_robust_and_never_smaller_than_the_sensors_resolution() -> None:
    quiet, rough = Learning(0), Learning(0)
    same: dict[str, Any] = {"readings": 9, "complete": True, "version": 1}
    for _ in range(9):
        quiet.add(10.0)
    for level in [9.0, 9.5, 10.0, 10.0, 10.5, 11.0, 10.0, 1000.0, 10.0]:
        rough.add(level)
    constant, outlier = learn(quiet, 1, **same), learn(rough, 1, **same)
    assert constant is not None
    assert (constant.level, constant.sigma) == (10.0, None), "of a level that never changed no spread is known"
    assert outlier is not None
    assert outlier.level == 10.0
    assert outlier.sigma == pytest.approx(0.56, abs=0.02), "without the outlier"


@pytest.mark.parametrize("levels", [[0.0] * 30, [-4.0] * 30, [5e-324] * 30])
def test_nothing_is_learned_from_a_level_that_nothing_can_be_compared_with(levels: list[float]) -> None:
    state = SensorState()
    assert fed(state, Rules(learning_readings=10, learning_ns=0), levels) == []
    assert fed(state, Rules(learning_readings=10, learning_ns=0), [4.0] * 60, start=30)


@given(st.integers(1, 5000))
def test_memory_is_bounded_and_what_is_kept_is_spread_over_the_whole_time(count: int) -> None:
    learning = Learning(0)
    for number in range(count):
        learning.add(float(number))
    assert learning.count == count
    assert len(learning.samples) < CAPACITY
    gaps = [b - a for a, b in zip(learning.samples, learning.samples[1:], strict=False)]
    assert set(gaps) <= {learning.stride}
    if count >= CAPACITY:
        assert median(learning.samples) == pytest.approx(count / 2, abs=2 * learning.stride)


def test_the_configured_baseline_comes_first_then_the_learned_the_sensors_own_and_the_provisional() -> None:
    own = Rules()
    learned, provisional = Baseline(5.0, "learned", 0.1, 2), Baseline(6.0, "provisional", version=1)
    assert choose_baseline(SensorState(), own) is None
    assert choose_baseline(SensorState(learned=provisional), own) == provisional
    assert choose_baseline(SensorState(learned=provisional, event_baseline=4.0), own) == Baseline(4.0, "event")
    assert choose_baseline(SensorState(learned=learned, event_baseline=4.0), own) == learned
    configured = Rules(baseline=3.0)
    assert choose_baseline(SensorState(learned=learned, event_baseline=4.0), configured) == Baseline(3.0, "configured")


@pytest.mark.parametrize("nonsense", [0.0, -4.0])
def test_an_own_baseline_that_nothing_can_be_compared_with_does_not_count(nonsense: float) -> None:
    assert choose_baseline(SensorState(event_baseline=nonsense), Rules()) is None


def test_with_a_configured_baseline_nothing_is_learned() -> None:
    state = SensorState()
    assert fed(state, Rules(baseline=4.0, learning_readings=5, learning_ns=0), [4.0] * 50) == []
    assert state.learning is None


def test_learning_is_frozen_while_an_alert_is_open_and_while_one_may_be_coming() -> None:
    state = SensorState()
    rules = Rules(learning_readings=10, learning_ns=HOUR, on_readings=3, off_readings=3)
    fed(state, rules, [4.0] * 10)
    seen = state.learning.count if state.learning else 0
    fed(state, rules, [8.0] * 2 + [4.0], start=10)
    assert state.learning is not None
    assert state.learning.count == seen
    fed(state, rules, [8.0] * 50 + [4.0] * 2, start=20)
    assert (state.severity, state.learning.count) == (SeverityRank.WARNING, seen)
    fed(state, rules, [4.0] * 3, start=72)
    assert (state.severity, state.learning.count) == (SeverityRank.NONE, seen + 2)


@pytest.mark.parametrize("text", ["stopped", "Stopped", "OFF"])
def test_nothing_is_learned_from_a_stopped_machine(text: str) -> None:
    state = SensorState()
    rules = Rules(learning_readings=5, learning_ns=0, settling_ns=0, stopped_states=frozenset({"stopped", "off"}))
    assert fed(state, rules, [0.1] * 50, operating_state=text) == []
    assert state.learning is None
    assert fed(state, rules, [4.0] * 5, start=50, operating_state="running")[0].level == 4.0


def test_limits_follow_from_the_ratio_until_there_is_a_spread() -> None:
    rules = Rules(warning_ratio=1.5, critical_ratio=3.0, warning_sigma=5.0, hysteresis=0.1)
    fixed = limits(Baseline(4.0, "configured"), rules).level
    assert (fixed.warning, fixed.critical) == (6.0, 12.0)
    assert fixed.clear == pytest.approx(5.4)
    learned = limits(Baseline(4.0, "learned", sigma=0.2, to_ns=HOUR * 24), rules).level
    assert learned.warning == pytest.approx(4 * math.exp(5 * 0.2 / 4))
    assert learned.critical == 12.0
    assert learned.clear == pytest.approx(0.9 * learned.warning)
    assert limits(None, rules).level.lowest == math.inf


def test_a_level_that_is_often_reached_is_not_critical() -> None:
    found = limits(Baseline(4.0, "learned", sigma=2.0, to_ns=HOUR * 24), Rules()).level
    assert found.warning == found.critical == pytest.approx(4 * math.exp(2.5))


def test_no_limit_is_further_than_its_ratio_from_what_was_hardly_ever_exceeded() -> None:
    found = limits(Baseline(4.0, "learned", sigma=2.0, to_ns=HOUR * 24, high=8.0), Rules()).level
    assert found.warning == found.critical == pytest.approx(1.6 * 8.0)


def test_a_spread_from_few_readings_is_trusted_less() -> None:
    many, few, fewest = (
        limits(Baseline(4.0, "learned", sigma=0.2, to_ns=HOUR * 24, independent=count), Rules()).level.warning
        for count in (1000, 30, 2)
    )
    assert many == pytest.approx(4 * math.exp(0.25), abs=0.01)
    assert few == pytest.approx(4 * math.exp(0.25 * (1 + 26 / (4 * 29))))
    assert fewest == pytest.approx(4 * math.exp(0.375)), "at most half as far again"


def test_a_limit_is_never_closer_than_what_the_sensor_itself_can_wander() -> None:
    day = Baseline(4.0, "learned", sigma=1e-6, to_ns=HOUR * 24)
    assert limits(day, Rules()).level.warning == pytest.approx(4 * math.exp(0.075))
    cold = limits(replace(day, to_ns=HOUR), Rules()).level.warning
    assert cold == pytest.approx(4 * math.exp(0.125)), "before it has warmed up"


@given(
    st.floats(1e-6, 1e6), st.none() | st.floats(1e-3, 10), st.floats(1.001, 100), st.floats(1.001, 100),
    st.floats(0, 0.999),
)  # fmt: skip
def test_an_alert_always_ends_between_the_baseline_and_its_limits(
    level: float, spread: float | None, warning: float, critical: float, hysteresis: float
) -> None:
    """Else it could never clear, or would clear while the level is still above the limit."""
    sigma = None if spread is None else spread * level
    rules = Rules(warning_ratio=warning, critical_ratio=critical, hysteresis=hysteresis)
    found = limits(Baseline(level, "learned" if sigma else "configured", sigma), rules).level
    assert level < found.clear <= min(found.warning, found.critical)
    assert math.isfinite(found.critical)


def test_a_sensors_own_baseline_may_change_and_counts_from_then_on() -> None:
    state, rules = SensorState(), Rules(on_readings=1)
    assert evaluate(state, sample(7.0, 0, event_baseline=5.0), rules).finding is None
    finding = evaluate(state, sample(7.0, 1, event_baseline=4.0), rules).finding
    assert finding is not None
    assert (finding.change, finding.baseline) == (Verdict.RAISE, 4.0)


@pytest.mark.parametrize("high", [7.0, 20.0])
def test_every_level_of_a_running_machine_counts_where_zero_says_that_it_stands_still(high: float) -> None:
    """Zeros, however many, say nothing of how the levels of the running machine fall apart."""
    running = [2.0 + (high - 2.0) * share / 40 for share in range(41)]
    levels = [*[0.0] * 60, *running]
    assert running_from(levels, levels) == 2.0


def test_a_machine_that_stands_still_trembles_beside_zero() -> None:
    levels = [*[0.0, 0.05] * 20, *[4.0, 4.1] * 20]
    assert running_from(levels, sorted(levels)) == 4.0


@pytest.mark.parametrize(("first_ns", "later"), [(0, 0), (3_000_000_000, 0), (7_000_000, 7), (32_999_999, 7)])
def test_sensors_that_began_together_do_not_all_look_together(first_ns: int, later: int) -> None:
    learning, looks = Learning(first_ns), []
    for count in range(1, 900):
        learning.add(4.0)
        if learning.is_due(100, complete=False):
            looks.append(count)
    assert looks == [100, *(100 * times + later for times in (2, 4, 8))]
