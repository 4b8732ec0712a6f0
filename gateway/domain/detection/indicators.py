"""The indicators: what of a reading is compared with which limits, and how a reason names it.

Those that follow from the level are rows of `INDICATORS`; each quantity with limits is one more.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.comparison import compared, level_in_words, number
from gateway.domain.detection.limits import Bounds, Delays, Limits, QuantityBounds, limits
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sample import Sample
from gateway.domain.detection.state import SensorState
from gateway.domain.model.quantities import BY_KEY, QUANTITIES, Quantity, unit_of
from gateway.domain.model.reading import Measured

LEVEL, DRIFT, RISE, JUMPS = "level", "drift", "rise", "jumps"

JUMPS_LAST_NS = 3600 * 10**9
"""What jumps for less than an hour, such as while somebody hammers beside it, is no way in which the machine runs."""

Measure = tuple[str, float, Bounds]
"""The name of an indicator, its value and its bounds."""

SHAPE: Final = frozenset(quantity.key for quantity in QUANTITIES if quantity.shape)
"""Indicators of a wave's shape. Near failure they can fall while the level rises, so none of them is critical alone."""


class Reading(Struct, frozen=True):
    """What a reason speaks of."""

    level: float | None
    unit: str
    time_ns: int
    smoothed: float
    quantities: Measured
    sensor_unit: str | None
    jumps: float = 0.0


class Indicator(Struct, frozen=True):
    """Something that follows from the level, compared with what is normal.

    `measure` returns None where the rules switch it off; `words` is how a reason begins. It is not told beside
    `told_by`, which it follows by its nature. `moves` tells whether its limit moves with the readings, so that each
    counts; the others are left alone while the level is below all its limits.
    """

    name: str
    measure: Callable[[SensorState, Limits, float, int, Rules], Measure | None]
    words: Callable[[Reading, Limits, Baseline], str]
    told_by: str = ""
    moves: Callable[[Rules], bool] | None = None


def _level(_state: SensorState, limit: Limits, level: float, _ns: int, _rules: Rules) -> Measure:
    return LEVEL, level, limit.level


def _drift(state: SensorState, limit: Limits, _level: float, _ns: int, _rules: Rules) -> Measure:
    return DRIFT, state.smooth or 0.0, limit.drift


def _rise(state: SensorState, limit: Limits, level: float, time_ns: int, rules: Rules) -> Measure | None:
    """Compare the level with what it was half a window to a window ago."""
    if not rules.rise_ratio or limit.baseline is None:
        return None
    smooth, baseline = state.smooth or 0.0, limit.baseline.level
    if state.rise_ns is None:
        state.rise_ns, state.rise_from = time_ns, (smooth, smooth)
    elif time_ns - state.rise_ns >= rules.rise_window_ns / 2:
        state.rise_ns, state.rise_from = time_ns, (state.rise_from[1], smooth)
    warning = max(state.rise_from[0], baseline) + rules.rise_ratio * baseline
    return RISE, level, Bounds(warning, inf, limit.level.clear, limit.level.delays, warning)


def _jumps(state: SensorState, limit: Limits, _level: float, _ns: int, rules: Rules) -> Measure | None:
    """Compare the share of readings that jump beyond the level's limit and back."""
    if not rules.jumping_share:
        return None
    share, delays = rules.jumping_share, limit.level.delays
    lasting = Delays(1, max(JUMPS_LAST_NS, delays.on_ns), delays.off_readings, delays.off_ns)
    return JUMPS, state.spikes, Bounds(share, inf, share / 2, lasting, share)


def _level_in_words(reading: Reading, limit: Limits, baseline: Baseline) -> str:
    text = f"RMS {_at(reading.level, reading)}, {compared(reading.level or 0.0, baseline)}"
    if limit.is_inherited:
        return f"{text}, in a state that is not known yet, and far beyond what is critical in every known one"
    return text if baseline.sigma is None else f"{text}, normal up to {number(limit.level.warning)}"


