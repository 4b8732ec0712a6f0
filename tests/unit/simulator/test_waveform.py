import numpy as np
import pytest

from simulator.bearing import ZA_2115
from simulator.features import Samples, features
from simulator.waveform import COMPONENTS, RATE, RESONANCE, Component, load_zone, unit

SHAFT = 2000 / 60  # Hz


def made(component: Component, shaft: float = SHAFT, seed: int = 1) -> Samples:
    return unit(component, shaft, ZA_2115, np.random.default_rng(seed))


def spectrum(wave: Samples) -> Samples:
    return np.abs(np.fft.rfft(wave)) / wave.size * 2


def envelope_spectrum(wave: Samples) -> Samples:
    """Return the spectrum of the Hilbert envelope, one bin a Hz: where a bearing's defects show."""
    bins = np.fft.fft(wave)
    bins[wave.size // 2 :] = 0
    envelope = np.abs(np.fft.ifft(2 * bins))
    return spectrum(envelope - envelope.mean())


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_part_has_an_rms_of_one(component: Component) -> None:
    assert features(made(component), RATE).level == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("component", "orders"),
    [("imbalance", {1}), ("angular-misalignment", {1}), ("parallel-misalignment", {2}), ("gear", {22, 23, 24})],
)
def test_shaft_parts_lie_at_their_orders(component: Component, orders: set[int]) -> None:
    found = spectrum(made(component, shaft=30.0))
    assert set(np.flatnonzero(found > 0.05).tolist()) == {30 * order for order in orders}


def test_looseness_has_harmonics_up_to_ten_and_half_the_shaft_speed() -> None:
    found = spectrum(made("looseness", shaft=30.0))
    assert set(np.flatnonzero(found > 0.05).tolist()) == {15, *range(30, 301, 30)}


@pytest.mark.parametrize(
    ("component", "frequency"), [("outer-race", 236.40), ("inner-race", 296.93), ("ball", 139.92), ("cage", 14.78)]
)
def test_a_bearing_defect_shows_in_the_envelope_at_its_frequency(component: Component, frequency: float) -> None:
    found = np.mean([envelope_spectrum(made(component, seed=seed)) for seed in range(8)], axis=0)
    near = slice(round(frequency) - 2, round(frequency) + 3)
    away = slice(round(frequency * 1.3), round(frequency * 1.6))
    assert found[near].max() > 2 * found[away].max()


def test_an_impact_rings_at_the_resonance() -> None:
    found = spectrum(made("outer-race"))
    assert abs(int(found.argmax()) - RESONANCE) < 500


def test_a_defect_of_the_inner_ring_passes_the_load_zone_with_the_shaft() -> None:
    inner = envelope_spectrum(made("inner-race"))[round(SHAFT) - 1 : round(SHAFT) + 2].max()
    outer = envelope_spectrum(made("outer-race"))[round(SHAFT) - 1 : round(SHAFT) + 2].max()
    assert inner > 5 * outer


def test_impacts_slip() -> None:
    gone = np.diff(np.flatnonzero(np.abs(made("cage", shaft=100.0)) > 5))
    periods = gone[gone > RATE / 100]
    assert 0.005 < periods.std() / periods.mean() < 0.1


def test_the_load_zone_is_greatest_in_its_middle_and_nothing_beyond() -> None:
    shares = load_zone(np.radians([0.0, 45.0, 80.0, 100.0, 180.0]))
    assert shares[0] == 1.0
    assert (np.diff(shares) <= 0).all()
    assert (shares[3:] == 0).all()


@pytest.mark.parametrize("component", ["outer-race", "inner-race", "ball", "cage"])
def test_impacts_are_impulsive_and_noise_is_not(component: Component) -> None:
    assert features(made(component), RATE).kurtosis > 8
    assert features(made("noise"), RATE).kurtosis == pytest.approx(3.0, abs=0.2)
