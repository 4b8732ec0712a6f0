"""A block of samples as a signal: made whole, measured, and turned into spectra. Needs numpy (the extra `waveform`).

Frequencies are in Hz, angles of a spectrum are not kept. Amplitudes are those of a sine's peak.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FEWEST = 256
"""Samples of a block that anything is said of."""

_MOST_MISSING = 0.02
_CLIPPED = 5
"""Times in a row that the largest value is there: it is the sensor's end, not the machine's."""
_VELOCITY = (10.0, 1000.0)
_SHORTEST_VELOCITY = 0.6
"""Seconds; of less the velocity of what turns at 12 Hz is wrong by 15 %."""
_G = 9.80665
_BANDS = 8


class UnusableBlockError(ValueError):
    """Nothing can be said of a block; the text says why."""


@dataclass(frozen=True)
class Signal:
    """Samples without their mean, at `rate` per second; `remarks` say what is not as it should be."""

    samples: Array
    rate: float
    unit: str = ""
    remarks: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long the block is."""
        return len(self.samples) / self.rate


def signal_of(samples: npt.ArrayLike, rate: float, unit: str = "") -> Signal:
    """Return a block made whole: a few samples that are no numbers are replaced, and said.

    Raises UnusableBlockError for a block that is too short, has too little in it, or a rate that cannot be.
    """
    found = np.asarray(samples, dtype=np.float64).ravel()
    if not np.isfinite(rate) or not 1 <= rate <= 1e7:  # noqa: PLR2004 - from a sample a second to ultrasound
        raise UnusableBlockError(f"a rate of {rate:g} samples a second cannot be")
    if len(found) < FEWEST:
        raise UnusableBlockError(f"{len(found)} samples are too few to say anything; {FEWEST} are needed")
    remarks = list[str]()
    bad = ~np.isfinite(found)
    missing = int(bad.sum())
    if missing > _MOST_MISSING * len(found):
        raise UnusableBlockError(f"{missing} of {len(found)} samples are no numbers")
    if missing:
        places = np.arange(len(found))
        found = np.where(bad, np.interp(places, places[~bad], found[~bad]), found)
        remarks.append(f"{missing} samples that are no numbers were replaced by what is between their neighbours")
    found = found - found.mean()
    if not found.any():
        raise UnusableBlockError("all samples are equal: is the sensor connected?")
    if clipped := _clipped(found):
        remarks.append(
            f"it is clipped: {clipped} samples stand at the end of the sensor's range, which makes harmonics of its own"
        )
    return Signal(found, float(rate), unit, remarks)


def _clipped(samples: Array) -> int:
    """Return how many samples stand at the largest value or at the smallest one, several in a row."""
    count = 0
    for end in (samples.max(), samples.min()):
        at_end = np.concatenate(([False], samples == end, [False]))
        edges = np.flatnonzero(np.diff(at_end.astype(np.int8)))
        runs = edges[1::2] - edges[::2]
        count += int(runs[runs >= _CLIPPED].sum())
    return count


@dataclass(frozen=True)
class Features:
    """What a block comes to. A feature that it does not give is None, and `why_not` says why.

    `rms`, `peak` in the unit of the samples; `crest` = peak / RMS; `kurtosis` is Pearson's (3 of noise, 1.5 of a sine);
    `velocity` in mm/s RMS, 10 to 1000 Hz (ISO 20816-1).
    """

    rms: float
    peak: float
    crest: float
    kurtosis: float
    velocity: float | None
    why_not: str = ""


def features(signal: Signal) -> Features:
    """Return the features of a block."""
    x = signal.samples
    rms = float(np.sqrt(np.mean(x**2)))
    peak = float(np.abs(x).max())
    kurtosis = float(np.mean(x**4) / np.mean(x**2) ** 2)
    velocity, why_not = velocity_rms(signal)
    return Features(rms, peak, peak / rms, kurtosis, velocity, why_not)