def _drift_in_words(reading: Reading, _limit: Limits, baseline: Baseline) -> str:
    return f"RMS has slowly risen to {_at(reading.smoothed, reading)}, {compared(reading.smoothed, baseline)}"


def _rise_in_words(reading: Reading, _limit: Limits, baseline: Baseline) -> str:
    return f"RMS has quickly risen to {_at(reading.level, reading)}, {compared(reading.level or 0.0, baseline)}"


def _jumps_in_words(reading: Reading, limit: Limits, baseline: Baseline) -> str:
    return (
        f"RMS keeps jumping beyond its limit {number(limit.level.warning)} and back, in {100 * reading.jumps:.0f} % of"
        f" the last readings; it is {_at(reading.level, reading)} now, {compared(reading.level or 0.0, baseline)}"
    )


def _at(level: float | None, reading: Reading) -> str:
    return level_in_words(level or 0.0, reading.unit, reading.sensor_unit)


INDICATORS: Final = {
    each.name: each
    for each in (
        Indicator(LEVEL, _level, _level_in_words),
        Indicator(DRIFT, _drift, _drift_in_words, told_by=LEVEL),
        Indicator(RISE, _rise, _rise_in_words, moves=lambda rules: rules.rise_ratio > 0),
        Indicator(JUMPS, _jumps, _jumps_in_words, told_by=LEVEL),
    )
}
"""By name, in the order in which they are judged and told. A row here, with its rules, is all that a new one takes."""

_MEASURES: Final = tuple(each.measure for each in INDICATORS.values())


def limits_for(baseline: Baseline | None, rules: Rules) -> Limits:
    """Return what readings are compared with: the limits, and whether one of them moves with each reading."""
    moving = any(each.moves is not None and each.moves(rules) for each in INDICATORS.values())
    found = limits(baseline, rules)
    return replace(found, is_moving=True) if moving else found


def measured(state: SensorState, limit: Limits, sample: Sample, rules: Rules) -> list[Measure]:
    """Return name, value and bounds of everything that is compared for a reading."""
    found: list[Measure] = []
    level, time_ns = sample.level, sample.time_ns
    if limit.baseline is not None and level is not None and (limit.is_moving or not _is_quiet(state, limit, level)):
        found = [pair for measure in _MEASURES if (pair := measure(state, limit, level, time_ns, rules)) is not None]
    for each in limit.quantities:
        value = getattr(sample.quantities, each.key)
        if value is not None:
            found.append((each.name, -value if each.is_lower else value, each.bounds))
    return found


def _is_quiet(state: SensorState, limit: Limits, level: float) -> bool:
    """Tell whether nothing can come of the level: nothing is on its way, and it is below all its limits."""
    if state.severity or state.tallies:
        return False
    return level < limit.lowest and (state.smooth is None or state.smooth < limit.smoothed)


def quantity_in_words(each: QuantityBounds, value: float, level_unit: str) -> str:
    """Return a quantity, its value and unit: `velocity RMS 6.2 mm/s`."""
    quantity = BY_KEY[each.key]
    label, unit = quantity.label, _unit(quantity, level_unit)
    return f"{label[0].lower()}{label[1:]} {number(-value if each.is_lower else value)} {unit}".rstrip()


def limit_in_words(each: QuantityBounds, value: float) -> str:
    """Return the worst limit that a value is beyond, and whose it is: `trip of ISO 10816-3 5.62`."""
    critical = value >= each.bounds.critical
    bound = each.bounds.critical if critical else each.bounds.warning
    if each.iso:
        return f"{'trip' if critical else 'alarm'} of ISO 10816-3 {number(bound)}"
    name = "critical limit" if critical else "limit"
    return f"below its {name} {number(-bound)}" if each.is_lower else f"{name} {number(bound)}"


def _unit(quantity: Quantity, level_unit: str) -> str:
    """Return the unit of a quantity: an event gives an acceleration, such as a peak, in that of its level."""
    same = quantity.kind == "acceleration" and unit_of("acceleration", level_unit) is not None
    return level_unit if same else quantity.unit
