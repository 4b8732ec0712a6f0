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


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def in_words(duration_ns: int) -> str:
    """Return a duration with its two greatest units: 45 s, 5 min 10 s, 2 h, 3 d 4 h."""
    seconds = max(0, duration_ns) // 1_000_000_000
    words: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if words and not count:
            break
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"


def microseconds(moment: datetime) -> int:
    """Return `moment` as microseconds since 1970; one without a time zone is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def rfc3339(ns: int) -> str:
    """Return a time in nanoseconds as RFC 3339 in UTC, to the millisecond, or finer where it has more digits."""
    moment = _EPOCH + timedelta(microseconds=ns // 1000)
    precise = "microseconds" if ns % 1_000_000 >= 1000 else "milliseconds"  # noqa: PLR2004 - ns in a µs
    return moment.isoformat(timespec=precise).replace("+00:00", "Z")
