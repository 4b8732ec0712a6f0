"""What names the sensor: a level of the topic, something in the message, or both."""

from __future__ import annotations

from typing import Final

from gateway.domain.inputs.learning import topic_levels as levels
from gateway.domain.inputs.learning.families import MessageFamily
from gateway.domain.inputs.learning.identity import id_paths, is_small, looks_like_id
from gateway.domain.inputs.learning.leaves import Elements, Leaves, leaves_of
from gateway.domain.inputs.learning.proposal import Proposal
from gateway.domain.inputs.paths import Path, shown

MANY_DIGITS: Final = 3
"""A number with fewer is one of a few, and the topic says more."""

Said = list[tuple[Path, set[str]]]
"""Paths that may name the sensor, the best first, with their texts."""


def name(one: Proposal, family: MessageFamily, elements: Elements, *, said: bool, axis: int | None = None) -> None:
    """Settle the topic, and what names the sensor if the names of the rows do not."""
    parts = elements.leaves if elements.each and one.rows is None else {}
    several = bool(parts)
    found = _ids(family, elements, parts, several=several)
    pattern = levels.opened(family.pattern, found[0][1] if found else set())
    level = levels.sensor_level(pattern, family.topics, set().union(*(texts for _, texts in found)))
    topic, names = levels.template(pattern, family.topics, level, axis)
    one.topics = [topic]
    if said:
        return
    if elements.keys and one.rows is None:
        one.sensor = "{key}"
        return
    in_topic = "" if level is None else names[level]
    heard = set() if level is None else {each.split("/")[level] for each in family.topics}
    found = [each for each in found if not _is_common(heard, each[1])]
    one.sensor = _sensor(in_topic, heard, found, several=several) + (_axis(parts) if several else "")
    if one.sensor in ("", f"{{{in_topic}}}") and (varying := levels.ambiguous(family.topics, names, level)):
        one.sensor = "/".join(f"{{{each}}}" for each in varying)
    if not one.sensor and level is None:
        one.sensor, one.sensor_why = levels.telling_level(family.topics[0]), "nothing that was heard names the sensor"


def _ids(family: MessageFamily, elements: Elements, parts: Leaves, *, several: bool) -> Said:
    whole = leaves_of(family.values)
    paths = [path for _, path in id_paths(parts or whole, len(elements.parts), shared=several)]
    paths += [path for _, path in id_paths(whole, len(family.messages), shared=False) if parts]
    return [(path, {str(value) for value in [*parts.get(path, []), *whole.get(path, [])]}) for path in paths]


def _is_common(heard: set[str], texts: set[str]) -> bool:
    """Tell whether a word is the same on several sensors' topics: it says what they are, and not which."""
    return len(heard) > 1 and len(texts) == 1 and not looks_like_id(min(texts))


def _axis(parts: Leaves) -> str:
    """Return the end of the id of elements of which each is one axis of the sensor."""
    for path, values in parts.items():
        if path[-1].casefold() == "axis" and all(str(value).casefold() in ("x", "y", "z") for value in values):
            return f"-{{{shown(path)}}}"
    return ""


def _sensor(in_topic: str, heard: set[str], said: list[tuple[Path, set[str]]], *, several: bool) -> str:
    """Return what names the sensor: the topic's level, what the message says, or both; "" for {sensor} of the topic."""
    of_topic_ = "" if in_topic in ("", "sensor") else f"{{{in_topic}}}"
    if not said:
        return of_topic_
    path, texts = said[0]
    folded = {levels.folded(text) for text in heard}
    if in_topic and not several:
        if not folded.isdisjoint(map(levels.folded, texts)) or all(
            text.isdecimal() and len(text) < MANY_DIGITS for text in texts
        ):
            return of_topic_
        if all(is_small(text) for text in texts) and not all(levels.is_place(text) for text in heard):
            return f"{{{in_topic}}}-{{{shown(path)}}}"
        if any(not folded.isdisjoint(map(levels.folded, each)) for _, each in said):
            return of_topic_
    if in_topic and all(is_small(text) for text in texts) and not all(levels.is_place(text) for text in heard):
        return f"{{{in_topic}}}-{{{shown(path)}}}"
    return f"{{{shown(path)}}}"
