"""What a payload is, told by its look: the formats that an input can have, and what is inside of none of them."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from gateway.domain.inputs.formats import UnreadableError, read, unzipped
from gateway.domain.inputs.learning.identity import time_of

LARGEST: Final = 1024 * 1024
"""Bytes of a payload that is looked at."""
FEWEST_CELLS: Final = 3
"""Of a line of CSV: two are rather a number with a decimal comma."""

LONGEST_VALUE: Final = 60
"""Characters of a payload that is one value."""

_VALUE = re.compile(
    r'"?[-+]?\d{0,30}[.,]?\d{1,30}(?:[eE][-+]?\d{1,3})?"?(?:\s+[^\s\d"]\S{0,15})?'
    r"|nan|unknown|unavailable|online|offline|on|off",
    re.IGNORECASE,
)
_LINE = re.compile(r"[^\s,=]{1,200}(?:,[^\s,=]{1,200}=[^\s,=]{1,200}){0,50} [^\s=]{1,200}=\S")
_PAIRS = re.compile(r"\s{0,9}[A-Za-z_][\w .%/-]{0,60}[=:|]")
"""How a line begins; each repetition is bounded, for what is heard can be anything."""
_NUMBER = re.compile(r"[-+]?\d{0,30}\.?\d{1,30}(?:[eE][-+]?\d{1,3})?")
MAX_CELLS: Final = 1000
"""Of a line of CSV."""
_MSGPACK: Final = (*range(0x80, 0xA0), 0xDC, 0xDD, 0xDE, 0xDF)
_CBOR: Final = (*range(0x81, 0xBC), 0xBF)
"""How arrays and objects begin; some of CBOR's arrays begin as MessagePack does."""
DEEPEST: Final = 8
MOST_MEMBERS: Final = 100
"""Of binary objects and arrays that are looked into."""


class Recognised(NamedTuple):
    """A payload as its format reads it. `columns` are those of CSV without a line that names them."""

    format: str
    value: Any
    columns: tuple[str, ...] = ()


def recognised(topic: str, payload: bytes) -> Recognised | None:
    """Return what a payload is, or None where no format is certain. Sparkplug is told by its topic only."""
    if topic.startswith("spBv1.0/"):
        return Recognised("sparkplug", payload)
    if len(payload) > LARGEST:
        return None
    try:
        data = unzipped(payload)
    except UnreadableError:
        return None
    for format_ in _likely(data):
        if (found := _read(format_, data)) is not None:
            return found
    return None


def _likely(data: bytes) -> list[str]:
    """Return the formats to try, by the first byte and by what signs there are."""
    first = data.lstrip()[:1]
    if first in (b"{", b"["):
        return ["json", "python"]
    packed = {"msgpack": _MSGPACK, "cbor": _CBOR}
    if found := [name for name, begins in packed.items() if data and data[0] in begins]:
        return found
    text = data.decode(errors="replace").strip(" \t\r\n\0")
    return [] if "\ufffd" in text or not text else _of_text(text)


def _of_text(text: str) -> list[str]:
    line = text.split("\n", 1)[0]
    if len(text) <= LONGEST_VALUE and _VALUE.fullmatch(text):
        return ["value"]
    if _LINE.match(line):
        return ["line"]
    if _is_csv(text, _cells(line)):
        return ["csv"]
    return ["pairs"] if _PAIRS.match(line) else []


def _cells(line: str) -> list[str]:
    """Return the cells of a line; where another sign is between them, a comma is a number's."""
    signs = [sign for sign in ";\t|" if line.count(sign) >= FEWEST_CELLS - 1]
    return line.split(signs[0]) if signs else line.split(",")


def _is_csv(text: str, cells: list[str]) -> bool:
    """Tell whether a line has cells of which some are numbers, or names that numbers follow below."""
    if not FEWEST_CELLS <= len(cells) <= MAX_CELLS or any(sign in text for sign in "={}"):
        return False
    numbers = [bool(_NUMBER.fullmatch(cell.strip().replace(",", "."))) for cell in cells]
    if "|" in text and numbers[::2] != numbers[1::2] and not any(numbers[::2]):
        return False
    return any(numbers) or "\n" in text


def _read(format_: str, data: bytes) -> Recognised | None:
    columns = _columns(data) if format_ == "csv" else ()
    try:
        value = read(format_, data, columns)
    except UnreadableError:
        return None
    if format_ in ("msgpack", "cbor") and not _is_telling(value):
        return None
    return Recognised(format_, value, columns) if isinstance(value, dict | list) else None


def _is_telling(value: Any, depth: int = 0) -> bool:
    """Tell whether objects and arrays have a name, a text or a float in them: bytes of no format hardly do."""
    if isinstance(value, dict):
        if not all(isinstance(name, str | int) for name in value):
            return False
        members = [*value, *value.values()]
    else:
        members = value if isinstance(value, list) else []
    nested = members[:MOST_MEMBERS] if depth < DEEPEST else []
    return any(bool(each) if isinstance(each, str) else isinstance(each, float) for each in members) or any(
        _is_telling(each, depth + 1) for each in nested
    )


def _columns(data: bytes) -> tuple[str, ...]:
    """Return names for the columns of CSV, unless its first line has some: time, id, and c1, c2, ... for the others."""
    lines = data.decode(errors="replace").strip().splitlines()
    cells = [cell.strip() for cell in _cells(lines[0])]
    if not any(_NUMBER.fullmatch(cell.replace(",", ".")) for cell in cells):
        return ()
    names = [_column(cell, at) for at, cell in enumerate(cells, start=1)]
    return tuple(name if name not in names[:at] else f"c{at + 1}" for at, name in enumerate(names))


def _column(cell: str, at: int) -> str:
    if time_of(cell) is not None:
        return "time"
    return f"c{at}" if _NUMBER.fullmatch(cell.replace(",", ".")) else "id"
