"""What a sensor on a machine measures, by a model that is calibrated with waveforms.

A waveform of a second for each reading would be too dear for a thousand sensors on a small computer. So each part of
the vibration is made once as a waveform (`waveform.unit`), and its figures are kept (`character`). Parts that know
nothing of each other add up in their power, and in the excess of their fourth moments; so level, velocity and kurtosis
of the sum follow from those figures and the amplitudes. Only the peak is an estimate. All of it is worked out for many
moments at once.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from statistics import fmean
from typing import Literal
from zlib import crc32

import numpy as np

from simulator import waveform
from simulator.bearing import ZA_2115, Bearing
from simulator.features import Features, Samples, features
from simulator.profile import Operation
from simulator.waveform import Component

Direction = Literal["radial", "axial"]
Fault = Component  # every part but the noise can be one

SHAFT: frozenset[Component] = frozenset({"imbalance", "angular-misalignment", "parallel-misalignment", "looseness"})
"""Faults that show in the velocity, at low multiples of the shaft speed; the others show in the acceleration."""

GAINS: dict[Direction, dict[Component, float]] = {
    "radial": {"angular-misalignment": 0.3},
    "axial": {"imbalance": 0.2, "parallel-misalignment": 0.3, "looseness": 0.5},
}
"""How much of a fault a sensor sees that does not look where the fault shows most."""

GROWS_WITH_SPEED: dict[Component, float] = {"imbalance": 2.0, "looseness": 2.0}
"""The power of the speed that a part's amplitude follows; 1 unless named here. A centrifugal force: 2."""

NOISE_AT_NO_LOAD = 0.6  # of the noise at the rated load
TWICE = 0.3  # of the healthy shaft's velocity, at twice the shaft speed
SPREADING = 3.0  # the wear, in healthy levels, at which half of a bearing defect's power is no longer impulsive
SLOWEST = 0.1  # of the rated speed; slower waveforms need not be made
FLOOR = 0.03  # m/s², the noise of the sensor itself: 3 mg
FLOOR_VELOCITY = 0.05  # mm/s
SETTLING, SETTLING_FROM = 40.0, 0.6  # s, and the share by which a machine vibrates more right after its start
CALIBRATION = 4  # seconds of waveform for the figures of each part
PEAK_NORM = 1.4  # fitted to waveforms, within 20 %: peaks of different parts seldom meet
WEAR_HEAT = 6.0  # °C for each healthy level of wear
AMBIENT = 20.0  # °C
GAUSSIAN = 3.0  # Pearson's kurtosis of Gaussian noise

DAY = 86_400.0
WANDERING = (0.21, 0.45, 1.0, 2.3, 7.1)  # days, the periods in which a healthy level wanders


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounting:
    """Where a sensor sits: what it measures on the healthy machine at rated speed and load."""

    level: float  # m/s²
    noise: float  # relative standard deviation from one reading to the next
    wander: float  # relative standard deviation over days
    velocity: float  # mm/s RMS
    temperature: float  # °C
    rpm: float
    load: float  # 0 to 1
    direction: Direction = "radial"
    bearing: Bearing = ZA_2115


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The values of many readings, one array each, in the units of the event."""

    level: Samples  # m/s²
    velocity_rms: Samples  # mm/s
    peak: Samples  # m/s²
    crest_factor: Samples
    kurtosis: Samples  # Pearson
    temperature: Samples  # °C
    rpm: Samples
    load: Samples


@dataclass(frozen=True, slots=True)
class Worn:
    """How far a fault has come at each moment: the factor on the figure in which it shows, seen where it does."""

    fault: Fault
    factor: Samples


@functools.lru_cache(maxsize=4096)
def character(component: Component, rpm: float, bearing: Bearing) -> Features:
    """Return the mean figures of some seconds of a part at RMS 1, the same whenever they are asked for."""
    random = np.random.default_rng(crc32(component.encode()))
    made = [features(waveform.unit(component, rpm / 60, bearing, random), waveform.RATE) for _ in range(CALIBRATION)]
    return Features(**{each.name: fmean(getattr(one, each.name) for one in made) for each in fields(Features)})


def healthy(mounting: Mounting) -> dict[Component, float]:
    """Return the parts of the healthy vibration as RMS accelerations that give the mounting's level and velocity.

    The velocity comes from the shaft, the rest of the level is noise. ValueError if the velocity alone needs more
    than the level.
    """
    part = functools.partial(character, rpm=mounting.rpm, bearing=mounting.bearing)
    noise = part("noise").velocity_rms
    powers = {"imbalance": (1 - TWICE**2), "parallel-misalignment": TWICE**2}
    once = sum(share / part(name).velocity_rms ** 2 for name, share in powers.items())
    shaft = (mounting.velocity**2 - (mounting.level * noise) ** 2) / (1 - noise**2 * once)
    left = mounting.level**2 - shaft * once
    if left <= 0:
        raise ValueError(
            f"a velocity of {mounting.velocity:g} mm/s at {mounting.rpm:g} rpm"
            f" alone is more than {mounting.level:g} m/s²"
        )
    shaft = max(0.0, shaft)
    return {
        "noise": math.sqrt(left),
        "imbalance": math.sqrt(shaft * powers["imbalance"]) / part("imbalance").velocity_rms,
        "parallel-misalignment": math.sqrt(shaft * TWICE**2) / part("parallel-misalignment").velocity_rms,
    }


def gain(mounting: Mounting, fault: Fault) -> float:
    """Return which share of a fault's amplitude the sensor sees."""
    return GAINS[mounting.direction].get(fault, 1.0)


