"""Baselines: what is normal for one sensor. Learned robustly from its own readings, with bounded memory."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import copysign, inf, isfinite, log, sqrt
from operator import mul, sub
from statistics import median
from typing import Literal

from msgspec import Struct, field

CAPACITY = 256
"""Readings kept while learning: 2 kB for the levels. Above that every second one is dropped, again and again, so
that what is kept stays evenly spread over the whole learning period."""

MAD_TO_SIGMA = 1.4826
"""The standard deviation of a normal distribution, in median absolute deviations (1 / Phi^-1(3/4))."""

NINTH_DECILE = 1.2816
"""The ninth decile of a normal distribution, in standard deviations (Phi^-1(0.9))."""

MEANINGFUL = 1e-9
"""As a share of the level: what is closer together is the same number."""

SMALLEST = 1e-3
"""As a share of the middle: what is lower, such as a dropout, counts as this."""

MILLISECOND_NS = 1_000_000

SMOOTHING = 1 / 16
"""Weight of a new reading in the smoothed level."""

FAR = 3.0
"""Standard deviations. What is further away counts as this where readings are compared with their neighbours."""

SPLIT = 0.25
"""Where readings fall into two groups, and the middle of the lower one is below this share of that of the upper one,
the machine stood still in the lower one."""

RUNS_AT_LEAST = 0.05
"""A machine that ran for less than this share of the readings was not seen running."""

Source = Literal["configured", "set", "learned", "provisional", "event"]


class Spread(Struct, frozen=True, gc=False):
    """How far levels scatter upwards about their `centre`: `sigma`, which `count` independent readings tell.

    It is the standard deviation of the level's logarithm, times the centre: for a narrow spread that of the level.
    """

    centre: float
    sigma: float
    count: float


class Baseline(Struct, frozen=True, gc=False, omit_defaults=True):
    """The normal level of a sensor in one operating state and, once learned, its spread; both in the sensor's unit.

    `sigma` is a robust standard deviation, which `independent` readings tell; `smoothed` is that of the smoothed level.
    None: no spread was learned, since there was too little time, or the level never changed. Two readings in a hundred
    were above `high`. `running_from` is the level from which on the machine runs, if it was also seen standing still;
    `velocity` is the normal velocity in mm/s, where the sensor gives it. `version` counts what was learned or set for
    this sensor, from 1, in whatever state. `state` is the operating state, empty where nothing says it, and `by` is who
    set it.
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
    independent: float = 1e9
    smoothed: Spread | None = None
    high: float | None = None
    velocity: float | None = None
    running_from: float | None = None


def _numbers() -> array:  # type: ignore[type-arg] # not generic before 3.12
    return array("d")


FEWEST = 10
"""Where readings come so rarely that the time is over before there are enough, so many give a first look."""

ALIKE = 0.2
"""Standard deviations of the logarithm: levels that lie closer together are those of one way of running."""


class Learning(Struct):
    """Readings on their way to a baseline: `count` were seen, every `stride`-th is kept.

    `looked` is the count when the last look, after the time was complete, found too few. `samples` are levels,
    `smoothed` the smoothed level beside every second one, `velocities` what came with them, if anything did.
    """

    first_ns: int
    count: int = 0
    stride: int = 1
    looked: int = 0
    samples: array = field(default_factory=_numbers)  # type: ignore[type-arg] # it takes none before Python 3.12
    smoothed: array = field(default_factory=_numbers)  # type: ignore[type-arg] # as above
    velocities: array | None = None  # type: ignore[type-arg] # as above

    def add(self, level: float, smoothed: float | None = None, velocity: float | None = None) -> None:
        """Take a reading in."""
        self.count += 1
        if self.count % self.stride:
            return
        samples = self.samples
        samples.append(level)
        kept = len(samples)
        if kept % 2 == 0:  # they move slowly: half of them say as much
            self.smoothed.append(level if smoothed is None else smoothed)
        if velocity is not None:
            self.velocities = self.velocities or _numbers()
            self.velocities.append(velocity)
        if kept >= CAPACITY:
            self.stride *= 2
            self.samples = samples[1::2]
            self.smoothed = self.smoothed[1::2]
            self.velocities = self.velocities and self.velocities[1::2]

    def is_due(self, readings: int, *, complete: bool, rare: bool = False) -> bool:
        """Tell whether it is time to look: at `readings`, 2, 4, 8, ... times as many, and when the time is `complete`.

        Sensors that began together look again some readings later, up to a quarter of `readings`, by the millisecond in
        which each began: a thousand looks at once would keep everything waiting for a tenth of a second. When complete,
        if the readings are not enough, again and again after a quarter more of them. Where readings may be so `rare`
        that the time is over before there are as many, every `FEWEST` of them give a first look.
        """
        if self.count < readings:
            return rare and complete and self.count >= FEWEST and self.count % FEWEST == 0
        if complete:
            due = self.count >= 1.25 * self.looked
            self.looked = self.count if due else self.looked
            return due
        if self.count == readings:
            return True
        later = self.first_ns // MILLISECOND_NS % max(1, readings // 4)
        times, beyond = divmod(self.count - later, readings)
        return beyond == 0 and times > 1 and times & (times - 1) == 0


