"""Paths into a message: names and numbers joined by dots. A name with a dot in it is quoted."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import msgspec

Path = tuple[str, ...]

ABSENT: Final = object()
"""What a path leads to where there is nothing; null is something."""

DEEPEST: Final = 32
"""Names in a path."""

LONGEST_JSON: Final = 64 * 1024
"""Characters of a text that is read as the JSON in it."""
REMEMBERED: Final = 16
"""Texts that are not read again for each path and each element."""

_NAME = re.compile(r"""(?:"([^"]+)"|'([^']+)'|([^."']+))(\.|$)""")
_any_json = msgspec.json.Decoder().decode
_INDEX = re.compile(r"-?[0-9]{1,9}")


def parse(text: str) -> Path:
    """Return the names of a path. Raises ValueError."""
    names: list[str] = []
    at = 0
    while at < len(text):
        found = _NAME.match(text, at)
        if found is None or (found[4] and found.end() == len(text)):
            raise ValueError(f"{text!r} is no path: names and numbers joined by dots; a name with a dot is quoted")
        names.append(found[1] or found[2] or found[3])
        at = found.end()
    if not 0 < len(names) <= DEEPEST:
        raise ValueError(f"a path has 1 to {DEEPEST} names, and {text!r} has {len(names)}")
    return tuple(names)


def shown(path: Path) -> str:
    """Return a path as the configuration has it."""
    return ".".join(f'"{name}"' if "." in name else name for name in path)


def find(value: Any, path: Path) -> Any:
    """Return what a path leads to, or ABSENT."""
    for name in path:
        found = value.get(name, ABSENT) if type(value) is dict else ABSENT
        value = step(value, name) if found is ABSENT else found
        if value is ABSENT:
            return ABSENT
    return value


def opened(value: Any) -> Any:
    """Return the object or array whose text a value is, as those have it who pass messages on; else the value."""
    if type(value) is not str or len(value) > LONGEST_JSON or not value.lstrip().startswith(("{", "[")):
        return value
    return _from_json(value)


@lru_cache(maxsize=REMEMBERED)
def _from_json(text: str) -> Any:
    try:
        return _any_json(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def is_index(name: str) -> bool:
    """Tell whether a name may be a place in an array, or a number that is a name."""
    return _INDEX.fullmatch(name) is not None


def step(value: Any, name: str) -> Any:
    """Return the member of an object or array, or ABSENT. MessagePack and CBOR have numbers as names too."""
    if type(value) is str:
        value = opened(value)
    if type(value) is dict:
        found = value.get(name, ABSENT)
        return value.get(int(name), ABSENT) if found is ABSENT and _INDEX.fullmatch(name) else found
    if type(value) is list and _INDEX.fullmatch(name):
        index = int(name)
        return value[index] if -len(value) <= index < len(value) else ABSENT
    return ABSENT
