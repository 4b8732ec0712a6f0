"""Durations and times as they are written in options, fleet files, CSV files and events."""

import re
from datetime import UTC, datetime, timedelta

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
MILLISECONDS_FROM = 1e11  # as an epoch in seconds this is the year 5138, in milliseconds 1973
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(text: str) -> float:
    """Seconds of a text such as `500ms`, `10s`, `5m`, `2h` or `7d`; ValueError for anything else, and for zero."""
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ValueError(f"{text!r} is not a duration: write a number above zero and a unit, such as 10s, 5m, 2h or 7d")
    return seconds


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 text, a naive one (taken as UTC), or an epoch in seconds or milliseconds; UTC.

    ValueError for anything else, and for a time that the calendar does not hold.
    """
    try:
        return _parse_epoch(float(text)) if _is_number(text) else _parse_text(text)
    except OverflowError:
        raise ValueError(f"{text!r} is beyond the calendar") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parse_epoch(number: float) -> datetime:
    return EPOCH + timedelta(seconds=number / 1000 if abs(number) >= MILLISECONDS_FROM else number)


def _parse_text(text: str) -> datetime:
    parsed = datetime.fromisoformat(text.strip())
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def rfc3339(time: datetime) -> str:
    """Write the time in UTC with microseconds and `Z`."""
    return f"{time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
