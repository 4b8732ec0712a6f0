"""Which operating state a reading belongs to, and what is kept for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.operating_state import (
    MAX_STATES,
    OTHER,
    enter,
    forget_baselines,
    known_baselines,
    put_baseline,
    state_of,
)
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import SensorState

RULES = Rules(stopped_states=frozenset({"aus"}))


@pytest.mark.parametrize(
    ("said", "rpm", "load", "expected"),
    [
        ("Running ", None, None, "running"),
        ("Running", 0.0, None, "running"),
        ("AUS", 1500.0, None, None),
        ("0", None, None, None),
        ("0.0", None, None, None),
        ("stopped", None, None, "stopped"),
        ("Unknown", None, None, ""),
        ("", None, None, ""),
        (None, None, None, ""),
        (None, 0.3, None, None),
        ("unknown", 0.0, None, None),
        (None, 1500.0, None, "1467 to 1614 rpm"),
        (None, -1500.0, None, "1467 to 1614 rpm"),
        (None, None, 0.0, "load 0.00825 to 0.01031"),
        (None, 100.0, 50.0, "92.5 to 101.8 rpm, load 49.65 to 62.06"),
        (None, 1e308, None, "9.62e+11 to 1.058e+12 rpm"),
    ],
)
def test_the_state_is_what_the_event_says_else_the_bands(
    said: str | None, rpm: float | None, load: float | None, expected: str | None
) -> None:
    assert state_of(SensorState(), said, rpm, load, RULES) == expected


def test_bands_can_be_switched_off() -> None:
    assert state_of(SensorState(), None, 1500.0, 50.0, Rules(rpm_step=0, load_step=0)) == ""


@given(st.floats(10, 1e5), st.floats(0.98, 1.02))
def test_jitter_of_the_speed_is_no_change_of_state(rpm: float, jitter: float) -> None:
    state = SensorState()
    first = state_of(state, None, rpm, None, RULES)
    assert state_of(state, None, rpm * jitter, None, RULES) == first
    assert state_of(state, None, rpm * 1.5, None, RULES) != first


def test_what_is_known_is_kept_for_each_state() -> None:
    state = SensorState(operating_state="slow", learned=Baseline(2.0, "learned", state="slow"))
    assert enter(state, "fast")
    assert state.learned is None
    state.learned = Baseline(8.0, "learned", state="fast")
    assert enter(state, "slow")
    assert state.learned == Baseline(2.0, "learned", state="slow")
    assert [baseline.level for baseline in known_baselines(state)] == [8.0, 2.0]


def test_beyond_the_bound_all_further_states_share_one() -> None:
    state = SensorState()
    for number in range(3 * MAX_STATES):
        enter(state, f"state {number}")
        state.learned = Baseline(1.0 + number, "learned")
    assert state.operating_state == OTHER
    assert not enter(state, "one more")
    assert len(state.others or {}) <= MAX_STATES + 1


def test_a_baseline_can_be_set_in_a_state_that_has_not_been_seen_yet() -> None:
    state = SensorState(operating_state="slow", learned=Baseline(2.0, "learned", version=3))
    chosen = Baseline(5.0, "set", version=4, state="fast", by="anna")
    put_baseline(state, chosen)
    assert (state.learned, state.versions) == (Baseline(2.0, "learned", version=3), 4)
    enter(state, "fast")
    assert state.learned == chosen


@pytest.mark.parametrize(("name", "left"), [(None, []), ("fast", [2.0]), ("slow", [8.0]), ("none such", [8.0, 2.0])])
def test_one_state_or_all_are_forgotten_but_never_the_version(name: str | None, left: list[float]) -> None:
    state = SensorState(operating_state="slow", learned=Baseline(2.0, "learned", version=2, state="slow"))
    put_baseline(state, Baseline(8.0, "set", version=7, state="fast"))
    forget_baselines(state, name)
    assert [baseline.level for baseline in known_baselines(state)] == left
    assert state.versions == 7
