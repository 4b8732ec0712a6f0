"""What can be wrong with a sensor, and what then comes of its measurements; the machine may be perfectly healthy."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulator.features import Samples
from simulator.machine import FLOOR, FLOOR_VELOCITY, Measurements

Chosen = NDArray[np.bool_]

RESOLUTION = 0.01  # m/s², of a sensor that reads nothing but its floor
FLOOR_CREST, FLOOR_KURTOSIS = 4.0, 3.0
SPIKE_KURTOSIS = 10.0  # times the usual: one outlier in a waveform is mostly kurtosis


@dataclass(frozen=True, slots=True)
class Sent:
    """What a sensor sends of what it measures: whether at all, and with a clock that is `clock` seconds ahead."""

    measurements: Measurements
    sent: Chosen
    clock: Samples


def dropout(made: Sent, inside: Chosen) -> Sent:
    """Send nothing."""
    return replace(made, sent=made.sent & ~inside)


def wrong_clock(made: Sent, inside: Chosen, by: float) -> Sent:
    """Stamp the readings `by` seconds too late, or too early if that is negative."""
    return replace(made, clock=np.where(inside, by, made.clock))


def stuck(made: Sent, inside: Chosen, held: Measurements) -> Sent:
    """Repeat one measurement, `held`, whatever happens."""
    values = {name: np.where(inside, getattr(held, name)[0], array) for name, array in columns(made.measurements)}
    return replace(made, measurements=Measurements(**values))


def drift(made: Sent, inside: Chosen, gain: Samples) -> Sent:
    """Multiply what is measured by a gain that changes slowly, as of a sensor that ages or comes loose."""
    return replace(made, measurements=_scaled(made.measurements, np.where(inside, gain, 1.0)))


def spikes(made: Sent, inside: Chosen, chosen: Chosen, to: float) -> Sent:
    """Multiply single readings, as a bad cable or a switching drive does."""
    hit = inside & chosen
    measured = _scaled(made.measurements, np.where(hit, to, 1.0))
    return replace(
        made, measurements=replace(measured, kurtosis=measured.kurtosis * np.where(hit, SPIKE_KURTOSIS, 1.0))
    )


def floor(made: Sent, inside: Chosen, drawn: Samples) -> Sent:
    """Read the sensor's own noise and nothing else, as when it has fallen off; `drawn` is standard normal."""
    level = np.maximum(RESOLUTION, np.round(FLOOR * (1 + 0.1 * drawn) / RESOLUTION) * RESOLUTION)
    read: dict[str, Samples | float] = {
        "level": level,
        "velocity_rms": FLOOR_VELOCITY,
        "peak": level * FLOOR_CREST,
        "crest_factor": FLOOR_CREST,
        "kurtosis": FLOOR_KURTOSIS,
    }
    values = {name: np.where(inside, value, getattr(made.measurements, name)) for name, value in read.items()}
    return replace(made, measurements=replace(made.measurements, **values))


def _scaled(measured: Measurements, gain: Samples) -> Measurements:
    return replace(
        measured,
        level=measured.level * gain,
        velocity_rms=measured.velocity_rms * gain,
        peak=measured.peak * gain,
    )


def columns(measured: Measurements) -> list[tuple[str, Samples]]:
    """Return the arrays by their names."""
    return [(name, getattr(measured, name)) for name in Measurements.__dataclass_fields__]
