"""What wear does to a bearing, and what a sensor on it then measures.

A wear curve is a plain function of the elapsed seconds; its factor multiplies the healthy vibration level, and 1.0 is
a bearing without wear. Real bearings grow or jump within two minutes, so one exponential is not enough.
"""

import math
from dataclasses import dataclass
from random import Random

MOST_NOISE = 3.0  # standard deviations; a healthy bearing has no outliers


def growth(elapsed: float, *, after: float, over: float, to: float) -> float:
    """Grow along the logistic curve: first exponentially, time constant `over` (s), then levelling off at `to`."""
    age = max(0.0, elapsed - after)
    return to / (1.0 + (to - 1.0) * math.exp(-age / over))


def jump(elapsed: float, *, after: float, over: float, to: float) -> float:
    """Rise in a straight line from 1 to the factor `to` within `over` seconds."""
    risen = min(1.0, max(0.0, elapsed - after) / over)
    return 1.0 + (to - 1.0) * risen


def steps(elapsed: float, *, after: float, every: float, by: float, to: float) -> float:
    """One step of `by` at `after` and another each `every` seconds, up to the factor `to`."""
    if elapsed < after:
        return 1.0
    return min(to, 1.0 + by * (1 + math.floor((elapsed - after) / every)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounting:
    """Where a sensor sits: what it measures on the healthy machine."""

    level: float  # m/s²
    noise: float  # relative standard deviation of the level
    velocity: float  # mm/s RMS
    temperature: float  # °C
    rpm: float
    load: float  # 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One reading's values, in the units of the event."""

    level: float  # m/s²
    velocity_rms: float  # mm/s
    peak: float  # m/s²
    crest_factor: float
    kurtosis: float  # Pearson: 3 for Gaussian noise
    temperature: float  # °C
    rpm: float
    load: float


def measure(mounting: Mounting, factor: float, random: Random) -> Measurement:
    """Measure a bearing whose wear multiplies its healthy level by `factor`.

    Crest factor and kurtosis rise first and fall again near the failure, while the level keeps rising; velocity and
    temperature, which a bearing defect moves least, follow slowly. Always draws the same number of random numbers.
    """
    wear = factor - 1.0
    impulsiveness = wear * math.exp(-wear / 2.0)
    level = mounting.level * factor * _noise(random, mounting.noise)
    crest_factor = (3.8 + 6.0 * impulsiveness) * _noise(random, 0.04)
    return Measurement(
        level=round(level, 4),
        velocity_rms=round(mounting.velocity * (1.0 + 0.4 * wear) * _noise(random, mounting.noise), 4),
        peak=round(level * crest_factor, 4),
        crest_factor=round(crest_factor, 3),
        kurtosis=round((3.0 + 10.0 * impulsiveness) * _noise(random, 0.04), 3),
        temperature=round(mounting.temperature + 6.0 * wear + random.gauss(0.0, 0.2), 2),
        rpm=round(mounting.rpm * _noise(random, 0.002), 1),
        load=round(mounting.load * _noise(random, 0.01), 3),
    )


def _noise(random: Random, sigma: float) -> float:
    return 1.0 + sigma * min(MOST_NOISE, max(-MOST_NOISE, random.gauss()))
