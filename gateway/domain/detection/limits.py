"""What a reading is compared with: the limits that follow from a baseline and the rules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import exp, inf

from msgspec import Struct, structs

from gateway.domain.detection import iso10816 as iso
from gateway.domain.detection.baseline import SMOOTHING, Baseline, Spread
from gateway.domain.detection.rules import SECOND_NS, Rules, Threshold

UNKNOWN_STATE = 2.0
"""In a state that nothing is known in yet, so many times what is critical in the widest known one is critical. From one
step of its speed to the next, a fan's level doubles."""

SMOOTHED_READINGS = round(1 / SMOOTHING)
"""A smoothed level follows its readings so slowly that a few in a row say no more than one."""

NEVER = (inf, inf)

SMALLEST_SPREAD = 0.015
"""Standard deviations are no less than this share of the level. An accelerometer's sensitivity changes by about 5 %
over its range of temperature: what makes a limit of less is a matter of the sensor and the days it was learned on."""


SMALLEST_SPREAD_COLD = 0.025
WARM_UP_NS = 2 * 3600 * SECOND_NS
"""What was learned within less time has not seen the machine warm up, and the smallest spread is a larger one."""


MOST = 100.0
"""Of a logarithm, so that nothing overflows."""


class Delays(Struct, frozen=True, gc=False):
    """How many readings in a row, and for how long, raise and clear."""

    on_readings: int
    on_ns: int
    off_readings: int
    off_ns: int


class Bounds(Struct, frozen=True, gc=False):
    """A warning from `warning` on, critical from `critical` on; below `clear` it is over. `lowest` is the first."""

    warning: float
    critical: float
    clear: float
    delays: Delays
    lowest: float


class QuantityBounds(Struct, frozen=True, gc=False):
    """The limits of the quantity `key` on one side; `iso` says that they are those of ISO 10816-3.

    Those of a lower side are negated, as its values are then: beyond is always above. `name` is that of the indicator.
    """

    key: str
    name: str
    bounds: Bounds
    is_lower: bool = False
    iso: bool = False


class Limits(Struct, frozen=True, gc=False):
    """What a sensor's readings are compared with in one operating state.

    `lowest` is the level's first limit, below `stopped` the machine stands still; both in the sensor's unit. `drift` is
    for the smoothed level, which has fallen for good if it stays below `fallen`. `is_moving` says that a
    limit moves with each reading, `is_inherited` that nothing is known
    in the state yet and the baseline is that of another one.
    """

    baseline: Baseline | None
    level: Bounds
    drift: Bounds
    lowest: float
    smoothed: float
    stopped: float
    quantities: tuple[QuantityBounds, ...] = ()
    is_moving: bool = False
    is_inherited: bool = False
    fallen: float = 0.0


def limits(baseline: Baseline | None, rules: Rules) -> Limits:
    """Return what follows from a baseline, or, without one, what holds all the same: the limits of quantities.

    A level that is often reached when all is well is not critical: `critical_ratio` counts from the warning limit up.
    """
    delays = _delays(rules.on_readings, rules.on_delay_ns, rules.off_readings, rules.off_delay_ns)
    quantities = _quantities(baseline, rules, delays)
    if baseline is None:
        nothing = Bounds(*NEVER, inf, delays, inf)
        return Limits(None, nothing, nothing, inf, inf, -inf, quantities)
    warning, critical = _warning(baseline, rules), critical_from(baseline, rules)
    level = _bounds(warning, critical, baseline.level, rules.hysteresis, delays)
    slow = _delays(max(rules.on_readings, SMOOTHED_READINGS), *structs.astuple(delays)[1:])
    drift = _bounds(_drift(baseline, rules), inf, baseline.level, rules.hysteresis, slow)
    return Limits(
        baseline, level, drift, level.lowest, drift.warning, baseline.level * rules.stopped_ratio, quantities,
        fallen=_fallen(baseline, warning, rules),
    )  # fmt: skip


def critical_from(baseline: Baseline, rules: Rules) -> float:
    """Return the level that is critical by a baseline: never below one that is only worth a warning."""
    by_ratio = baseline.level * rules.critical_ratio
    return by_ratio if baseline.sigma is None else max(by_ratio, _warning(baseline, rules))


def unknown_state(widest: Baseline, rules: Rules) -> Limits:
    """Return what holds in a state that nothing is known in yet, by the `widest` baseline of the known ones.

    How quiet it may be there, and what is worth a warning, nobody knows.
    """
    delays = _delays(rules.on_readings, rules.on_delay_ns, rules.off_readings, rules.off_delay_ns)
    critical = UNKNOWN_STATE * critical_from(widest, rules)
    level = _bounds(critical, critical, widest.level, rules.hysteresis, delays)
    never = _bounds(*NEVER, widest.level, rules.hysteresis, delays)
    return Limits(widest, level, never, critical, inf, -inf, _quantities(widest, rules, delays), is_inherited=True)


@lru_cache
def _delays(on_readings: int, on_ns: int, off_readings: int, off_ns: int) -> Delays:
    """Return delays that all sensors with the same share: a hundred thousand have no more than a few."""
    return Delays(on_readings, on_ns, off_readings, off_ns)


