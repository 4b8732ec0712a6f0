import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.features import Samples, features, velocity_rms

RATE = 20_480.0


def sine(frequency: float, amplitude: float = 1.0, seconds: float = 1.0) -> Samples:
    time = np.arange(round(seconds * RATE)) / RATE
    wave: Samples = amplitude * np.sin(2 * math.pi * frequency * time)
    return wave


def test_the_features_of_a_sine() -> None:
    found = features(sine(50, 2.0), RATE)
    assert found.level == pytest.approx(2 / math.sqrt(2))
    assert found.peak == pytest.approx(2.0, rel=1e-4)
    assert found.crest_factor == pytest.approx(math.sqrt(2), rel=1e-4)
    assert found.kurtosis == pytest.approx(1.5)
    assert found.velocity_rms == pytest.approx(1000 * 2 / math.sqrt(2) / (2 * math.pi * 50), rel=1e-3)


def test_the_kurtosis_of_gaussian_noise_is_three() -> None:
    noise = np.random.default_rng(1).standard_normal(200_000)
    assert features(noise, RATE).kurtosis == pytest.approx(3.0, abs=0.05)


def test_rms_and_peak_hold_the_mean_and_kurtosis_does_not() -> None:
    raised = sine(50) + 10.0
    assert features(raised, RATE).level == pytest.approx(math.sqrt(100.5))
    assert features(raised, RATE).peak == pytest.approx(11.0, rel=1e-4)
    assert features(raised, RATE).kurtosis == pytest.approx(1.5)
    assert features(raised, RATE).velocity_rms == pytest.approx(features(sine(50), RATE).velocity_rms, rel=1e-3)


@given(frequency=st.floats(12, 990), seconds=st.floats(0.8, 1.2))
def test_velocity_is_the_integral_whatever_the_number_of_periods(frequency: float, seconds: float) -> None:
    expected = 1000 / math.sqrt(2) / (2 * math.pi * frequency)
    assert velocity_rms(sine(frequency, seconds=seconds), RATE) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("frequency", [3.0, 7.5, 1100.0, 5000.0])
def test_what_lies_beyond_the_band_does_not_count(frequency: float) -> None:
    integral = 1000 / math.sqrt(2) / (2 * math.pi * frequency)
    assert velocity_rms(sine(frequency), RATE) < 0.05 * integral


def test_a_waveform_that_stands_still_has_no_shape() -> None:
    found = features(np.zeros(100), RATE)
    assert (found.level, found.crest_factor, found.kurtosis, found.velocity_rms) == (0, 0, 0, 0)


def test_no_samples_have_no_features() -> None:
    with pytest.raises(ValueError, match="without samples"):
        features(np.zeros(0), RATE)
