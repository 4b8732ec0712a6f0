"""Rows of tags, each a name and a value: turned into readings of sensors by what the names say.

SenML (RFC 8428) is such rows, with a base name, time, unit and value that hold for the records that follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct

from gateway.domain.inputs.conditions import Conditions
from gateway.domain.inputs.fields import Found, Note, take
from gateway.domain.inputs.numbers import Field, number
from gateway.domain.inputs.paths import ABSENT, Path, find, opened
from gateway.domain.inputs.results import is_axis
from gateway.domain.inputs.wording import Template

MAX_ROWS: Final = 10_000
MAX_NAME: Final = 256
"""Characters of a tag's name."""
MAX_NAMES: Final = 50_000
"""Names that are remembered with what they mean."""
RELATIVE_BELOW: Final = 2**28
"""A time of SenML below this is relative to now (RFC 8428, 4.5.3)."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}")
_SENML_LABELS: Final = {-2: "bn", -3: "bt", -4: "bu", -5: "bv", 0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 6: "t"}


class Tag(Struct, frozen=True):
    """What a name stands for: a quantity, of an axis ("": of all), of the sensor that the name's other parts say."""

    captured: Mapping[str, str]
    axis: str
    field: Field


class RowsSpec(Struct, frozen=True):
    """Where the rows are and what is in one. `tags` has field -> axis and how it is read."""

    names: str
    tags: Mapping[str, tuple[str, Field]]
    each: Path | None = None
    name: Template | None = None
    value: Path = ("value",)
    time: Path | None = None
    unit: Path | None = None
    where: Conditions | None = None
    keep_last: bool = False
    senml: bool = False


class Row(NamedTuple):
    """A row that means something."""

    name: str
    tag: Tag
    value: Any
    time: Any
    unit: str | None
    row: Any


class Rows:
    """Rows as an input reads them."""

    def __init__(self, spec: RowsSpec) -> None:
        self.spec = spec
        self._pattern = pattern_of(spec.names, list(spec.tags))
        self._known: dict[str, Tag | None] = {}

    def tag(self, name: str) -> Tag | None:
        """Return what a name stands for, or None for one that no field is for."""
        if name not in self._known:
            if len(self._known) >= MAX_NAMES:
                self._known.clear()
            self._known[name] = self._read_name(name)
        return self._known[name]

    def _read_name(self, name: str) -> Tag | None:
        found = self._pattern.fullmatch(name) if len(name) <= MAX_NAME else None
        if found is None:
            return None
        captured = found.groupdict()
        axis, field = self.spec.tags[captured.pop("field")]
        axis = axis or captured.get("axis", "")
        return Tag(captured, axis.lower(), field) if is_axis(axis) else None

    def rows(self, message: Any, captured: Mapping[str, str]) -> Iterator[Row | str]:
        """Iterate over the rows that mean something, and the names of those that do not ("" where none is)."""
        listed = self._listed(message)
        if listed is None:
            return
        for row in _senml(listed) if self.spec.senml else listed:
            if self.spec.where and self.spec.where.failing(row, {}):
                yield ""
                continue
            name = self._name(row, captured, message)
            tag = self.tag(name)
            yield (
                name
                if tag is None
                else Row(name, tag, find(row, self.spec.value), self._time(row), self._unit(row), row)
            )

    def _listed(self, message: Any) -> list[Any] | None:
        """Return the rows: an array, or an object whose names are the tags'."""
        found = self._at(message)
        if type(found) is dict:
            found = [
                {**row, "key": name} if type(row) is dict else {"key": name, "value": row}
                for name, row in found.items()
            ]
        return found if type(found) is list else None

    def _at(self, message: Any) -> Any:
        return opened(find(message, self.spec.each)) if self.spec.each else message

    def length(self, message: Any) -> int | None:
        """Return how many rows a message has, or None where it has no place for any."""
        found = self._at(message)
        return len(found) if type(found) in (list, dict) else None

    def _name(self, row: Any, captured: Mapping[str, str], message: Any) -> str:
        return (self.spec.name.filled(captured, (row, message)) if self.spec.name else None) or ""

    def _time(self, row: Any) -> Any:
        return find(row, self.spec.time) if self.spec.time else ABSENT

    def _unit(self, row: Any) -> str | None:
        found = find(row, self.spec.unit) if self.spec.unit else None
        return found if isinstance(found, str) and found else None


def pattern_of(names: str, fields: Sequence[str]) -> re.Pattern[str]:
    """Return the pattern of names such as `Plant.{sensor}.{field}`. Raises ValueError.

    {field} is one of the fields, the longest that fits. What is right before it takes everything that is left; any
    other placeholder ends where the sign behind it comes first, and {rest...} does not.
    """
    parts = _PLACEHOLDER.split(names)
    pattern = re.escape(parts[0])
    for at in range(1, len(parts), 3):
        name, rest, literal = parts[at : at + 3]
        followed = parts[at + 3] if at + 3 < len(parts) else ""
        inner = _inner(name, literal, fields, followed) if not rest else ".+"
        pattern += f"(?P<{name}>{inner}){re.escape(literal)}"
    if "field" not in parts[1::3]:
        raise ValueError(f"{names!r} has no {{field}}")
    if len(set(parts[1::3])) < len(parts[1::3]):
        raise ValueError(f"{names!r} has a placeholder twice")
    return re.compile(pattern, re.DOTALL)


def _inner(name: str, literal: str, fields: Sequence[str], followed: str) -> str:
    if name == "field":
        return "|".join(map(re.escape, sorted(fields, key=len, reverse=True)))
    if followed == "field":
        return ".+?"
    return f"[^{re.escape(literal[0])}]+" if literal else ".+"


def names_in(names: str) -> set[str]:
    """Return the placeholders of a pattern of names."""
    return {found[1] for found in _PLACEHOLDER.finditer(names)}


def read_row(row: Row, found: Found, note: Note) -> None:
    """Keep what a row measured."""
    take(found, row.tag.field, row.value, row.row, note, said=row.unit)


def _senml(records: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Iterate over records with their bases resolved: n, v, u, and t in seconds."""
    base: dict[str, Any] = {}
    for record in records:
        if type(record) is not dict:
            continue
        labelled: dict[Any, Any] = {
            _SENML_LABELS.get(name, name) if type(name) is int else name: each for name, each in record.items()
        }
        base |= {name: labelled[name] for name in ("bn", "bt", "bu", "bv") if name in labelled}
        yield _resolved(labelled, base)


def _resolved(record: dict[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    name = f"{_said(base.get('bn'))}{_said(record.get('n'))}"
    time = (number(base.get("bt")) or 0.0) + (number(record.get("t")) or 0.0)
    unit = record.get("u", base.get("bu"))
    value = record.get("v")
    start = number(base.get("bv"))
    if start is not None and (value is None or type(value) in (int, float)):
        value = start + (number(value) or 0.0)
    return {**record, "n": name, "t": time, "u": unit, "v": value}


def _said(value: Any) -> str:
    return value if isinstance(value, str) else ""