def _warning(baseline: Baseline, rules: Rules) -> float:
    """Return the limit by ratio, or by the spread where one was learned. A provisional spread can only widen it."""
    by_ratio = baseline.level * rules.warning_ratio
    if baseline.sigma is None:
        return by_ratio
    spread = Spread(baseline.level, baseline.sigma, baseline.independent)
    by_spread = min(_beyond(spread, baseline, rules), rules.warning_ratio * _high(baseline))
    return by_spread if baseline.source == "learned" else max(by_ratio, by_spread)


def _drift(baseline: Baseline, rules: Rules) -> float:
    """Return the limit of the smoothed level: only where enough was learned to know how far it wanders by itself."""
    if baseline.source != "learned" or rules.drift_ratio == 0:
        return inf
    least = baseline.level * rules.drift_ratio
    if baseline.smoothed is None:
        return least
    return max(least, min(_beyond(baseline.smoothed, baseline, rules), rules.warning_ratio * _high(baseline)))


def _fallen(baseline: Baseline, warning: float, rules: Rules) -> float:
    """Return what the smoothed level stays above: as far below the baseline as the warning is above it, at the least.

    On the logarithm, as the spread is. Only where enough was learned to know how far it wanders by itself.
    """
    if rules.fall_ratio == 0 or baseline.source not in {"learned", "configured", "set"}:
        return 0.0
    return min(rules.fall_ratio * baseline.level, baseline.level * baseline.level / warning)


def _high(baseline: Baseline) -> float:
    """Return the level that was as good as never exceeded; no limit is more than `warning_ratio` times as high."""
    return inf if baseline.high is None else max(baseline.high, baseline.level)


def _beyond(spread: Spread, baseline: Baseline, rules: Rules) -> float:
    """Return the level `warning_sigma` standard deviations above a spread's centre, counted on the logarithm.

    Levels are sizes: what makes them larger, such as speed or load, multiplies them.
    """
    warm = baseline.to_ns - baseline.from_ns >= WARM_UP_NS
    smallest = rules.warning_sigma * (SMALLEST_SPREAD if warm else SMALLEST_SPREAD_COLD)
    learned = certain(rules.warning_sigma, spread.count) * spread.sigma / spread.centre
    return spread.centre * exp(min(max(learned, smallest), MOST))


def certain(sigmas: float, independent: float) -> float:
    """Return how many estimated standard deviations are as unlikely as `sigmas` true ones, at most half as many again.

    Student's t by its first term, z (1 + (z² + 1) / 4 nu).
    """
    return sigmas * min(1.5, 1 + (sigmas * sigmas + 1) / (4 * max(independent - 1, 1.0)))


def _bounds(warning: float, critical: float, normal: float | None, hysteresis: float, delays: Delays) -> Bounds:
    """Return the bounds with their end: `hysteresis` below the first limit, but at most half-way to what is normal.

    Where the limit is close to what is normal, the level could not fall further.
    """
    lowest = min(warning, critical)
    clear = lowest * (1 - hysteresis)
    if normal is not None and lowest < inf:
        clear = max(clear, lowest / 2 + normal / 2)
    return Bounds(warning, critical, clear, delays, lowest)


def _quantities(baseline: Baseline | None, rules: Rules, delays: Delays) -> tuple[QuantityBounds, ...]:
    found = []
    chosen = {threshold.quantity: threshold for threshold in rules.thresholds}
    if rules.iso_group is not None and "velocity_rms" not in chosen:
        normal = baseline.velocity if baseline else None
        warning = iso.alarm(rules.iso_group, rules.iso_support, normal)
        critical = iso.trip(rules.iso_group, rules.iso_support)
        bounds = _bounds(warning, critical, normal, rules.hysteresis, delays)
        found.append(QuantityBounds("velocity_rms", "velocity_rms", bounds, iso=True))
    for threshold in chosen.values():
        found += _sides(threshold, rules.hysteresis, delays)
    return tuple(found)


def _sides(threshold: Threshold, hysteresis: float, delays: Delays) -> Iterator[QuantityBounds]:
    """Yield the bounds on either side on which there are limits."""
    own = Delays(
        delays.on_readings if threshold.on_readings is None else threshold.on_readings,
        delays.on_ns if threshold.on_delay_ns is None else threshold.on_delay_ns,
        delays.off_readings if threshold.off_readings is None else threshold.off_readings,
        delays.off_ns if threshold.off_delay_ns is None else threshold.off_delay_ns,
    )
    key, share = threshold.quantity, hysteresis if threshold.hysteresis is None else threshold.hysteresis
    above = _given(threshold.warning), _given(threshold.critical)
    below = _given(threshold.warning_below, -1), _given(threshold.critical_below, -1)
    span = min(above) + min(below)  # from the lower limit, which is negated, to the upper one
    for name, limits_, is_lower in ((key, above, False), (f"{key} below", below, True)):
        lowest = min(limits_)
        if lowest < inf:
            clear = lowest - share * (span if span < inf else _span_of(limits_))
            yield QuantityBounds(key, name, Bounds(*limits_, clear, own, lowest), is_lower)


def _given(limit: float | None, sign: int = 1) -> float:
    return inf if limit is None else sign * limit


def _span_of(limits_: tuple[float, float]) -> float:
    """Return what the hysteresis of limits on one side is a share of: their distance from zero.

    At zero it is that to the second limit, or one of the unit.
    """
    first, second = sorted(limits_)
    return abs(first) or (second - first if second < inf else 0.0) or 1.0
