"""Numbers, spans of time, and a level against its baseline, in plain words for a technician."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.rules import DAY_NS
from gateway.domain.model.reading import in_sensors_unit

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "June", "July", "Aug", "Sept", "Oct", "Nov", "Dec")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_TO = "\N{EN DASH}"

CLOSE = 1.45
"""Below this ratio to the baseline one digit would hide the difference."""


def compared(level: float, baseline: Baseline) -> str:
    """Return a level in units of its baseline, with where that comes from."""
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


def level_in_words(level: float, unit: str, sensor_unit: str | None) -> str:
    """Return a level with its unit, and as the sensor itself gave it: `2.91 m/s² (0.297 g)`."""
    own = in_sensors_unit(level, unit, sensor_unit)
    return f"{number(level)} {unit}" + ("" if own is None else f" ({number(own[0])} {own[1]})")


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


def series(count: int, duration_ns: int) -> str:
    """Return how many readings in a row, in how long."""
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
