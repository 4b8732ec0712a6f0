"""The layout of tables: no word, name, time or id is broken, however narrow the terminal is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from gateway.domain.model.timefmt import zone_name

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line separators, and marks that turn the direction of the text around."""
_BETWEEN = 2
_ROOM = 30
"""A text that has less room than this beside its row stands below it."""
_SHORT_ID = 8


class Id(str):
    """An identifier: a table shows its beginning, as much as tells it from the others there."""

    __slots__ = ()


@dataclass
class _Column:
    name: str
    heading: str
    texts: list[str]
    is_number: bool = False
    is_whole: bool = False

    def __post_init__(self) -> None:
        self.width = max(map(cell_len, (self.heading, *self.texts)))
        longest = max(cell_len(word) for text in (self.heading, *self.texts) for word in text.split() or [""])
        self.least = self.width if self.is_whole else longest


def lines(
    names: Sequence[str], rows: Sequence[Sequence[object]], width: int, below: Sequence[str], spare: Sequence[str]
) -> Iterator[str]:
    """Yield the heading of a table and its rows. A column without any value is left out.

    Where `width` is too narrow, the texts of `below` have lines of their own below their rows; then the columns of
    `spare` are left out, the first ones first; then texts take several lines.
    """
    every = [_column(name, [row[index] for row in rows]) for index, name in enumerate(names)]
    columns = [column for column in every if any(text != "-" for text in column.texts)]
    apart = _narrowed(columns, width, below, spare)
    yield from _row(columns, [column.heading for column in columns])
    for index in range(len(rows)):
        yield from _row(columns, [column.texts[index] for column in columns])
        for text in (column.texts[index] for column in apart):
            if text != "-":
                yield from ("    " + line for line in _wrapped(text, width - 4))


def shown(value: object) -> str:
    """Return a value as text that cannot command a terminal."""
    if value is None or value == "":
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} {zone_name(value)}"
    return inert(str(value)).replace("\n", "\\x0a")


def inert(text: str) -> str:
    """Return text with its control characters made visible."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def escaped(json: str) -> str:
    """Return JSON with the same characters escaped."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", json)


def short_time(time: datetime, now: datetime) -> str:
    """Return a time to the second: `21:30:05` today, `17 Jan 21:30:05` this year, else `2025-01-17 21:30:05`."""
    if time.date() == now.date():
        return f"{time:%H:%M:%S}"
    return f"{time.day:2} {time:%b %H:%M:%S}" if time.year == now.year else f"{time:%Y-%m-%d %H:%M:%S}"


def _column(name: str, values: Sequence[object]) -> _Column:
    """Return a column; the zone of its times stands in the heading, if it is the same for all of them."""
    is_number = all(isinstance(value, int | float | None) for value in values)
    times = [value for value in values if isinstance(value, datetime)]
    zones = {zone_name(time) for time in times}
    if times:
        texts = [_time(value, with_zone=len(zones) > 1) for value in values]
        return _Column(name, name if len(zones) > 1 else f"{name} {zones.pop()}", texts, is_whole=True)
    length = _id_length([value for value in values if isinstance(value, Id)])
    texts = [shown(value[:length] if isinstance(value, Id) else value) for value in values]
    return _Column(name, name, texts, is_number, is_whole=is_number)


def _time(value: object, *, with_zone: bool) -> str:
    if not isinstance(value, datetime):
        return shown(value)
    text = short_time(value, datetime.now(value.tzinfo))
    return f"{text} {zone_name(value)}" if with_zone else text


def _id_length(ids: Sequence[str]) -> int:
    """Return how much of each id tells it from the others."""
    length, different = _SHORT_ID, len(set(ids))
    while len({id_[:length] for id_ in ids}) < different:
        length += 1
    return length


def _narrowed(columns: list[_Column], width: int, below: Sequence[str], spare: Sequence[str]) -> list[_Column]:
    """Fit columns into a width; return those whose texts stand below the rows, which are columns no more."""
    apart = [column for column in columns if column.name in below]
    if apart and _excess(columns, width) > max(apart[-1].width - max(_ROOM, apart[-1].least), 0):
        columns[:] = [column for column in columns if column not in apart]
    elif apart:
        apart[-1].width -= max(_excess(columns, width), 0)
        return []
    for name in spare:
        if _excess(columns, width) > 0:
            columns[:] = [column for column in columns if column.name != name]
    for column in sorted(columns, key=lambda column: column.least - column.width):
        column.width -= min(max(_excess(columns, width), 0), column.width - column.least)
    return apart


def _excess(columns: Sequence[_Column], width: int) -> int:
    return sum(column.width + _BETWEEN for column in columns) - _BETWEEN - width


def _row(columns: Sequence[_Column], texts: Sequence[str]) -> Iterator[str]:
    wrapped = [
        _wrapped(text, column.width) if cell_len(text) > column.width else [text]
        for column, text in zip(columns, texts, strict=True)
    ]
    for parts in zip_longest(*wrapped, fillvalue=""):
        cells = [
            " " * (column.width - cell_len(part)) + part if column.is_number else set_cell_size(part, column.width)
            for column, part in zip(columns, parts, strict=True)
        ]
        yield (" " * _BETWEEN).join(cells).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text: broken at spaces, and within a word only where that is longer than a line."""
    return [line.plain.rstrip() for line in Text(text).wrap(Console(width=width), max(width, 1))]
