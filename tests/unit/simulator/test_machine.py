import numpy as np
import pytest

from simulator.features import Features, Samples, features
from simulator.machine import (
    DRAWS,
    FLOOR,
    SHAFT,
    Fault,
    Measurements,
    Mounting,
    Worn,
    amplitudes,
    combine,
    healthy,
    measure,
    seen,
    wander,
)
from simulator.profile import Operation
from simulator.waveform import COMPONENTS, RATE, unit

MOUNTING = Mounting(level=2.4, noise=0.04, wander=0.02, velocity=1.6, temperature=45.0, rpm=1480.0, load=0.75)
FAULTS = [component for component in COMPONENTS if component != "noise"]


def operation(speed: float = 1.0, load: float = 1.0, since_start: float = 1e9, shift: float = 1.0) -> Operation:
    return Operation(
        states=["running"],
        speed=np.array([speed]),
        load=np.array([load]),
        warmth=np.array([1.0]),
        since_start=np.array([since_start]),
        shift=np.array([shift]),
    )


def modelled(fault: Fault, factor: float, doing: Operation, mounting: Mounting = MOUNTING) -> Measurements:
    return combine(amplitudes(mounting, Worn(fault, np.array([factor])), doing), mounting, doing.speed)


def sampled(fault: Fault, factor: float, doing: Operation, mounting: Mounting = MOUNTING) -> Features:
    """Return the features of the waveform that the model stands for."""
    random, speed = np.random.default_rng(5), float(doing.speed[0])
    wave: Samples = FLOOR * random.standard_normal(RATE)
    for name, rms in amplitudes(mounting, Worn(fault, np.array([factor])), doing).items():
        wave = wave + float(rms[0]) * unit(name, mounting.rpm * speed / 60, mounting.bearing, random)
    return features(wave, RATE)


def measured(factor: float, fault: Fault = "outer-race", count: int = 300) -> Measurements:
    many = Operation(
        states=["running"] * count,
        speed=np.ones(count),
        load=np.ones(count),
        warmth=np.ones(count),
        since_start=np.full(count, 1e9),
        shift=np.ones(count),
    )
    drawn = np.random.default_rng(1).standard_normal((count, DRAWS))
    return measure(MOUNTING, Worn(fault, np.full(count, factor)), many, drawn, np.ones(count))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("factor", [1.0, 1.5, 3.0, 6.0])
@pytest.mark.parametrize("speed", [1.0, 0.7])
def test_the_model_is_the_waveform(fault: Fault, factor: float, speed: float) -> None:
    model, wave = modelled(fault, factor, operation(speed)), sampled(fault, factor, operation(speed))
    assert model.level[0] == pytest.approx(wave.level, rel=0.03)
    assert model.velocity_rms[0] == pytest.approx(wave.velocity_rms, rel=0.12)
    assert model.kurtosis[0] == pytest.approx(wave.kurtosis, rel=0.15)
    assert model.peak[0] == pytest.approx(wave.peak, rel=0.25)


def test_a_healthy_machine_reads_what_its_mounting_says() -> None:
    model = modelled("outer-race", 1.0, operation())
    assert model.level[0] == pytest.approx(2.4, rel=0.01)
    assert model.velocity_rms[0] == pytest.approx(1.6, rel=0.01)
    assert 2.5 < model.kurtosis[0] < 3.5
    assert model.crest_factor[0] < 6


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_multiplies_the_figure_in_which_it_shows(fault: Fault) -> None:
    name = "velocity_rms" if fault in SHAFT else "level"
    before, after = (getattr(modelled(fault, factor, operation()), name)[0] for factor in (1.0, 2.5))
    expected = seen(MOUNTING, fault, np.array([2.5]))[0]
    assert after / before == pytest.approx(expected, rel=0.01)


def test_an_imbalance_grows_with_the_speed_squared() -> None:
    full, half = (amplitudes(MOUNTING, Worn("imbalance", np.array([5.0])), operation(s)) for s in (1.0, 0.5))
    assert full["imbalance"][0] == pytest.approx(4 * half["imbalance"][0])


def test_an_angular_misalignment_shows_along_the_shaft_and_an_imbalance_across_it() -> None:
    axial = Mounting(level=2.4, noise=0, wander=0, velocity=1.6, temperature=45, rpm=1480, load=1, direction="axial")
    factor = np.array([3.0])
    assert seen(axial, "angular-misalignment", factor)[0] == 3.0 > seen(MOUNTING, "angular-misalignment", factor)[0]
    assert seen(axial, "imbalance", factor)[0] < 3.0 == seen(MOUNTING, "imbalance", factor)[0]


def test_kurtosis_falls_again_near_the_failure_while_the_level_rises() -> None:
    early, late = (modelled("outer-race", factor, operation()) for factor in (2.0, 8.0))
    assert late.kurtosis[0] < early.kurtosis[0] / 2
    assert late.level[0] > 3 * early.level[0]


def test_a_stopped_machine_reads_the_sensors_own_noise() -> None:
    model = modelled("outer-race", 4.0, operation(speed=0.0, load=0.0))
    assert (model.level[0], model.kurtosis[0]) == (FLOOR, 3.0)
    assert model.velocity_rms[0] < 0.1


def test_right_after_a_start_everything_vibrates_more() -> None:
    fresh, settled = (modelled("outer-race", 1.0, operation(since_start=s)).level[0] for s in (0.0, 300.0))
    assert fresh == pytest.approx(1.6 * settled, rel=0.01)


def test_a_shift_is_a_factor_of_every_level() -> None:
    before, after = (modelled("outer-race", 1.0, operation(shift=shift)) for shift in (1.0, 1.3))
    assert after.level[0] == pytest.approx(1.3 * before.level[0], rel=0.01)
    assert after.velocity_rms[0] == pytest.approx(1.3 * before.velocity_rms[0], rel=0.01)


def test_readings_scatter_about_what_is_there() -> None:
    found = measured(1.0, count=5000)
    assert found.level.mean() == pytest.approx(2.4, rel=0.01)
    assert found.level.std() / found.level.mean() == pytest.approx(0.04, rel=0.1)
    assert found.peak == pytest.approx(found.crest_factor * found.level)


def test_wear_warms_the_bearing() -> None:
    assert measured(3.0).temperature.mean() == pytest.approx(measured(1.0).temperature.mean() + 12, abs=0.1)


def test_a_healthy_level_wanders_as_far_as_it_is_said_to() -> None:
    waves = np.random.default_rng(1).uniform(0, 6.28, 5)
    factor = wander(np.arange(0, 40 * 86_400.0, 600.0), 0.03, waves)
    assert factor.std() == pytest.approx(0.03, rel=0.2)
    assert np.abs(np.diff(factor)).max() < 0.01


def test_a_velocity_that_needs_more_than_the_level_is_refused() -> None:
    fast = Mounting(level=1.2, noise=0, wander=0, velocity=3.0, temperature=45, rpm=8000, load=1)
    with pytest.raises(ValueError, match=r"3 mm/s at 8000 rpm alone is more than 1\.2 m/s²"):
        healthy(fast)
