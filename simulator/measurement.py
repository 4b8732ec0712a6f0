"""What one reading measures."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measurement:
    """One reading's values, in the order of `machine.Measurements` and the units of the event."""

    level: float  # m/s²
    velocity_rms: float  # mm/s
    peak: float  # m/s²
    crest_factor: float
    kurtosis: float  # Pearson: 3 for Gaussian noise
    temperature: float  # °C
    rpm: float
    load: float
