"""Who says it and when: which texts of a message name its sensor, which value is its time, and what kind it is of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from gateway.domain.inputs.learning.leaves import Leaves
from gateway.domain.inputs.learning.names import word_set, words_of
from gateway.domain.inputs.learning.quantities import number_in
from gateway.domain.inputs.paths import Path

DAY_US: Final = 86_400_000_000
EARLIEST_US: Final = 946_684_800_000_000
LATEST_US: Final = 4_102_444_800_000_000
"""From 2000 to 2100, in microseconds."""
MAX_ID: Final = 64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCHS: Final = (1_000_000, 1_000, 1, 0.001)
_FORMATS: Final = (
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%d.%m.%Y %H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%Y-%m-%d %H:%M:%S.%f UTC",
    "%a %b %d %H:%M:%S %Y",
    "%d-%b-%Y %H:%M:%S",
)
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\d{8}T\d{4}")
_ZONED = re.compile(r"(?:Z|UTC|[+-]\d\d:?\d\d)$")

_TIME_WORDS: Final = {
    word: score
    for score, words in (
        (6, "timestamp measured"),
        (5, "time ts datetime zeit t when sampled"),
        (4, "at date stamp source received utc epoch"),
        (-3, "server gateway gw sent processed published created expires boot last first next start end begin"),
        (-8, "installed calibrated manufactured build update updated birth"),
    )
    for word in words.split()
}

_ID_WORDS: Final = {
    word: score
    for score, words in (
        (6, "eui serial sn mac addr address uid"),
        (5, "sensor device dev"),
        (3, "id key subject thing tag tags point writer probe meter machine"),
        (2, "name node group slave unit number no nr"),
        (1, "asset label station source host line"),
    )
    for word in words.split()
}
_NO_ID_WORDS: Final = word_set(
    "message msg event correlation deduplication tenant application app profile gateway gw account network net"
    " publisher item capture session request transaction user join firmware model vendor type kind class version"
    " manufacturer description quality status state unit units region context metadata parent org schema dataset"
    " category part url uri token sequence seq counter count protocol battery power time date datatype specversion"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_SMALL = re.compile(r"(?:accelerometer|acc|sensor|channel|ch|port|input|ai|slot|probe|s)?[ _-]?\d{1,2}", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]){5,7}[0-9A-Fa-f]{2}|[0-9A-F]{12,16}|[0-9a-f]{12,16}")
"""Of a network interface or a radio."""
_EUI = re.compile(r"[0-9A-Fa-f]{16}")
_PROGRAMS = re.compile(r".*2mqtt|iot-2|esp32|esp8266|rtl_433|v\d+|mqtt\d*", re.IGNORECASE)
"""Words with a digit that are no ids."""
_TYPES: Final = ("type", "messagetype", "msgtype", "eventtype", "kind", "evt")
_STATUS: Final = ("status", "state", "quality", "q", "connection", "connected", "online", "valid", "good", "health")
_GOOD: Final = frozenset(("connected", "ok", "good", "online", "valid", "normal", "running", "active", "true", "192"))


class TimeGuess(NamedTuple):
    """Where a time is and how it is read; `offset` are the hours that a time without a zone is ahead of UTC."""

    path: Path
    format: str
    offset: int | None


def time_of(value: Any) -> tuple[int, str, bool] | None:
    """Return microseconds since 1970, the format that was needed, and whether a zone was said; None: it is no time."""
    if isinstance(value, str):
        return _time_of_text(value.strip()) if 8 <= len(value) <= MAX_ID else None  # noqa: PLR2004
    number = number_in(value)
    for factor in _EPOCHS if number is not None and number > 0 else ():
        moment = round((number or 0) * factor)
        if EARLIEST_US <= moment < LATEST_US:
            return moment, "", True
    return None


def _time_of_text(text: str) -> tuple[int, str, bool] | None:
    if text.replace(".", "", 1).isdecimal() and (found := time_of(number_in(text))):
        return found
    for form in ("", *_FORMATS) if _ISO.match(text) else _FORMATS:
        if (moment := _parsed(text, form)) is not None:
            at = (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1)
            return (at, form, bool(_ZONED.search(text))) if EARLIEST_US <= at < LATEST_US else None
    return None


def _parsed(text: str, form: str) -> datetime | None:
    try:
        if form:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the zone is asked for beside it
        return datetime.fromisoformat(text.upper().removesuffix(" UTC"))
    except ValueError:
        return None


def guessed_time(leaves: Leaves, received_us: int) -> TimeGuess | None:
    """Return the best time of a message: by its name, how near it is to the receive time, and how deep it lies."""
    best: tuple[float, TimeGuess] | None = None
    for path, values in leaves.items():
        found = time_of(values[-1])
        if found is None:
            continue
        score = sum(_TIME_WORDS.get(word.text, 0) for word in words_of(path[-1:])) - 0.5 * len(path)
        named_only = isinstance(values[-1], str) and not _is_number(values[-1])
        near = abs(found[0] - received_us) < DAY_US
        if score <= 0 and not (named_only and near):
            continue
        score += 5 * near
        if best is None or score > best[0]:
            best = score, TimeGuess(path, found[1], None if found[2] else _offset(found[0], received_us))
    return best[1] if best else None


def _is_number(text: str) -> bool:
    return number_in(text) is not None


def _offset(time_us: int, received_us: int) -> int:
    """Return the whole hours that a time is off; 0 where it is off by anything else."""
    hours, rest = divmod(time_us - received_us + 600_000_000, 3_600_000_000)
    return hours if rest < 1_200_000_000 and -12 <= hours <= 14 else 0  # noqa: PLR2004 - the zones there are


def looks_like_id(text: str) -> bool:
    """Tell whether a text is rather one of many than a word: it has digits."""
    if _ADDRESS.fullmatch(text):
        return True
    return any(map(str.isdecimal, text)) and len(text) <= MAX_ID and not _PROGRAMS.fullmatch(text)


def id_paths(leaves: Leaves, count: int, *, shared: bool) -> list[tuple[float, Path]]:
    """Return paths that may name the sensor, the best first. `shared`: several elements should have different ones."""
    found = []
    typed = any(path[-1].casefold() == "vendorid" for path in leaves)
    event = ("specversion",) in leaves  # the id of a CloudEvent is the event's
    lorawan = any(_EUI.fullmatch(str(value)) for values in leaves.values() for value in values[:1])
    for path, values in leaves.items():
        score = _id_score(path, values)
        if (
            score <= 0 or (event and path == ("id",)) or (typed and path[-1].casefold() == "deviceid")
        ):  # IO-Link: vendor and device are the type
            continue
        if lorawan and path[-1].casefold().replace("_", "") in ("devaddr", "deviceaddr"):  # only its session's
            continue
        texts = {str(value) for value in values}
        if count > 1 and shared:
            score += 4 if len(texts) > 1 else -2
        elif count > 2 and len(texts) == count:  # noqa: PLR2004 - every message has another one: it is the message's
            continue
        found.append((score - 0.1 * len(path), path))
    return sorted(found, key=lambda each: -each[0])


def _id_score(path: Path, values: list[Any]) -> float:
    words = [word.text for word in words_of(path[-1:])]
    above = [word.text for word in words_of(path[:-1])]
    if not all(_may_be_id(value, words) for value in values) or not _NO_ID_WORDS.isdisjoint(words):
        return 0
    own = sum(_ID_WORDS.get(word, 0) for word in words)
    if not own or any(word in _NO_ID_WORDS for word in above[-2:] if word not in ("data", "metadata", "unit")):
        return 0
    telling = sum(looks_like_id(str(value)) for value in values) / len(values)
    telling -= 3 * all(str(value).isdecimal() and len(str(value)) < 3 for value in values)  # noqa: PLR2004 - a few
    return own + telling + (1 if above and _ID_WORDS.get(above[-1]) else 0)


def _may_be_id(value: Any, words: list[str]) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return value >= 0 and bool({"id", "serial", "addr", "address", "slave", "sn", "uid"} & set(words))
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not value.isprintable():
        return False
    return not _UUID.fullmatch(value) and time_of(value) is None and "://" not in value


def is_about(path: Path) -> bool:
    """Tell whether the name of a value says that it is about the message or the device, and nothing measured."""
    return any(word.text in _ID_WORDS or word.text in _NO_ID_WORDS for word in words_of(path[-1:]))


def is_small(text: str) -> bool:
    """Tell whether an id is one of a few within something, such as `accelerometer1`, `ch2` or `3`."""
    return bool(_SMALL.fullmatch(text))


def kinds_of(leaves: Leaves) -> Iterable[tuple[Path, set[str]]]:
    """Iterate over the paths that say what kind of message it is, and the kinds."""
    for path, values in leaves.items():
        if len(path) == 1 and path[0].casefold().replace("_", "") in _TYPES:
            yield path, {str(value) for value in values}


def good_values(leaves: Leaves) -> dict[Path, list[Any]]:
    """Return what a part says of itself when its values can be relied on: path -> what is good."""
    found: dict[Path, list[Any]] = {}
    for path, values in leaves.items():
        name = path[-1].casefold()
        good = [value for value in values if str(value).casefold() in _GOOD]
        if name in _STATUS and good and len(path) == 1:
            found[path] = list(dict.fromkeys(good))
    return found
