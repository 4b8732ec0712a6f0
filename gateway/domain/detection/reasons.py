"""Why an alert was raised or has ended, in plain words for a technician."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.indicator import DRIFT, LEVEL, RISE, IndicatorState
from gateway.domain.detection.limits import Limits
from gateway.domain.detection.rules import DAY_NS
from gateway.domain.model.events import SeverityRank

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NAMES = {"velocity_rms": "velocity RMS", "crest_factor": "crest factor", "kurtosis": "kurtosis"}
_UNITS = {"velocity_rms": " mm/s"}

_TO = "\N{EN DASH}"

CLOSE = 1.45
"""Below this ratio to the baseline one digit would hide the difference."""

IMPULSIVE = 5.0
"""A crest factor or a kurtosis above this is that of impacts, such as a bearing's; when healthy they are 3 to 5."""


class Reading(Struct, frozen=True):
    """What a reason speaks of."""

    level: float
    unit: str
    time_ns: int
    smoothed: float
    features: Mapping[str, float | None]
    crest_factor: float | None
    kurtosis: float | None


def raised(reading: Reading, tallies: Mapping[str, IndicatorState], limit: Limits) -> str:
    """Return every reason for an alert: what was measured, what is normal, for how many readings."""
    reasons = []
    is_level = LEVEL in tallies and tallies[LEVEL].severity is not SeverityRank.NONE
    for kind, tally in tallies.items():
        if tally.severity is SeverityRank.NONE or (kind == DRIFT and is_level):  # the smoothed level follows the level
            continue
        if limit.baseline is None and kind in {LEVEL, DRIFT, RISE}:  # nothing to compare it with, after a relearn
            continue
        critical = tally.severity is SeverityRank.CRITICAL and tally.on_critical
        count, since_ns = (
            (tally.on_critical, tally.on_critical_ns) if critical else (tally.on_warning, tally.on_warning_ns)
        )
        if count:
            reasons.append(f"{_beyond(kind, reading, limit)}, for {_series(count, reading.time_ns - since_ns)}")
    impacts = _impacts(reading) if LEVEL in tallies or DRIFT in tallies else None
    return "; ".join([*reasons, impacts] if impacts else reasons)


def recovered(reading: Reading, tallies: Mapping[str, IndicatorState], limit: Limits) -> str:
    """Return why an alert has ended."""
    tally = max(tallies.values(), key=lambda each: each.off)
    series = _series(tally.off, reading.time_ns - tally.off_ns)
    level = f"{number(reading.level)} {reading.unit}"
    if limit.baseline is None:
        return f"Back to normal at {level}, for {series}"
    return f"Back to {level}, {_compared(reading.level, limit.baseline)}, for {series}"


def _beyond(kind: str, reading: Reading, limit: Limits) -> str:
    baseline = limit.baseline
    if kind == DRIFT and baseline:
        return f"RMS has slowly risen to {number(reading.smoothed)} {reading.unit}, " + _compared(
            reading.smoothed, baseline
        )
    if kind == RISE and baseline:
        return f"RMS has quickly risen to {number(reading.level)} {reading.unit}, " + _compared(reading.level, baseline)
    if baseline and kind == LEVEL:
        text = f"RMS {number(reading.level)} {reading.unit}, {_compared(reading.level, baseline)}"
        return text if baseline.sigma is None else f"{text}, normal up to {number(limit.level.warning)}"
    (each,) = (each for each in limit.features if each.feature == kind)
    value = reading.features[kind]
    critical = value is not None and value >= each.bounds.critical
    bound = each.bounds.critical if critical else each.bounds.warning
    name = ("trip" if critical else "alarm") if each.iso else ("critical limit" if critical else "limit")
    norm = " of ISO 10816-3" if each.iso else ""
    shown = "" if value is None else f" {number(value)}{_UNITS.get(kind, '')}"
    return f"{_NAMES[kind]}{shown}, {name}{norm} {number(bound)}"


def _impacts(reading: Reading) -> str | None:
    """Return what crest factor and kurtosis add to an alert: both speak of impacts."""
    crest, kurtosis = reading.crest_factor, reading.kurtosis
    if crest is None or kurtosis is None or min(crest, kurtosis) <= IMPULSIVE:
        return None
    return f"with impacts (crest factor {number(crest)}, kurtosis {number(kurtosis)}), as from a bearing or a gear"


def _compared(level: float, baseline: Baseline) -> str:
    state = f"{baseline.state} " if baseline.state else ""
    of_what, more = "", ""
    match baseline.source:
        case "event":
            of_what = "sensor's own "
        case "configured":
            of_what = "configured "
        case "provisional":
            more = f" (provisional, version {baseline.version})"
        case "set":
            more = f" (set by {baseline.by} on {_date(baseline.from_ns)}, version {baseline.version})"
        case "learned":
            more = f" (learned {_period(baseline.from_ns, baseline.to_ns)}, version {baseline.version})"
    ratio = level / baseline.level
    digits = 2 if ratio < CLOSE else 1
    return f"{ratio:.{digits}f} × the {of_what}{state}baseline {number(baseline.level)}{more}"


def _date(ns: int) -> str:
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    return f"{moment.day} {_MONTHS[moment.month - 1]}"


def _period(from_ns: int, to_ns: int) -> str:
    """Return 2 Sept, 2 to 9 Sept or 28 Aug to 4 Sept, with a dash for the word; in UTC, as everywhere."""
    first, last = _date(from_ns), _date(to_ns)
    if first == last:
        return first
    (day, month), (_, last_month) = first.split(), last.split()
    within_a_month = month == last_month and to_ns - from_ns < 31 * DAY_NS
    return f"{day}{_TO}{last}" if within_a_month else f"{first} {_TO} {last}"


def _series(count: int, duration_ns: int) -> str:
    readings = f"{count} reading" + "s" * (count != 1)
    seconds = duration_ns // 1_000_000_000
    return f"{readings} in {_duration(seconds)}" if seconds else readings


def _duration(seconds: int) -> str:
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds} s"


def number(value: float) -> str:
    """Return a measured value with three significant digits: 12.5, 4.0, 0.0842."""
    text = f"{value:.3g}"
    return text + ".0" if text.lstrip("-").isdigit() and len(text.lstrip("-")) < 3 else text  # noqa: PLR2004 - see above
