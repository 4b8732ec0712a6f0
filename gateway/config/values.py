"""What values look like in a file: durations, sizes, names, hosts, tokens."""

from __future__ import annotations

import os
import re
import ssl
from ipaddress import ip_address
from math import isfinite
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, FilePath, SecretStr

from gateway.domain.notification.oncall import DAY_MINUTES, DAYS

_LOCALTIME = Path("/etc/localtime")

_UNITS_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9, "w": 604800 * 10**9}
LONGEST = 36_500 * _UNITS_NS["d"]
_DURATION = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]+)\s*")


def parse_duration(text: object) -> int:
    """Return a duration such as "10s", "1.5h" or "7d" in nanoseconds. Raises ValueError for anything else."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in _UNITS_NS:
        raise ValueError(f"a duration is a number and a unit, one of {' '.join(_UNITS_NS)}, such as '10s' or '7d'")
    duration = float(match[1]) * _UNITS_NS[match[2]]
    if not isfinite(duration):
        raise ValueError("this is longer than anything")
    return round(duration)


def _bounded(duration_ns: int) -> int:
    if duration_ns > LONGEST:
        raise ValueError("a duration is at most 36500d, a hundred years")
    return duration_ns


Duration = Annotated[int, BeforeValidator(parse_duration), AfterValidator(_bounded)]
"""A duration in nanoseconds; in a file it is text."""
Interval = Annotated[Duration, Field(gt=0)]

_SIZES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([kMGT]B)\s*")


def parse_size(text: object) -> int:
    """Return a size such as "500MB" or "4GB" in bytes. Raises ValueError for anything else."""
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"a size is a number and a unit, one of {' '.join(_SIZES)}, such as '500MB'")
    return round(float(match[1]) * _SIZES[match[2]])


Size = Annotated[int, BeforeValidator(lambda value: value if type(value) is int else parse_size(value))]
"""A size in bytes; in a file it is text."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


def _host(text: str) -> str:
    if "/" in text or text.count(":") == 1:  # two and more are an IPv6 address
        raise ValueError("a host name or an address, without a scheme; the port is a key of its own")
    try:
        text.encode("idna")
    except UnicodeError:
        raise ValueError("no part of a host name between its dots may be empty or longer than 63 characters") from None
    if not text.isprintable() or " " in text:
        raise ValueError("a host name has no spaces and no control characters")
    return text


Host = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_host)]
Port = Annotated[int, Field(ge=0, le=65535)]


def is_loopback(host: str) -> bool:
    """Return whether what is sent to `host` stays on this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def reached_at(host: str) -> str:
    """Return where what listens on `host` is reached from this machine: what listens everywhere, at the loopback."""
    return "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - recognised, not bound


def local_url(host: str, port: int) -> str:
    """Return the beginning of the URLs of what listens on `host` and `port`, as this machine reaches it."""
    reached = reached_at(host)
    return f"http://{f'[{reached}]' if ':' in reached else reached}:{port}"


def _authorities(path: FilePath) -> FilePath:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ValueError("is not a readable file of certificates in PEM") from error
    return path


Authorities = Annotated[FilePath, AfterValidator(_authorities)]
"""A file of those who may have signed a peer's certificate."""


def _token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not text or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("a token is printable ASCII, without spaces, and not empty")
    return token


Token = Annotated[SecretStr, AfterValidator(_token)]

SHORTEST_TOKEN = 8  # characters


def _not_guessed_at_once(token: SecretStr) -> SecretStr:
    if len(token.get_secret_value()) < SHORTEST_TOKEN:
        raise ValueError(f"a token that lets people in has at least {SHORTEST_TOKEN} characters, better 22")
    return token


OwnToken = Annotated[Token, AfterValidator(_not_guessed_at_once)]
"""A token that the gateway itself asks for."""