def velocity_rms(signal: Signal) -> tuple[float | None, str]:
    """Return the RMS of the velocity in mm/s between 10 and 1000 Hz, or None and why there is none.

    An acceleration is integrated in the frequency domain: each line is divided by 2 pi f.
    """
    scale = {"m/s²": 1e3, "m/s2": 1e3, "g": 1e3 * _G, "mm/s": 1.0}.get(signal.unit)
    if scale is None:
        return None, f"no velocity: it needs samples in m/s², g or mm/s, not {signal.unit or 'without a unit'}"
    if signal.seconds < _SHORTEST_VELOCITY:
        return None, f"no velocity: the block is {signal.seconds:.2g} s long, and {_SHORTEST_VELOCITY:g} s are needed"
    if signal.rate < 2 * _VELOCITY[1]:
        return None, f"no velocity: {signal.rate:g} samples a second do not reach to {_VELOCITY[1]:g} Hz"
    amplitudes, step = spectrum(signal)
    frequencies = np.arange(len(amplitudes)) * step
    inside = (frequencies >= _VELOCITY[0]) & (frequencies <= _VELOCITY[1])
    lines = amplitudes[inside] * scale
    if signal.unit != "mm/s":
        lines = lines / (2 * np.pi * frequencies[inside])
    return float(np.sqrt(np.sum(lines**2) / 2 / _HANN_NOISE)), ""


_HANN_NOISE = 1.5
"""By how much the sum of squares of a spectrum under Hann's window is too large."""


def spectrum(signal: Signal) -> tuple[Array, float]:
    """Return the amplitudes under Hann's window, a line each `step` Hz, and that step."""
    return _lines(signal.samples), signal.rate / len(signal.samples)


def _lines(samples: Array) -> Array:
    window = np.hanning(len(samples))
    found: Array = np.abs(np.fft.rfft(samples * window)) * (2 / window.sum())
    return found


@dataclass(frozen=True)
class Envelope:
    """How far the spectrum of the envelope stands out of its noise, in lines each `step` Hz; bands in Hz."""

    lines: Array
    step: float
    bands: tuple[float, float, int]


def envelope(signal: Signal, highest: float) -> Envelope:
    """Return the spectrum of the envelope up to `highest` Hz, as the mean over bands of equal width.

    In each band the spectrum counts in units of its own noise, so that a band in which something rings is heard however
    loud the others are, and noise is averaged out. The lowest band is left out: what turns is there, not what rings.
    """
    lines = np.fft.fft(signal.samples)
    half, step = len(lines) // 2, signal.rate / len(lines)
    count = int(highest / step) + 2
    bands = _BANDS
    while bands > 2 and half // bands < count:  # noqa: PLR2004 - one of two is left
        bands //= 2
    width, total = half // bands, np.zeros(count)
    for place in range(1, bands):
        around = _envelope_of(lines, place * width, (place + 1) * width)
        found = _lines(around - around.mean())[:count]
        total[: len(found)] += found / floor_of(found)
    mean = total / (bands - 1)
    return Envelope(mean / floor_of(mean), step, (width * step, half * step, bands - 1))


def _envelope_of(lines: npt.NDArray[np.complex128], first: int, last: int) -> Array:
    """Return the envelope of a band, at twice the rate that the band needs."""
    width = last - first
    padded = np.zeros(2 * width, dtype=np.complex128)
    padded[:width] = lines[first:last]
    found: Array = np.abs(np.fft.ifft(padded))
    return found


def floor_of(lines: Array, width: int = 101) -> Array:
    """Return the noise around each line: the median of the lines about it, interpolated between pieces."""
    count = len(lines)
    width = max(9, min(width, count // 2))
    centres = np.arange(width // 2, count, max(1, width // 2))
    medians = [float(np.median(lines[max(0, c - width // 2) : c + width // 2 + 1])) for c in centres]
    found: Array = np.maximum(np.interp(np.arange(count), centres, medians), np.finfo(float).tiny)
    return found
