"""When something was measured, out of whatever a sensor says: epochs of any magnitude, RFC 3339, formats of its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from msgspec import Struct

from gateway.domain.inputs.numbers import number
from gateway.domain.inputs.paths import Path

EARLIEST_US: Final = 946_684_800_000_000
LATEST_US: Final = 4_102_444_800_000_000
"""From 2000 to 2100: what is not between them is no time. Milliseconds since boot are not 1970."""

LONGEST: Final = 64
"""Characters of a time."""

_DOTNET = re.compile(r"/Date\(([0-9]{1,16})(?:[-+][0-9]{4})?\)/")
"""How .NET writes milliseconds since 1970 in JSON."""
_LOOSE = re.compile(
    r"([0-9]{4})[-/]([0-9]{2})[-/]([0-9]{2}[T ][0-9:.,]{5,18})\s?(Z|[-+][0-9]{2}:?[0-9]{2})?(?: [A-Z]{3,4})?"
)
"""RFC 3339, but for slashes in the date, a space before the offset, or the zone's name behind it."""
_EARLIEST_S = EARLIEST_US // 1_000_000
_LATEST_S = LATEST_US // 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PER_US: Final = ((1_000_000, 1), (1000, 1), (1, 1), (1, 1000))
"""Seconds, milliseconds, microseconds, nanoseconds: multiply, divide."""


class TimeSpec(Struct, frozen=True):
    """Where a message says its time. `format` is strptime's; `zone` is that of times without one.

    `may_lack`: it is nothing to speak of when the message does not say its time.
    """

    path: Path | None = None
    format: str = ""
    zone: tzinfo = UTC
    may_lack: bool = False


def microseconds_of(value: Any, spec: TimeSpec, received_us: int) -> int | None:
    """Return a time in µs since 1970, or None for what is none."""
    if spec.format:
        return _plausible(_formatted(value, spec, received_us))
    if type(value) is int:
        return epoch_us(value)
    if type(value) is str:
        return _plausible(_from_text(value.strip(), spec, received_us))
    if isinstance(value, datetime):
        return _plausible(_utc_us(value, spec.zone, received_us))
    return epoch_us(value)


def epoch_us(value: Any) -> int | None:
    """Return a number of s, ms, µs or ns since 1970 in µs; which of them it is, its magnitude tells."""
    if type(value) is not int and type(value) is not float:
        return None
    if not _EARLIEST_S <= value < LATEST_US * 1000:
        return None
    times, by = _PER_US[(value >= _LATEST_S) + (value >= _LATEST_S * 1000) + (value >= LATEST_US)]
    found = value * times // by if type(value) is int else round(value * times / by)
    return int(found) if EARLIEST_US <= found < LATEST_US else None


def _plausible(found: int | None) -> int | None:
    return found if found is not None and EARLIEST_US <= found < LATEST_US else None


def _formatted(value: Any, spec: TimeSpec, received_us: int) -> int | None:
    text = str(value) if type(value) is int or type(value) is float else value
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    try:
        return _utc_us(datetime.strptime(text.strip(), spec.format), spec.zone, received_us)  # noqa: DTZ007
    except ValueError:
        return None


def _from_text(text: str, spec: TimeSpec, received_us: int) -> int | None:
    if len(text) > LONGEST:
        return None
    if "-" not in text[1:] and (found := epoch_us(_whole(text))) is not None:
        return found
    if dotnet := _DOTNET.fullmatch(text):
        return epoch_us(int(dotnet[1]))
    try:
        return _utc_us(_moment(text.upper().removesuffix(" UTC")), spec.zone, received_us)
    except ValueError:
        return None


def _moment(text: str) -> datetime:
    """Return the time of a text. Raises ValueError."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        found = _LOOSE.fullmatch(text)
        if found is None or (found[4] is None and text[-1:].isalpha()):
            raise
        return datetime.fromisoformat(f"{found[1]}-{found[2]}-{found[3]}{found[4] or ''}")


def _whole(text: str) -> int | float | None:
    return int(text) if text.isascii() and text.isdecimal() else number(text)


def _utc_us(moment: datetime, zone: tzinfo, received_us: int) -> int:
    """Return µs since 1970; an hour that a zone has twice is the one nearer to when the message came."""
    if moment.tzinfo is not None:
        return _us(moment)
    first = _us(moment.replace(tzinfo=zone, fold=0))
    if zone is UTC:
        return first
    second = _us(moment.replace(tzinfo=zone, fold=1))
    return min(first, second, key=lambda found: abs(found - received_us))


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
