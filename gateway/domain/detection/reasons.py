"""Why an alert was raised or has ended, in plain words for a technician."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.domain.detection.comparison import compared, level_in_words, number, series
from gateway.domain.detection.indicator import IndicatorState
from gateway.domain.detection.indicators import INDICATORS, Reading, limit_in_words, quantity_in_words
from gateway.domain.detection.limits import Limits, QuantityBounds
from gateway.domain.model.events import SeverityRank

IMPULSIVE = 5.0
"""A crest factor or a kurtosis above this is that of impacts, such as a bearing's; when healthy they are 3 to 5."""

Tallies = Mapping[str, IndicatorState]


def raised(reading: Reading, tallies: Tallies, limit: Limits) -> str:
    """Return every reason for an alert: what was measured, what is normal, for how many readings."""
    reasons = []
    for name, tally in _told(tallies, limit):
        critical = tally.severity is SeverityRank.CRITICAL and tally.on_critical
        count, since_ns = (
            (tally.on_critical, tally.on_critical_ns) if critical else (tally.on_warning, tally.on_warning_ns)
        )
        if count:
            reasons.append(f"{_beyond(name, tally, reading, limit)}, for {series(count, reading.time_ns - since_ns)}")
    impacts = _impacts(reading) if any(name in INDICATORS for name in tallies) else None
    return "; ".join([*reasons, impacts] if impacts else reasons)


def figure(reading: Reading, tallies: Tallies, limit: Limits) -> str:
    """Return what is beyond which limit, where that is a quantity and no worse is said of the level; else nothing."""
    told = list(_told(tallies, limit))
    worst = max((tally.severity for _, tally in told), default=SeverityRank.NONE)
    names = [name for name, tally in told if tally.severity is worst]
    if not names or any(name in INDICATORS for name in names):
        return ""
    return _beyond(names[0], tallies[names[0]], reading, limit)


def recovered(reading: Reading, tallies: Tallies, limit: Limits) -> str:
    """Return why an alert has ended."""
    name, tally = max(tallies.items(), key=lambda each: each[1].off)
    back = _back(name, tally, reading, limit)
    return f"{back}, for {series(tally.off, reading.time_ns - tally.off_ns)}"


def recovered_figure(reading: Reading, tallies: Tallies, limit: Limits) -> str:
    """Return what is normal again, where that is a quantity; else nothing."""
    name, tally = max(tallies.items(), key=lambda each: each[1].off)
    each = _bounds_of(name, limit)
    return "" if each is None else quantity_in_words(each, tally.value, reading.unit)


def _told(tallies: Tallies, limit: Limits) -> Iterator[tuple[str, IndicatorState]]:
    """Yield what has been raised and can be told of: of the level only what there is a baseline to compare it with."""
    on = {name: tally for name, tally in tallies.items() if tally.severity is not SeverityRank.NONE}
    for name, tally in on.items():
        indicator = INDICATORS.get(name)
        if indicator is None or (limit.baseline is not None and indicator.told_by not in on):
            yield name, tally


def _beyond(name: str, tally: IndicatorState, reading: Reading, limit: Limits) -> str:
    if limit.baseline is not None and name in INDICATORS:
        return INDICATORS[name].words(reading, limit, limit.baseline)
    each = _bounds_of(name, limit)
    return (
        ""
        if each is None
        else f"{quantity_in_words(each, tally.value, reading.unit)}, {limit_in_words(each, tally.value)}"
    )


def _back(name: str, tally: IndicatorState, reading: Reading, limit: Limits) -> str:
    each = _bounds_of(name, limit)
    if each is not None:
        return f"Back to normal: {quantity_in_words(each, tally.value, reading.unit)}"
    if reading.level is None:
        return "Back to normal"
    level = level_in_words(reading.level, reading.unit, reading.sensor_unit)
    if limit.baseline is None:
        return f"Back to normal at {level}"
    return f"Back to {level}, {compared(reading.level, limit.baseline)}"


def _bounds_of(name: str, limit: Limits) -> QuantityBounds | None:
    return next((each for each in limit.quantities if each.name == name), None)


def _impacts(reading: Reading) -> str | None:
    """Return what crest factor and kurtosis add to an alert: both speak of impacts."""
    crest, kurtosis = reading.quantities.crest_factor, reading.quantities.kurtosis
    if crest is None or kurtosis is None or min(crest, kurtosis) <= IMPULSIVE:
        return None
    return f"with impacts (crest factor {number(crest)}, kurtosis {number(kurtosis)}), as from a bearing or a gear"
