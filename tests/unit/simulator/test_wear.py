import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.wear import growth, jump, steps


def test_growth_starts_at_one_and_levels_off_at_its_limit() -> None:
    assert growth(np.array([0.0, 15.0, 1e4]), after=15.0, over=36.0, to=4.0) == pytest.approx([1.0, 1.0, 4.0])


def test_growth_is_exponential_at_first() -> None:
    first, second, third = growth(np.array([0.0, 50.0, 100.0]), after=0.0, over=100.0, to=1000.0)
    assert second / first == pytest.approx(third / second, rel=0.01)


def test_jump_rises_within_its_time() -> None:
    moments = np.array([0.0, 60, 65, 70, 1000])
    assert jump(moments, after=60.0, over=10.0, to=3.0).tolist() == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_steps_rise_one_by_one_up_to_the_limit() -> None:
    moments = np.array([9.9, 10, 19.9, 20, 30, 1000])
    assert steps(moments, after=10.0, every=10.0, by=0.5, to=2.2).tolist() == [1.0, 1.5, 1.5, 2.0, 2.2, 2.2]


@given(moments=st.lists(st.floats(0, 1e6), min_size=2))
def test_wear_never_heals(moments: list[float]) -> None:
    ordered = np.array(sorted(moments))
    for curve in (
        growth(ordered, after=15, over=36, to=4),
        jump(ordered, after=15, over=36, to=4),
        steps(ordered, after=15, every=36, by=0.5, to=4),
    ):
        assert (np.diff(curve) >= 0).all()
