"""What is in some messages of one kind: every path with its values, and where many sensors share a message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from gateway.domain.inputs.learning.names import meaning_of
from gateway.domain.inputs.paths import Path, opened, shown

MAX_LEAVES: Final = 2000
"""Paths of a message that are looked at, and elements of all messages."""
MAX_CONTAINERS: Final = 200
"""Objects and arrays of a message that may have the elements."""
MAX_DEPTH: Final = 8
MAX_NAME: Final = 120
"""Characters of a name."""
FEW: Final = 3
"""Numbers that an array may have to be one of axes."""

Leaves = dict[Path, list[Any]]
"""Path -> its value in each element that has it: a number, a text, or an array without objects."""


class Elements(NamedTuple):
    """The parts of messages that are read alike. `each` is as the configuration has it, "" for whole messages."""

    each: str
    parts: list[Any]
    keys: list[str]

    @property
    def leaves(self) -> Leaves:
        """Every path of the parts, with its values."""
        return leaves_of(self.parts)


def leaves_of(parts: Iterable[Any]) -> Leaves:
    """Return every path of some parts, with its values, as far as the limit goes."""
    found: Leaves = {}
    for part in parts:
        for path, value in islice(_walk(part, ()), MAX_LEAVES):
            if path in found or len(found) < MAX_LEAVES:
                found.setdefault(path, []).append(value)
    return found


def _walk(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    value = opened(value)
    if isinstance(value, dict) and len(path) < MAX_DEPTH:
        for name, below in value.items():
            if is_addressable(name):
                yield from _walk(below, (*path, str(name)))
    elif isinstance(value, list):
        if path and 1 < len(value) <= FEW and all(_is_number(each) for each in value):
            for at, each in enumerate(value):
                yield (*path, str(at)), each
        elif value and path and not any(isinstance(each, dict | list) for each in value[:FEW]):
            yield path, value
    elif path:
        yield path, value


def is_addressable(name: Any) -> bool:
    """Tell whether a path can have a name in it."""
    text = str(name)
    return 0 < len(text) <= MAX_NAME and text.isprintable() and not any(sign in text for sign in "\"'{}@")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def candidates(messages: list[Any]) -> Iterator[Elements]:
    """Iterate over how messages could be taken apart: whole, by an array of objects, by an object keyed by device."""
    yield Elements("", messages, [])
    for each, arrays in _arrays(messages).items():
        parts = list(islice((part for array in arrays for part in array if isinstance(part, dict)), MAX_LEAVES))
        yield Elements(each or ".", parts, [])
    for path, objects in _keyed(messages).items():
        parts, keys = [], []
        for key, value in ((key, value) for one in objects for key, value in one.items()):
            inner = [part for part in value if isinstance(part, dict)] if isinstance(value, list) else [value]
            parts += inner
            keys += [str(key)] * len(inner)
            if len(parts) > MAX_LEAVES:
                break
        yield Elements(path or "*", parts[:MAX_LEAVES], keys[:MAX_LEAVES])


def _arrays(messages: list[Any]) -> dict[str, list[list[Any]]]:
    """Return every array of objects: its path -> the arrays."""
    found: dict[str, list[list[Any]]] = {}
    for message in messages:
        for path, value in islice(_containers(message, ()), MAX_CONTAINERS):
            if isinstance(value, list) and value and isinstance(value[0], dict):
                found.setdefault(shown(path), []).append(value)
    return found


def _keyed(messages: list[Any]) -> dict[str, list[dict[str, Any]]]:
    """Return every object whose names are those of devices: its path -> the objects."""
    found: dict[str, list[dict[str, Any]]] = {}
    for message in messages:
        for path, value in islice(_containers(message, ()), MAX_CONTAINERS):
            if isinstance(value, dict) and _is_keyed(value):
                found.setdefault(shown(path), []).append(value)
    return found


def _containers(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if len(path) > FEW:
        return
    value = opened(value)
    if isinstance(value, dict):
        yield path, value
        for name, below in value.items():
            if is_addressable(name):
                yield from _containers(below, (*path, str(name)))
    elif isinstance(value, list):
        yield path, value


def _is_keyed(value: dict[str, Any]) -> bool:
    """Tell whether all values are built alike, and no name is one of what is measured or of an axis."""
    values = [each[0] if isinstance(each, list) and each else each for each in value.values()]
    if not values or not all(isinstance(each, dict) for each in values):
        return False
    name, only = next(iter(value.items()))
    if len(values) == 1 and not (isinstance(only, list) and any(map(str.isdecimal, str(name)))):
        return False
    shapes = [set(each) for each in values]
    alike = set.intersection(*shapes)
    return bool(alike) and 2 * len(alike) >= len(shapes[0]) and not any(_is_measured(str(name)) for name in value)


def _is_measured(name: str) -> bool:
    meaning = meaning_of((name,))
    return meaning is not None and bool(meaning.kind or meaning.statistic or meaning.axis)