def seen(mounting: Mounting, fault: Fault, factor: Samples) -> Samples:
    """Return the factor that the sensor sees of a wear's factor, in the figure in which the fault shows."""
    return np.sqrt(1 + (factor**2 - 1) * gain(mounting, fault) ** 2)


def amplitudes(mounting: Mounting, worn: Worn, operation: Operation) -> dict[Component, Samples]:
    """Return the RMS acceleration of every part at each moment."""
    parts = {name: np.full(worn.factor.shape, rms) for name, rms in healthy(mounting).items()}
    for name, rms in _added(mounting, worn.fault, worn.factor).items():
        parts[name] = np.hypot(parts.get(name, 0.0), rms)
    loaded = NOISE_AT_NO_LOAD + (1 - NOISE_AT_NO_LOAD) * operation.load
    settled = 1 + SETTLING_FROM * np.exp(-np.minimum(operation.since_start, DAY) / SETTLING)
    for name in parts:
        parts[name] *= operation.speed ** GROWS_WITH_SPEED.get(name, 1.0) * settled * operation.shift
    parts["noise"] = parts["noise"] * loaded
    return parts


def _added(mounting: Mounting, fault: Fault, factor: Samples) -> dict[Component, Samples]:
    """Return what wear adds, so that at rated speed and load the figure in which it shows is `factor` times as much.

    The power of a bearing defect is impulsive at first, and spreads into noise as the surfaces wear away: so crest
    factor and kurtosis fall again near the failure, while the level keeps rising.
    """
    added = np.sqrt(factor**2 - 1) * gain(mounting, fault)
    if fault in SHAFT:
        return {fault: added * mounting.velocity / character(fault, mounting.rpm, mounting.bearing).velocity_rms}
    if fault == "gear":
        return {fault: added * mounting.level}
    impulsive = 1 / (1 + ((factor - 1) / SPREADING) ** 2)
    return {
        fault: added * mounting.level * np.sqrt(impulsive),
        "noise": added * mounting.level * np.sqrt(1 - impulsive),
    }


def combine(parts: Mapping[Component, Samples], mounting: Mounting, speed: Samples) -> Measurements:
    """Return the figures of the sum of the parts, the sensor's own noise included; temperature, rpm and load are 0."""
    zero = np.zeros_like(speed)
    power, velocity, excess, peak = zero + FLOOR**2, zero + FLOOR_VELOCITY**2, zero, zero + (4 * FLOOR) ** PEAK_NORM
    speeds, which = np.unique(np.maximum(speed, SLOWEST), return_inverse=True)
    for name, rms in parts.items():
        made = [character(name, round(mounting.rpm * turning, 1), mounting.bearing) for turning in speeds.tolist()]
        power = power + rms**2
        velocity = velocity + (rms * np.array([part.velocity_rms for part in made])[which]) ** 2
        excess = excess + rms**4 * (np.array([part.kurtosis for part in made])[which] - GAUSSIAN)
        peak = peak + (rms * np.array([part.crest_factor for part in made])[which]) ** PEAK_NORM
    level = np.sqrt(power)
    highest = peak ** (1 / PEAK_NORM)
    return Measurements(
        level=level,
        velocity_rms=np.sqrt(velocity),
        peak=highest,
        crest_factor=highest / level,
        kurtosis=GAUSSIAN + excess / power**2,
        temperature=zero,
        rpm=zero,
        load=zero,
    )


DRAWS = 6  # normal random numbers for each reading


def measure(mounting: Mounting, worn: Worn, operation: Operation, drawn: Samples, wander: Samples) -> Measurements:
    """Measure a machine at many moments: what is there, as the sensor reads it.

    `drawn` holds standard normal numbers, [readings, DRAWS]; `wander` is the factor by which the healthy level wanders.
    """
    true = combine(amplitudes(mounting, worn, operation), mounting, operation.speed)
    scatter = np.exp(mounting.noise * drawn[:, 0]) * wander
    apart = np.exp(mounting.noise * drawn[:, 1]) * wander
    level = true.level * scatter
    crest_factor = true.crest_factor * np.exp(0.04 * drawn[:, 2])
    heat = AMBIENT + (mounting.temperature - AMBIENT) * operation.warmth
    return Measurements(
        level=level,
        velocity_rms=true.velocity_rms * apart,
        peak=level * crest_factor,
        crest_factor=crest_factor,
        kurtosis=true.kurtosis * np.exp(0.04 * drawn[:, 3]),
        temperature=heat + WEAR_HEAT * (worn.factor - 1) * operation.warmth + 0.2 * drawn[:, 4],
        rpm=mounting.rpm * operation.speed * np.exp(0.002 * drawn[:, 5]),
        load=mounting.load * operation.load,
    )


def wander(elapsed: Samples, sigma: float, phases: Samples) -> Samples:
    """Let a healthy level wander about 1 with a relative standard deviation, over hours and days.

    A sum of slow waves with the given phases (rad, one for each of WANDERING): it needs no memory of earlier moments.
    """
    waves = np.sin(2 * np.pi * elapsed[:, None] / (np.array(WANDERING) * DAY) + phases)
    factor: Samples = np.exp(sigma * math.sqrt(2 / len(WANDERING)) * waves.sum(axis=1))
    return factor
