from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.machine import Measurement, Mounting, growth, jump, measure, steps

MOUNTING = Mounting(level=4.0, noise=0.04, velocity=1.5, temperature=45.0, rpm=1480.0, load=0.75)


def mean(factor: float, name: str) -> float:
    random = Random(1)
    return fmean(getattr(measure(MOUNTING, factor, random), name) for _ in range(300))


def test_growth_starts_at_one_and_levels_off_at_its_limit() -> None:
    assert growth(15.0, after=15.0, over=36.0, to=4.0) == 1.0
    assert growth(10_000.0, after=15.0, over=36.0, to=4.0) == pytest.approx(4.0)


def test_growth_is_exponential_at_first() -> None:
    first, second, third = (growth(t, after=0.0, over=100.0, to=1000.0) for t in (0.0, 50.0, 100.0))
    assert second / first == pytest.approx(third / second, rel=0.01)


def test_jump_rises_within_its_time() -> None:
    assert [jump(t, after=60.0, over=10.0, to=3.0) for t in (0, 60, 65, 70, 1000)] == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_steps_rise_one_by_one_up_to_the_limit() -> None:
    moments = (9.9, 10, 19.9, 20, 30, 1000)
    assert [steps(t, after=10.0, every=10.0, by=0.5, to=2.2) for t in moments] == [1.0, 1.5, 1.5, 2.0, 2.2, 2.2]


@given(earlier=st.floats(0, 1e6), later=st.floats(0, 1e6))
def test_wear_never_heals(earlier: float, later: float) -> None:
    earlier, later = sorted((earlier, later))
    assert growth(earlier, after=15, over=36, to=4) <= growth(later, after=15, over=36, to=4)
    assert jump(earlier, after=15, over=36, to=4) <= jump(later, after=15, over=36, to=4)
    assert steps(earlier, after=15, every=36, by=0.5, to=4) <= steps(later, after=15, every=36, by=0.5, to=4)


def test_a_healthy_bearing_reads_as_healthy() -> None:
    random = Random(3)
    readings = [measure(MOUNTING, 1.0, random) for _ in range(5000)]
    assert all(3.5 <= each.level <= 4.5 for each in readings)
    assert all(each.crest_factor < 5 for each in readings)
    assert all(2.5 < each.kurtosis < 3.5 for each in readings)
    assert len({each.level for each in readings}) > 1000


def test_wear_shows_in_every_indicator() -> None:
    for name in ("level", "velocity_rms", "peak", "crest_factor", "kurtosis", "temperature"):
        assert mean(2.5, name) > 1.1 * mean(1.0, name), name
    assert mean(2.5, "rpm") == mean(1.0, "rpm")


def test_kurtosis_falls_again_near_the_failure_while_the_level_rises() -> None:
    assert mean(6.0, "kurtosis") < mean(3.0, "kurtosis")
    assert mean(6.0, "level") > mean(3.0, "level")


def test_the_peak_is_crest_factor_times_level() -> None:
    reading: Measurement = measure(MOUNTING, 2.0, Random(5))
    assert reading.peak == pytest.approx(reading.crest_factor * reading.level, rel=1e-3)
