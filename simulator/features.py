"""What a sensor computes from the acceleration it has sampled."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]

VELOCITY_BAND = (10.0, 1000.0)  # Hz, of ISO 10816-3
MM_PER_M = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The figures of one waveform; `level` and `peak` in its own unit, `velocity_rms` in mm/s if that is m/s²."""

    level: float  # RMS
    velocity_rms: float
    peak: float
    crest_factor: float
    kurtosis: float  # Pearson: 3 for Gaussian noise


def features(waveform: Samples, rate: float) -> Features:
    """Compute the figures of a waveform sampled `rate` times a second.

    RMS and peak are those of the values as they are; who measures gravity as well takes the mean away first. Kurtosis
    is about the mean. Of a waveform without any vibration, crest factor and kurtosis are 0. ValueError for one
    without samples.
    """
    if waveform.size == 0:
        raise ValueError("a waveform without samples has no features")
    level = float(np.sqrt((waveform * waveform).mean()))
    peak = float(np.abs(waveform).max())
    power = (waveform - waveform.mean()) ** 2
    variance = float(power.mean())
    return Features(
        level=level,
        velocity_rms=velocity_rms(waveform, rate),
        peak=peak,
        crest_factor=peak / level if level else 0.0,
        kurtosis=float((power * power).mean()) / variance**2 if variance else 0.0,
    )


def velocity_rms(waveform: Samples, rate: float, band: tuple[float, float] = VELOCITY_BAND) -> float:
    """Integrate an acceleration in m/s² in the frequency domain; RMS velocity within the band (Hz) in mm/s.

    A Hann window keeps what lies below the band from leaking into it; its loss of power is made good.
    """
    window = np.hanning(waveform.size)
    spectrum = np.fft.rfft((waveform - waveform.mean()) * window)
    frequencies = np.fft.rfftfreq(waveform.size, 1 / rate)
    inside = (frequencies >= band[0]) & (frequencies <= band[1])
    velocity = np.abs(spectrum[inside]) / (2 * np.pi * frequencies[inside])
    power = 2 * float((velocity * velocity).sum()) / (waveform.size * float((window * window).sum()))
    return MM_PER_M * math.sqrt(power)
