from itertools import islice, pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.profile import NEVER_STARTED, Profile, Step

RUNNING = Step(state="running", lasts=3600.0, speed=1.0, load=1.0)
IDLE = Step(state="idle", lasts=600.0, speed=0.5, load=0.0)
STOPPED = Step(state="stopped", lasts=1800.0, speed=0.0, load=0.0)


def profile(*steps: Step, shifts: tuple[tuple[float, float], ...] = ()) -> Profile:
    return Profile(steps, np.random.default_rng(1), shifts)


def test_steps_follow_each_other_again_and_again_without_a_gap() -> None:
    phases = list(islice(profile(RUNNING, IDLE, STOPPED).changes(), 30))
    assert [phase.step.state for phase in phases[:4]] == ["running", "idle", "stopped", "running"]
    assert all(earlier.end == later.begin for earlier, later in pairwise(phases))
    assert all(0.9 <= (phase.end - phase.begin) / phase.step.lasts <= 1.1 for phase in phases)
    assert len({phase.end - phase.begin for phase in phases}) == 30


def test_a_single_step_lasts_for_ever() -> None:
    (only,) = profile(RUNNING).changes()
    assert (only.begin, only.end) == (0.0, inf)


def test_what_a_machine_does_is_the_same_in_whatever_order_it_is_asked_for() -> None:
    moments = np.arange(0.0, 50_000.0, 777.0)
    forwards, both = profile(RUNNING, STOPPED), profile(RUNNING, STOPPED)
    both.phase(49_000.0)
    assert forwards.at(moments).states == both.at(moments).states


def test_a_start_is_the_turning_after_a_stop_and_not_a_change_of_speed() -> None:
    doing = profile(RUNNING, IDLE, STOPPED)
    first, idle, _, second, again = islice(doing.changes(), 5)
    assert first.started == idle.started == NEVER_STARTED
    assert second.started == again.started == second.begin
    at = doing.at(np.array([second.begin + 10.0]))
    assert at.since_start[0] == pytest.approx(10.0)


def test_a_machine_cools_while_it_is_stopped() -> None:
    doing = profile(RUNNING, STOPPED)
    running, stopped, again = islice(doing.changes(), 3)
    assert doing.at(np.array([running.end - 1])).warmth[0] == pytest.approx(1.0)
    assert 0.2 < again.warmth < 0.6
    assert doing.at(np.array([stopped.begin + 60, stopped.end - 60])).warmth.tolist() == sorted(
        doing.at(np.array([stopped.begin + 60, stopped.end - 60])).warmth.tolist(), reverse=True
    )


def test_a_shift_takes_effect_at_the_next_start_and_stays() -> None:
    doing = profile(RUNNING, STOPPED, shifts=((1000.0, 1.3),))
    _, stopped, second, *_ = islice(doing.changes(), 3)
    moments = np.array([500.0, 1500.0, stopped.begin + 1, second.begin + 1, second.begin + 50_000])
    assert doing.at(moments).shift.tolist() == [1.0, 1.0, 1.0, 1.3, 1.3]
    assert doing.shifted_from(1000.0) == second.begin


def test_a_machine_that_never_stops_never_shifts() -> None:
    assert profile(RUNNING, IDLE).shifted_from(1000.0) == inf
    assert profile(RUNNING).shifted_from(0.0) == inf


@given(moment=st.floats(0, 1e5))
def test_a_machine_turns_from_then_or_from_its_next_start(moment: float) -> None:
    doing = profile(RUNNING, IDLE, STOPPED)
    found = doing.running_from(moment)
    assert found >= moment
    assert doing.phase(found).step.speed > 0
    assert found == moment or doing.phase(moment).step is STOPPED


def test_a_machine_that_stands_still_never_turns() -> None:
    assert profile(STOPPED).running_from(5.0) == inf
