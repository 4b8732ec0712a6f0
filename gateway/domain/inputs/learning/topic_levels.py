"""Topics that belong together: which levels are ids, which are words, and what the words say of a bare value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.domain.inputs.learning.identity import looks_like_id
from gateway.domain.inputs.learning.names import meaning_of, word_set

Pattern = tuple[str, ...]

ANY: Final = "\0"
"""Stands for a level that varies; no topic has it."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PLACES: Final = {
    word: place
    for place, words in {"site": "site plant factory building werk", "area": "area hall line halle zone"}.items()
    for word in words.split()
}
_BEFORE_SENSORS: Final = (
    "device",
    "devices",
    "sensor",
    "sensors",
    "node",
    "nodes",
    "dev",
    "machine",
    "asset",
    "things",
    "tele",
    "shellies",
)
_BEFORE_OTHERS: Final = (
    "application",
    "app",
    "tenant",
    "gateway",
    "gw",
    "site",
    "plant",
    "area",
    "line",
    "group",
    "ul",
    "umh",
)
_OTHERS: Final = re.compile(
    r"(?:gw|gateway|edge|site|plant|hall|line|area|app|building|floor|enterprise|tenant|host)\W?\w*", re.IGNORECASE
)


_WORDS: Final = word_set(
    "data sensor sensors state status telemetry event events up uplink stream csv json raw attrs values value"
    " measurement vibration vib message messages batch mqtt feed output update device devices"
)


def skeleton(topic: str) -> Pattern:
    """Return the levels of a topic, with those that look like ids left open."""
    return tuple(ANY if is_open(level) else level for level in topic.split("/"))


def is_open(level: str) -> bool:
    """Tell whether a level is an id: it looks like one, and says nothing of a quantity."""
    return looks_like_id(level) and not says_something(level)


def says_something(level: str) -> bool:
    """Tell whether a level names a quantity or an axis; one with digits in it is rather an id."""
    meaning = meaning_of((level,))
    if meaning is None or (len(level) == 1 and not meaning.axis):
        return False
    return bool(meaning.kind or meaning.statistic or meaning.axis) and meaning.rest == 0


def merged(shapes: Mapping[Pattern, frozenset[str]]) -> list[Pattern]:
    """Return patterns without those that differ in one level only, and whose messages are built alike.

    Such a level is open, unless it says which quantity or which axis the messages are about.
    """
    found = dict(shapes)
    longest = max(map(len, found), default=0)
    before = -1
    while before != len(found):
        before = len(found)
        for at in range(longest):
            found = _opened(found, at)
    return list(found)


def _opened(shapes: dict[Pattern, frozenset[str]], at: int) -> dict[Pattern, frozenset[str]]:
    """Open a level where patterns are alike but for it."""
    groups: dict[tuple[Pattern, Pattern], list[Pattern]] = {}
    for pattern, shape in shapes.items():
        if len(pattern) > at and (pattern[at] == ANY or not _says_anything(pattern[at])):
            alike = groups.setdefault((pattern[:at], pattern[at + 1 :]), [])
            if not alike or _similar(shapes[alike[0]], shape):
                alike.append(pattern)
    opened = {
        pattern: (*pattern[:at], ANY, *pattern[at + 1 :])
        for alike in groups.values()
        if len(alike) > 1
        for pattern in alike
    }
    found: dict[Pattern, frozenset[str]] = {}
    for pattern, shape in shapes.items():
        found.setdefault(opened.get(pattern, pattern), shape)
    return found


def _similar(one: frozenset[str], other: frozenset[str]) -> bool:
    return 2 * len(one & other) >= len(one | other)


def _says_anything(level: str) -> bool:
    return meaning_of((level,)) is None or says_something(level)


def opened(pattern: Pattern, ids: set[str]) -> Pattern:
    """Return a pattern in which a level is open that the message names as an id."""
    wanted = {folded(text) for text in ids} - {""}
    return tuple(ANY if folded(level) in wanted and not says_something(level) else level for level in pattern)


def folded(text: str) -> str:
    """Return what is left of an id however it is written."""
    return "".join(filter(str.isalnum, text)).casefold()


def fits(pattern: Pattern, levels: Pattern) -> bool:
    """Tell whether levels are those of a pattern."""
    return len(pattern) == len(levels) and all(a in (ANY, b) for a, b in zip(pattern, levels, strict=True))


def sensor_level(pattern: Pattern, topics: list[str], ids: set[str]) -> int | None:
    """Return the level that names the sensor: the one that the payload has too, or else the most telling one."""
    best: tuple[float, int] | None = None
    for at, level in enumerate(pattern):
        if level != ANY:
            continue
        texts = {topic.split("/")[at] for topic in topics}
        before = pattern[at - 1].casefold() if at else ""
        score = 10.0 * (not texts.isdisjoint(ids)) + 2 * (len(texts) > 1) + 0.1 * at
        score += 3 * (before in _BEFORE_SENSORS) - 3 * (before in _BEFORE_OTHERS)
        score -= 2 * all(_OTHERS.fullmatch(text) for text in texts)
        score += sum(any(map(str.isdecimal, text)) for text in texts) / len(texts)
        best = max(best or (score, at), (score, at))
    return best[1] if best else None


def template(
    pattern: Pattern, topics: list[str], sensor: int | None, axis: int | None = None
) -> tuple[str, dict[int, str]]:
    """Return a topic with placeholders, and the name of each: what it is, the word before it, or its number."""
    names: dict[int, str] = {} if sensor is None else {sensor: "sensor"}
    for at, level in enumerate(pattern):
        if level == ANY and at != sensor:
            name = _placeholder(pattern[at - 1].casefold() if at else "", topics[0].split("/")[at])
            names[at] = name if name and name not in names.values() else f"level{at + 1}"
    if axis is not None:
        names[axis] = "axis"
    return "/".join(f"{{{names[at]}}}" if at in names else level for at, level in enumerate(pattern)), names


def ambiguous(topics: list[str], names: dict[int, str], sensor: int | None) -> list[str]:
    """Return the placeholders that are needed to tell sensors apart, if their own level has the same text for two."""
    if sensor is None:
        return []
    open_levels = [at for at, name in sorted(names.items()) if name != "axis"]
    texts = {tuple(topic.split("/")[at] for at in open_levels) for topic in topics}
    if len(texts) == len({topic.split("/")[sensor] for topic in topics}):
        return []
    return [names[at] for k, at in enumerate(open_levels) if at == sensor or len({text[k] for text in texts}) > 1]


def _placeholder(before: str, text: str) -> str:
    word = re.match(r"[a-z]*", text.casefold())
    own = _PLACES.get(word[0]) if word else None
    named = before.removesuffix("s") if _NAME.fullmatch(before) else ""
    return own or _PLACES.get(named, named)


def is_place(text: str) -> bool:
    """Tell whether a level names a gateway or a place rather than a sensor."""
    return bool(_OTHERS.fullmatch(text))


def telling_level(topic: str) -> str:
    """Return the text that says most of a topic on which nothing names a sensor."""
    texts = [text for text in topic.split("/") if text]
    telling = [text for text in texts if text.casefold() not in _WORDS]
    return (telling or texts or ["sensor"])[-1]


def grouped(topics: Iterable[str]) -> dict[str, Counter[str]]:
    """Return topics by what they have in common, as a pattern with + for ids, each with how often it came."""
    found: dict[str, Counter[str]] = {}
    for topic in topics:
        pattern = "/".join("+" if level == ANY else level for level in skeleton(topic))
        found.setdefault(pattern, Counter())[topic] += 1
    return found