def parse_timezone(name: object) -> ZoneInfo:
    """Return a time zone by its name in the IANA database. Raises ValueError for anything else."""
    try:
        if isinstance(name, str) and name:
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not known, not a name, or a folder of them such as "Europe"
        pass
    raise ValueError("a time zone is a name such as 'Europe/Stockholm' or 'UTC', and must be known to this system")


def system_zone() -> ZoneInfo:
    """Return the time zone of this device; UTC if it says none."""
    try:
        if name := os.environ.get("TZ", "").removeprefix(":"):
            return parse_timezone(name)
        with _LOCALTIME.open("rb") as file:
            return ZoneInfo.from_file(file, "localtime")
    except (OSError, ValueError):
        return ZoneInfo("UTC")


Timezone = Annotated[ZoneInfo, BeforeValidator(parse_timezone)]
"""A time zone; in a file it is its name."""


def parse_rate(text: object) -> tuple[int, int]:
    """Return (how many, in how many ns) of a rate such as "20/h" or "5/10m". Raises ValueError for anything else."""
    many, slash, span = text.partition("/") if isinstance(text, str) else ("", "", "")
    if not slash or not many.strip().isdecimal() or not 1 <= int(many) <= MOST_PER_SPAN:
        raise ValueError("a rate is a number of messages in a time, such as '20/h' or '5/10m'")
    span = span.strip()
    return int(many), parse_duration(span if span[:1].isdigit() else f"1{span}")


MOST_PER_SPAN = 10_000
Rate = Annotated[tuple[int, int], BeforeValidator(parse_rate)]
"""So many in so many nanoseconds; in a file it is text."""


def parse_clock(text: object) -> int:
    """Return a time of day such as "07:30", or "24:00" for its end, in minutes. Raises ValueError for anything else."""
    match = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    minutes = int(match[1]) * 60 + int(match[2]) if match else DAY_MINUTES + 1
    if minutes > DAY_MINUTES:
        raise ValueError("a time of day is hours and minutes between '00:00' and '24:00'")
    return minutes


_CLOCK = re.compile(r"([0-9]{1,2}):([0-5][0-9])")
ClockTime = Annotated[int, BeforeValidator(parse_clock)]
"""Minutes since midnight; in a file it is text."""


def parse_days(names: object) -> frozenset[int]:
    """Return days such as ["mon-fri", "sun"] as numbers, Monday being 0. Raises ValueError for anything else."""
    days: set[int] = set()
    for name in names if isinstance(names, list | tuple) else [names]:
        first, _, last = name.partition("-") if isinstance(name, str) else ("", "", "")
        if first not in DAYS or (last or first) not in DAYS:
            raise ValueError(f"days are {', '.join(DAYS)}, or a span such as 'mon-fri'")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days.update(day % 7 for day in range(begin, end + 1 + 7 * (end < begin)))
    if not days:
        raise ValueError("there is no day in it, so it would never be")
    return frozenset(days)


Days = Annotated[frozenset[int], BeforeValidator(parse_days)]
"""Days of the week, Monday being 0; in a file they are names."""


def parse_handover(text: object) -> int:
    """Return a moment of the week such as "mon 08:00", in minutes since Monday 00:00. Raises ValueError otherwise."""
    day, _, clock = text.partition(" ") if isinstance(text, str) else ("", "", "")
    if day not in DAYS:
        raise ValueError("a handover is a day and a time, such as 'mon 08:00'")
    return DAYS.index(day) * DAY_MINUTES + parse_clock(clock.strip())


Handover = Annotated[int, BeforeValidator(parse_handover)]
"""Minutes since Monday 00:00; in a file it is text."""


def parse_pattern(text: object) -> str:
    """Return a name to match, or the beginning of one before a star. Raises ValueError for anything else."""
    if not isinstance(text, str) or not text:
        raise ValueError("a name, or the beginning of one and a star, such as 'pump-*'")
    if "*" in text[:-1]:
        raise ValueError("a star stands at the end only: 'pump-*' is every name that begins with pump-")
    return text


Patterns = tuple[Annotated[str, BeforeValidator(parse_pattern)], ...]
