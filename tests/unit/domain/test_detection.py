"""Raise, escalate, clear: on-delay, off-delay and hysteresis."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.comparison import number
from gateway.domain.detection.detector import Finding, Verdict, evaluate
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sample import Sample
from gateway.domain.detection.state import SensorState
from gateway.domain.model.events import SeverityRank
from tests.samples import make_sample

SECOND = 10**9
RULES = Rules(baseline=4.0)
"""Warning from 6.4, critical from 10, over below 5.76; three readings each."""


def judged(
    levels: list[float], rules: Rules = RULES, state: SensorState | None = None, step: int = 1
) -> list[tuple[int, Verdict, str]]:
    """Return (index, change, severity) for what a reading every `step` seconds leads to."""
    state = state or SensorState()
    found: list[tuple[int, Verdict, str]] = []
    for index, level in enumerate(levels):
        finding = evaluate(state, Sample(level, index * step * SECOND), rules).finding
        if finding:
            found.append((index, finding.change, finding.severity))
    return found


def test_a_warning_takes_as_many_readings_in_a_row_as_the_rules_say() -> None:
    assert judged([7.0, 7.0, 4.0, 7.0, 7.0]) == []
    assert judged([4.0, 7.0, 7.0, 7.0, 7.0, 7.0]) == [(3, Verdict.RAISE, "warning")]


def test_a_limit_itself_is_above_it() -> None:
    assert judged([6.4] * 3) == [(2, Verdict.RAISE, "warning")]
    assert judged([10.0] * 3) == [(2, Verdict.RAISE, "critical")]
    assert judged([6.399999] * 9) == []


def test_a_warning_that_gets_worse_escalates_once() -> None:
    assert judged([7.0] * 3 + [11.0] * 9) == [(2, Verdict.RAISE, "warning"), (5, Verdict.ESCALATE, "critical")]


def test_readings_above_critical_count_for_the_warning_too() -> None:
    assert judged([7.0, 11.0, 11.0, 11.0]) == [(2, Verdict.RAISE, "warning"), (3, Verdict.ESCALATE, "critical")]


def test_a_critical_alert_does_not_become_a_warning_again() -> None:
    assert judged([11.0] * 3 + [7.0] * 20) == [(2, Verdict.RAISE, "critical")]


def test_an_alert_ends_after_enough_readings_below_its_hysteresis() -> None:
    assert judged([11.0] * 3 + [5.8] * 20) == [(2, Verdict.RAISE, "critical")]
    assert judged([11.0] * 3 + [5.7, 5.7, 5.8, 5.7, 5.7, 5.7]) == [
        (2, Verdict.RAISE, "critical"),
        (8, Verdict.CLEAR, "critical"),
    ]


def test_after_its_end_a_new_alert_starts_from_the_beginning() -> None:
    levels = [7.0] * 3 + [4.0] * 3 + [7.0] * 3
    assert judged(levels) == [
        (2, Verdict.RAISE, "warning"),
        (5, Verdict.CLEAR, "warning"),
        (8, Verdict.RAISE, "warning"),
    ]


def test_delays_hold_when_both_their_count_and_their_time_are_reached() -> None:
    rules = Rules(baseline=4.0, on_readings=2, on_delay_ns=10 * SECOND, off_readings=2, off_delay_ns=20 * SECOND)
    assert judged([7.0] * 20, rules) == [(10, Verdict.RAISE, "warning")]
    assert judged([7.0] * 20, rules, step=60) == [(1, Verdict.RAISE, "warning")]
    assert judged([7.0] * 11 + [4.0] * 30, rules)[1:] == [(31, Verdict.CLEAR, "warning")]


def test_an_interrupted_series_starts_its_time_anew() -> None:
    rules = Rules(baseline=4.0, on_readings=1, on_delay_ns=5 * SECOND)
    assert judged([7.0] * 5 + [4.0] + [7.0] * 6, rules) == [(11, Verdict.RAISE, "warning")]


def test_without_a_baseline_nothing_is_judged() -> None:
    assert judged([1e9] * 50, Rules()) == []


def test_a_stopped_machine_is_neither_healthy_nor_ill() -> None:
    state = SensorState()
    judged([7.0] * 3, state=state)
    for level in (0.0, 50.0):
        for index in range(20):
            stopped = Sample(level, (10 + index) * SECOND, operating_state="Stopped")
            assert evaluate(state, stopped, RULES).finding is None
    assert state.severity is SeverityRank.WARNING


def test_a_stop_ends_a_series() -> None:
    state = SensorState()
    judged([7.0] * 2, state=state)
    evaluate(state, Sample(0.0, 3 * SECOND, operating_state="off"), RULES)
    assert judged([7.0] * 2, state=state) == []


def test_an_open_alert_of_a_sensor_without_a_baseline_does_not_stop_the_gateway() -> None:
    """Its configured baseline has been taken out of the configuration."""
    state = SensorState(severity=SeverityRank.CRITICAL)
    assert judged([7.0] * 10, Rules(), state) == []
    assert state.severity is SeverityRank.CRITICAL


def finding(levels: list[float], rules: Rules, **more: object) -> Finding:
    state = SensorState()
    for index, level in enumerate(levels):
        found = evaluate(state, make_sample(level, index * 10 * SECOND, **more), rules).finding
    assert found is not None
    return found


def test_the_reason_says_what_was_compared_with_what_and_for_how_long() -> None:
    assert finding([12.5] * 3, RULES).reason == (
        "RMS 12.5 m/s², 3.1 × the configured baseline 4.0, for 3 readings in 20 s"
    )
    own = finding([12.5] * 3, Rules(), unit="g", event_baseline=5.0)
    assert own.reason == "RMS 12.5 g, 2.5 × the sensor's own baseline 5.0, for 3 readings in 20 s"
    assert finding([12.5] * 3 + [4.0] * 3, RULES).reason == (
        "Back to 4.0 m/s², 1.00 × the configured baseline 4.0, for 3 readings in 20 s"
    )
    assert finding([12.5], Rules(baseline=4.0, on_readings=1)).reason.endswith("for 1 reading")


def test_the_reason_of_a_learned_baseline_says_when_it_was_learned_and_what_is_normal() -> None:
    second_of_september = 1_788_307_200 * SECOND
    learned = Baseline(4.0, "learned", sigma=0.2, version=3, from_ns=second_of_september,
                       to_ns=second_of_september + 7 * 86_400 * SECOND, state="running")  # fmt: skip
    state = SensorState(learned=learned, operating_state="running")
    found = evaluate(state, Sample(12.5, 0, operating_state="running"), Rules(on_readings=1)).finding
    assert found is not None
    assert found.reason == (
        "RMS 12.5 m/s², 3.1 × the running baseline 4.0 (learned 2\N{EN DASH}9 Sept, version 3), normal up to 5.14,"
        " for 1 reading"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12.5, "12.5"),
        (4.0, "4.0"),
        (0.08421, "0.0842"),
        (123.4, "123"),
        (1234.0, "1.23e+03"),
        (-7.0, "-7.0"),
        (0, "0.0"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


levels = (
    st.floats(0, 20) | st.sampled_from([5.75, 5.76, 6.4, 10.0, 4.0]) | st.floats(allow_nan=False, allow_infinity=False)
)
delays = st.integers(1, 4)


any_rules = st.builds(
    Rules,
    baseline=st.none() | st.just(4.0),
    learning_readings=st.just(4),
    learning_ns=st.integers(0, 20 * SECOND),
    on_readings=delays,
    off_readings=delays,
    on_delay_ns=st.integers(0, 3 * SECOND),
    off_delay_ns=st.integers(0, 3 * SECOND),
)
EAGER = Rules(learning_readings=4, learning_ns=0, on_readings=1, off_readings=1)


@given(st.lists(levels, max_size=60), any_rules)
@example([5e-324] * 40, EAGER)
@example([1e308] * 40, EAGER)
def test_every_sequence_of_levels_gives_a_proper_life_cycle(values: list[float], rules: Rules) -> None:
    found = judged(values, rules)
    state: tuple[Verdict, str] | None = None
    for index, change, severity in found:
        assert index + 1 >= min(rules.on_readings, rules.off_readings)
        match change:
            case Verdict.RAISE:
                assert state is None
            case Verdict.ESCALATE:
                assert state == (Verdict.RAISE, "warning")
                assert severity == "critical"
            case Verdict.CLEAR:
                assert state is not None
                assert severity == state[1]
        state = None if change is Verdict.CLEAR else (change, severity)
    assert all(later > earlier for (earlier, *_), (later, *_) in pairwise(found))


@given(st.lists(st.floats(5.77, 9.99), max_size=100), st.integers(1, 4), st.integers(1, 4))
def test_a_level_that_flaps_within_the_hysteresis_gives_one_alert_at_most(
    values: list[float], on: int, off: int
) -> None:
    assert len(judged(values, Rules(baseline=4.0, on_readings=on, off_readings=off))) <= 1