def learn(
    learning: Learning, time_ns: int, *, readings: int, complete: bool, version: int, state: str = ""
) -> Baseline | None:
    """Return a new baseline, with the reading taken in last: a provisional one, or (`complete`) the learned one.

    It is called when that `is_due`: the provisional one comes after `readings` readings and again at every doubling of
    them; the learned one, the only one with a spread, when the time has passed as well. Only those readings count that
    the machine was running in (`running_from`). Returns None as long as they are not so many, or their level is not
    above zero.
    """
    levels: Sequence[float] = learning.samples
    smoothed: Sequence[float] = learning.smoothed
    ordered = sorted(levels)
    threshold = running_from(levels, ordered)
    still = bisect_left(ordered, threshold)
    if still:
        smoothed = [beside for level, beside in zip(levels[1::2], smoothed, strict=True) if level >= threshold]
        levels = [level for level in levels if level >= threshold]
        ordered = ordered[still:]
    share = len(levels) / len(learning.samples)
    centre = median(ordered)
    if learning.count * share < readings or MEANINGFUL * centre <= 0 or not isfinite(centre):
        return None
    spread = spread_of(levels, ordered)
    return Baseline(
        level=centre,
        source="learned" if complete else "provisional",
        sigma=spread.sigma if spread else None,
        version=version,
        readings=learning.count,
        from_ns=learning.first_ns,
        to_ns=time_ns,
        state=state,
        independent=spread.count if spread else 1e9,
        smoothed=spread_of(smoothed, sorted(smoothed)) if complete else None,
        high=ordered[int(0.98 * (len(ordered) - 1))],
        velocity=median(learning.velocities) if learning.velocities else None,
        running_from=threshold if still else None,
    )


def spread_of(samples: Sequence[float], ordered: Sequence[float]) -> Spread | None:
    """Return how far samples, in the order of their time, scatter upwards, or None if they do not.

    None too if most of them are not above zero. `ordered` are the same in the order of their size.

    The larger of two robust estimates: the standard deviation of what lies within three (by the median absolute
    deviation) of the middle, and the ninth decile, which sees a tail, or a second level, that is part of the machine's
    life; the decile less twice its own error. At least half a step of the sensor's resolution.
    """
    centre = median(ordered) if ordered else 0.0
    if MEANINGFUL * centre <= 0:
        return None
    least = SMALLEST * centre
    logs = [log((sample if sample > least else least) / centre) for sample in samples]  # noqa: FURB136 - as below
    offsets = sorted(logs)
    step = min([gap for gap in map(sub, offsets[1:], offsets) if gap > MEANINGFUL], default=0.0)
    if step == 0.0:
        return None
    furthest = 3 * max(MAD_TO_SIGMA * median(map(abs, offsets)), step / 2)
    inside = offsets[bisect_left(offsets, -furthest) : bisect_right(offsets, furthest)]
    scatter = sqrt(max(0.0, sum(map(mul, inside, inside)) / len(inside) - (sum(inside) / len(inside)) ** 2))
    by_decile = offsets[int(0.9 * (len(offsets) - 1))] / (NINTH_DECILE * (1 + 2 / sqrt(len(offsets))))
    sigma = max(scatter, by_decile, step / 2)
    far = FAR * sigma
    if not -far < offsets[0] <= offsets[-1] < far:
        logs = [offset if -far < offset < far else copysign(far, offset) for offset in logs]
    return Spread(centre, centre * sigma, _independent(logs))


def _independent(samples: Sequence[float]) -> float:
    """Return as how many independent samples these count, from the correlation of each with the next.

    n (1 - r) / (1 + r), as for a first-order autoregressive process.
    """
    middle = sum(samples) / len(samples)
    offsets = [sample - middle for sample in samples]
    total: float = sum(map(mul, offsets, offsets))
    if total <= 0:
        return float(len(samples))
    correlation: float = sum(map(mul, offsets, offsets[1:])) / total
    correlation = max(0.0, min(correlation, 0.999))
    return max(2.0, len(samples) * (1 - correlation) / (1 + correlation))


def running_from(samples: Sequence[float], ordered: Sequence[float]) -> float:
    """Return the level from which on a machine is running, minus infinity if it never stood still.

    It stood still wherever the level is zero. The other readings are split where the two parts are most alike within
    themselves (Otsu's method, on the logarithm). The split counts if the middle of the lower part is below `SPLIT` of
    that of the upper one, and the upper one is no mere spikes: at least `RUNS_AT_LEAST` of all, and most of them next
    to one another in time, or alike. `ordered` are the samples in the order of their size.
    """
    zeros = bisect_right(ordered, 0.0)
    if zeros == len(ordered):
        return -inf
    lowest = ordered[zeros] if zeros else -inf
    if ordered[zeros] >= SPLIT * ordered[-1]:  # then so it is for every split
        return lowest
    at = zeros + _best_split([log(sample) for sample in ordered[zeros:]])
    if at == zeros:
        return lowest
    lower, upper = median(ordered[zeros:at]), median(ordered[at:])
    if lower >= SPLIT * upper or len(ordered) - at < RUNS_AT_LEAST * len(ordered):
        return lowest
    above = [sample >= ordered[at] for sample in samples]
    side_by_side = sum(one and two for one, two in pairwise(above))
    return ordered[at] if 2 * side_by_side >= sum(above) or _are_alike(ordered[at:]) else lowest


def _are_alike(ordered: Sequence[float]) -> bool:
    """Tell whether levels are those of one way of running, as in runs of one reading each: spikes are of any height."""
    middle = median(ordered)
    return len(ordered) >= FEWEST and MAD_TO_SIGMA * median(abs(log(each / middle)) for each in ordered) < ALIKE


def _best_split(ordered: Sequence[float]) -> int:
    """Return the index that splits sorted numbers into the two parts with the greatest variance between them."""
    total, count = sum(ordered), len(ordered)
    best, at, below = 0.0, 0, 0.0
    for index in range(1, count):
        below += ordered[index - 1]
        distance = below / index - (total - below) / (count - index)
        between = index * (count - index) * distance * distance
        if between > best and ordered[index] > ordered[index - 1]:
            best, at = between, index
    return at
