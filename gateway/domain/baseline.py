"""Baselines: what is normal for one sensor. Learned robustly from its own readings, with bounded memory."""

from __future__ import annotations

from array import array
from math import isfinite
from statistics import median
from typing import Literal

from msgspec import Struct, field

CAPACITY = 256
"""Readings kept while learning: 2 kB per sensor. Above that every second one is dropped, again and again, so that
what is kept stays evenly spread over the whole learning period."""

MAD_TO_SIGMA = 1.4826
"""The standard deviation of a normal distribution, in median absolute deviations (1 / Phi^-1(3/4))."""

SMALLEST_SPREAD = 0.01
"""A spread under 1 % of the level is a matter of the sensor's resolution, not of the machine."""

Source = Literal["configured", "set", "learned", "provisional", "event"]


class Baseline(Struct, frozen=True):
    """The normal level of a sensor in one operating state and, once learned, its spread; both in the sensor's unit.

    `sigma` is a robust standard deviation. `version` counts what was learned or set for this sensor, from 1, in
    whatever state. `state` is the operating state, empty where nothing says it, and `by` is who set it.
    """

    level: float
    source: Source
    sigma: float | None = None
    version: int = 0
    readings: int = 0
    from_ns: int = 0
    to_ns: int = 0
    state: str = ""
    by: str = ""


class Learning(Struct):
    """Readings on their way to a baseline: `count` were seen, every `stride`-th is in `samples`."""

    first_ns: int
    count: int = 0
    stride: int = 1
    samples: array = field(default_factory=lambda: array("d"))  # type: ignore[type-arg] # not generic before 3.12

    def add(self, level: float) -> None:
        """Take a reading in."""
        self.count += 1
        if self.count % self.stride == 0:
            self.samples.append(level)
            if len(self.samples) >= CAPACITY:
                self.samples = self.samples[1::2]
                self.stride *= 2

    def is_power_of_two_times(self, readings: int) -> bool:
        """Tell whether `count` is `readings`, or 2, 4, 8, ... times as many."""
        times, rest = divmod(self.count, readings)
        return rest == 0 and times & (times - 1) == 0


def learn(
    learning: Learning, level: float, time_ns: int, *, readings: int, duration_ns: int, version: int, state: str = ""
) -> Baseline | None:
    """Take a reading in and return a baseline when there is a new one: a provisional one first, then the learned one.

    The provisional one comes after `readings` readings and again at every doubling of them; the learned one, the only
    one with a spread, when `duration_ns` has passed as well. Returns None as long as the level is not above zero.
    """
    learning.add(level)
    if learning.count < readings:
        return None
    complete = time_ns - learning.first_ns >= duration_ns
    if not complete and not learning.is_power_of_two_times(readings):
        return None
    centre = median(learning.samples)
    if SMALLEST_SPREAD * centre <= 0 or not isfinite(centre):
        return None
    spread = MAD_TO_SIGMA * median(abs(sample - centre) for sample in learning.samples)
    return Baseline(
        level=centre,
        source="learned" if complete else "provisional",
        sigma=max(spread, SMALLEST_SPREAD * centre) if complete else None,
        version=version,
        readings=learning.count,
        from_ns=learning.first_ns,
        to_ns=time_ns,
        state=state,
    )
