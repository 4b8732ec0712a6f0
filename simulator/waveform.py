"""What a machine's parts add to the vibration: one second of acceleration of each, scaled to an RMS of 1.

The sum of what is there, each times its amplitude, is what a sensor on the machine samples.
"""

import math
from typing import Literal, get_args

import numpy as np

from simulator.bearing import Bearing
from simulator.features import Samples

Component = Literal[
    "noise", "imbalance", "angular-misalignment", "parallel-misalignment", "looseness",
    "outer-race", "inner-race", "ball", "cage", "gear",
]  # fmt: skip
COMPONENTS: tuple[Component, ...] = get_args(Component)

RATE = 20_480  # samples a second
SAMPLES = RATE  # one second
RESONANCE = 6000.0  # Hz, of the housing that each impact excites
DAMPING = 0.05  # of critical
RINGING = 8.0  # time constants after which a decaying resonance is over
SLIP = 0.04  # standard deviation of the time between two impacts, as a share of it
CORNER = 1000.0  # Hz, below which the noise of a machine falls away
TEETH = 23  # of the gear on the shaft
SIDEBAND = 0.3  # of the gear mesh, one shaft speed beside it
LOOSE = {0.5: 0.5} | {float(order): 1 / order for order in range(1, 11)}
QUADRATURE = math.pi / 2  # so that parts with a frequency in common add up in their power, as on average they do
LOAD_ZONE = 0.5  # half of the ring carries load (Stribeck's load distribution factor)
LOAD_EXPONENT = 1.5  # of deflection, in a ball bearing


def unit(component: Component, shaft: float, bearing: Bearing, random: np.random.Generator) -> Samples:
    """Make one second of a component at a shaft speed in Hz, RMS 1."""
    time = np.arange(SAMPLES) / RATE
    match component:
        case "noise":
            made = _noise(random)
        case "imbalance":
            made = _orders({1.0: 1.0}, shaft, time)
        case "angular-misalignment":
            made = _orders({1.0: 1.0}, shaft, time, QUADRATURE)
        case "parallel-misalignment":
            made = _orders({2.0: 1.0}, shaft, time)
        case "looseness":
            made = _orders(LOOSE, shaft, time, QUADRATURE)
        case "gear":
            made = _orders({TEETH: 1.0, TEETH - 1.0: SIDEBAND, TEETH + 1.0: SIDEBAND}, shaft, time)
        case "outer-race" | "inner-race" | "ball" | "cage":
            made = _defect(component, shaft, bearing, random)
    scaled: Samples = made / np.sqrt((made * made).mean())
    return scaled


def _noise(random: np.random.Generator) -> Samples:
    """Make Gaussian noise that rises with the frequency up to CORNER: structure carries what is above it."""
    spectrum = np.fft.rfft(random.standard_normal(SAMPLES))
    frequencies = np.fft.rfftfreq(SAMPLES, 1 / RATE)
    return np.fft.irfft(spectrum * frequencies / (frequencies + CORNER), SAMPLES)


def _orders(orders: dict[float, float], shaft: float, time: Samples, phase: float = 0.0) -> Samples:
    """Add sines at multiples of the shaft speed, each with its amplitude."""
    made = np.zeros_like(time)
    for order, amplitude in orders.items():
        made += amplitude * np.sin(2 * math.pi * order * shaft * time + phase)
    return made


def _defect(component: Component, shaft: float, bearing: Bearing, random: np.random.Generator) -> Samples:
    """Make the impacts of a bearing defect: a decaying resonance each, with slip, stronger within the load zone.

    A defect of the outer ring stays within the load zone, one of the inner ring passes it with the shaft, and one of a
    ball with the cage; the cage carries no load.
    """
    found = bearing.frequencies(shaft)
    rates = {"outer-race": found.outer, "inner-race": found.inner, "ball": found.ball, "cage": found.cage}
    passes = {"outer-race": 0.0, "inner-race": shaft, "ball": found.cage, "cage": 0.0}
    moments = _impacts(rates[component], random)
    angle = 2 * math.pi * passes[component] * moments
    return _rung(moments, load_zone(angle))


def _impacts(rate: float, random: np.random.Generator) -> Samples:
    """Return the moments (s) of impacts within the second, `rate` of them."""
    expected = math.ceil(rate * (SAMPLES / RATE) * 1.5) + 2
    moments = np.cumsum((1 + SLIP * random.standard_normal(expected)) / rate) - 0.5 / rate
    within: Samples = moments[(moments >= 0) & (moments < SAMPLES / RATE)]
    return within


def load_zone(angle: Samples) -> Samples:
    """Return the share of the greatest load at angles (rad) from where it acts: Stribeck's distribution, 0 beyond."""
    deflection = 1 - (1 - np.cos(angle)) / (2 * LOAD_ZONE)
    return np.maximum(deflection, 0.0) ** LOAD_EXPONENT


def _rung(moments: Samples, strengths: Samples) -> Samples:
    """Add a decaying resonance from each moment on."""
    omega = 2 * math.pi * RESONANCE
    length = math.ceil(RINGING / (DAMPING * omega) * RATE)
    first = np.ceil(moments * RATE).astype(np.int64)
    places = first[:, None] + np.arange(length)
    since = places / RATE - moments[:, None]
    ring = np.exp(-DAMPING * omega * since) * np.sin(omega * math.sqrt(1 - DAMPING**2) * since)
    made = np.zeros(SAMPLES + length)
    np.add.at(made, places, strengths[:, None] * ring)
    cut: Samples = made[:SAMPLES]
    return cut
