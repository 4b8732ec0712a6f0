"""Laws of detection: what holds for any readings whatever."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.detection.detector import Verdict, evaluate
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sample import Sample
from gateway.domain.detection.state import SensorState
from gateway.domain.model.events import SeverityRank
from gateway.journal.sqlite.codec import decode_state, encode_state
from tests.examples import examples
from tests.samples import make_sample

SECOND = 10**9
LEARNED = Rules(learning_readings=12, learning_ns=0, settling_ns=2 * SECOND)
"""Learns within the first dozen readings, so that all that follows is judged by a spread."""

kinds = st.sampled_from(["running", "slow", "stopped", "unknown", None])
readings = st.tuples(
    st.floats(0.01, 20).map(lambda level: round(level, 2)),
    kinds,
    st.none() | st.sampled_from([100.0, 1500.0]),
    st.none() | st.floats(2, 12).map(lambda value: round(value, 1)),
)
stories = st.tuples(st.integers(0, 99), st.lists(readings, max_size=40))
any_rules = st.sampled_from(
    [LEARNED, Rules(baseline=4.0, rise_ratio=0.5), Rules(learning_readings=8, learning_ns=30 * SECOND, iso_group=2)]
)

Found = list[tuple[int, Verdict, str]]


def told(story: tuple[int, list[Any]], scale: float = 1.0) -> list[Sample]:
    """Return a dozen and more healthy readings, then the story's own, one a second."""
    seed, more = story
    rng = random.Random(seed)
    healthy = [(round(4 + 0.2 * rng.gauss(0, 1), 3), None, None, None) for _ in range(20)]
    return [
        make_sample(level * scale, second * SECOND, operating_state=state, rpm=rpm, kurtosis=shape, velocity_rms=shape)
        for second, (level, state, rpm, shape) in enumerate([*healthy, *more])
    ]


def judged(samples: list[Sample], rules: Rules, state: SensorState | None = None) -> Found:
    state = state or SensorState()
    found: Found = []
    for index, sample in enumerate(samples):
        finding = evaluate(state, sample, rules).finding
        if finding:
            found.append((index, finding.change, finding.severity))
    return found


@given(stories, st.sampled_from([2.0**-10, 2.0**10, 2.0**40]))
def test_scaling_all_levels_changes_no_decision(story: tuple[int, list[Any]], scale: float) -> None:
    """The unit is the sensor's affair. A power of two, since then nothing is rounded."""
    assert judged(told(story, scale), LEARNED) == judged(told(story), LEARNED)


@given(stories, any_rules, st.integers(0, 60))
def test_a_state_that_was_saved_and_restored_goes_on_undisturbed(
    story: tuple[int, list[Any]], rules: Rules, at: int
) -> None:
    samples = told(story)
    whole, first = SensorState(), SensorState()
    expected = judged(samples, rules, whole)
    found = judged(samples[:at], rules, first)
    later = judged(samples[at:], rules, second := decode_state(encode_state(first)))
    assert found + [(at + index, change, severity) for index, change, severity in later] == expected
    assert encode_state(second) == encode_state(whole)


@given(stories, any_rules)
def test_no_alert_is_opened_or_closed_by_a_machine_that_stands_still(
    story: tuple[int, list[Any]], rules: Rules
) -> None:
    state = SensorState()
    for sample in told(story):
        before = state.severity
        evaluate(state, sample, rules)
        if sample.operating_state == "stopped":
            assert state.severity is before


@given(stories, any_rules)
def test_a_severity_only_falls_by_clearing(story: tuple[int, list[Any]], rules: Rules) -> None:
    state = SensorState()
    for sample in told(story):
        before = state.severity
        finding = evaluate(state, sample, rules).finding
        if state.severity < before:
            assert finding is not None
            assert (finding.change, state.severity) == (Verdict.CLEAR, SeverityRank.NONE)


@examples(30)
@given(st.floats(1e-6, 1e6), st.integers(2, 60), st.integers(0, 300))
def test_a_constant_healthy_level_never_alerts(level: float, learning: int, seconds: int) -> None:
    rules = Rules(learning_readings=learning, learning_ns=seconds * SECOND)
    assert judged([Sample(level, second * SECOND) for second in range(400)], rules) == []


NOISE: dict[str, Callable[[random.Random, int, float], float]] = {
    "normal": lambda rng, _second, _last: 4 * (1 + 0.05 * rng.gauss(0, 1)),
    "rough": lambda rng, _second, _last: 4 * abs(1 + 0.2 * rng.gauss(0, 1)),
    "skewed": lambda rng, _second, _last: 4 * math.exp(0.3 * rng.gauss(0, 1)),
    "coarse": lambda rng, _second, _last: max(0, round(4 + 0.6 * rng.gauss(0, 1))),
    "spikes": lambda rng, _second, _last: 4 * (1 + 0.05 * rng.gauss(0, 1)) * (3 if rng.random() < 0.05 else 1),
    "stops": lambda rng, second, _last: (4 if second // 1500 % 3 else 0.2) * (1 + 0.05 * rng.gauss(0, 1)),
    "wandering": lambda rng, _second, last: 4 + 0.95 * (last - 4) + 0.06 * rng.gauss(0, 1),
}


@pytest.mark.parametrize("kind", NOISE)
def test_healthy_machines_are_left_alone(kind: str) -> None:
    rng, last, samples = random.Random(kind), 4.0, []
    for second in range(20_000):
        last = NOISE[kind](rng, second, last)
        samples.append(Sample(last, second * SECOND))
    assert judged(samples, Rules(learning_ns=5000 * SECOND)) == []
