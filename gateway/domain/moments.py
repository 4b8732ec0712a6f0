"""Times as people read them, in a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ns: int, zone: tzinfo) -> str:
    """Return a time in ns since 1970 to the minute, always with its zone: `2023-09-29 18:30 CEST`."""
    time = local(ns, zone)
    return f"{time:%Y-%m-%d %H:%M} {zone_name(time)}"


def short_moment(ns: int, now_ns: int, zone: tzinfo) -> str:
    """Return a time without its date, if that is the one of now: `18:30 CEST`, `28 Sep 18:30 CEST`."""
    time, now = local(ns, zone), local(now_ns, zone)
    day = "" if time.date() == now.date() else f"{time.day} {time:%b} "
    return f"{day}{time:%H:%M} {zone_name(time)}"


def local(ns: int, zone: tzinfo) -> datetime:
    """Return a time in its zone; one that no calendar holds becomes a day at its end."""
    try:
        return (_EPOCH + timedelta(microseconds=ns // 1000)).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return datetime(1, 1, 2, tzinfo=UTC) if ns < 0 else datetime(9999, 12, 30, tzinfo=UTC)


def zone_name(time: datetime) -> str:
    """Return the abbreviation of a time's zone where there is one, else its offset: `CEST`, `UTC+03:00`."""
    name = time.tzname() or ""
    if name.isascii() and name.isalpha():
        return name
    offset = f"{time:%z}"
    return f"UTC{offset[:3]}:{offset[3:5]}"
