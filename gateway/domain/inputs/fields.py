"""Compiled paths: a message -> what each axis measured. Parents that several paths share are looked up once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from gateway.domain.inputs.numbers import (
    LARGEST,
    LEVEL,
    Field,
    UnknownUnitError,
    apart,
    canonical_symbol,
    measured,
    measured_in,
    number,
    part,
    unit_said,
)
from gateway.domain.inputs.paths import ABSENT, Path, find, is_index, opened, step

UNIT: Final = "\0unit"
"""Under this name stands the unit of a level that the message itself says: (canonical, its own)."""

XYZ: Final = ("x", "y", "z")

Found = dict[str, Any]
Note = Callable[[str], None]


_Plain = tuple[str, int, str, float, float, Field]
"""Key, slot, name on the wire, factor, offset, and the field. To unpack a NamedTuple takes several times as long."""


class _Special(NamedTuple):
    key: str
    slot: int
    axis: str
    field: Field


_Parent = tuple[Path, bool, list[_Plain], list[_Special]]
"""A path, whether a name of it may be a place in an array, and what is below it."""


def axis_names(axes: Sequence[str]) -> list[str]:
    """Return what axes are called: in lower case, and x, y, z for the places 0, 1, 2 of an array."""
    if list(axes) == [str(at) for at in range(len(axes))] and len(axes) <= len(XYZ):
        return list(XYZ[: len(axes)])
    return [axis.lower() for axis in axes]


class Extraction:
    """Fields for some axes ("" alone: the sensor has none).

    `read` returns what each axis measured and, after them, what belongs to all of them. `columns`: values are arrays,
    of which one reading after the other takes its own.
    """

    def __init__(self, fields: Sequence[Field], axes: Sequence[str] = ("",), *, columns: bool = False) -> None:
        self.axes = axes
        self.names = [name or None for name in axis_names(axes)]
        self.has_level = any(field.quantity == LEVEL for field in fields)
        self.unit, self.sensor_unit = level_units(fields)
        self._shared = len(axes)
        self._columns = columns
        self._parents: dict[Path, _Parent] = {}
        alone = len(axes) == 1
        for field in fields:
            for slot, axis in enumerate(axes) if field.has_axis or alone else [(self._shared, "")]:
                self._add(field, slot, axis)
        self._plan = list(self._parents.values())

    def _add(self, field: Field, slot: int, axis: str) -> None:
        *parent, key = field.of_axis(axis)
        path = tuple(parent)
        _, _, plain, special = self._parents.setdefault(path, (path, any(map(is_index, path)), [], []))
        if self._columns or not field.is_plain or is_index(key):
            special.append(_Special(key, slot, axis, field))
            return
        _, unit = measured_in(field.quantity, field.unit)
        offset = field.offset * unit.factor + unit.offset
        plain.append((key, slot, field.wire, field.scale * unit.factor, offset, field))

    def paths(self) -> list[Path]:
        """Return every path, as it is looked up."""
        keys = [(path, leaf[0]) for path, _, plain, _ in self._plan for leaf in plain]
        keys += [(path, leaf.key) for path, _, _, special in self._plan for leaf in special]
        return [(*path, key) for path, key in keys]

    def read(self, element: Any, note: Note, at: int = 0) -> list[Found]:
        """Return quantity -> value for each axis, and for all of them."""
        found: list[Found] = [{} for _ in range(self._shared + 1)]
        for path, is_indexed, plain, special in self._plan:
            node = element
            for name in path:
                node = node.get(name, ABSENT) if type(node) is dict and not is_indexed else step(node, name)
            if type(node) is str:
                node = opened(node)
            if plain and type(node) is dict:
                _read_plain(plain, node, found, note)
            for leaf in special:
                self._read_special(leaf, (node, element, at), found[leaf.slot], note)
        return found

    def _read_special(self, leaf: _Special, where: tuple[Any, Any, int], found: Found, note: Note) -> None:
        node, element, at = where
        raw = step(node, leaf.key)
        if self._columns and type(raw) is list:
            raw = raw[at] if at < len(raw) else ABSENT
        take(found, leaf.field, part(leaf.field, raw, leaf.axis), element, note)

    def is_there(self, element: Any) -> bool:
        """Tell whether a message has any of the paths, with a value or without."""
        return any(find(element, path) is not ABSENT for path in self.paths())

    def length(self, element: Any) -> int:
        """Return how many readings columns make; 1 where there is none."""
        columns = (find(element, path) for path in self.paths())
        return max((len(column) for column in columns if type(column) is list), default=1)


def _read_plain(
    leaves: list[_Plain], node: dict[str, Any], found: list[Found], note: Note, largest: float = LARGEST
) -> None:
    """Read what is only a factor and an offset away: this is where the time of most messages goes."""
    get = node.get
    for key, slot, wire, factor, offset, field in leaves:
        raw = get(key)
        if type(raw) is not float:
            said, raw = raw, number(raw)
            if raw is None:
                if type(said) is str:
                    take(found[slot], field, said, node, note)
                continue
        value = raw * factor + offset
        if -largest < value < largest:
            found[slot][wire] = value


def take(found: Found, field: Field, raw: Any, element: Any, note: Note, *, said: str | None = None) -> None:
    """Keep a value as the sensor sent it. A unit behind the number goes before one that is said elsewhere."""
    raw, own = apart(raw)
    value = measured(field, raw, element)
    if value is not None:
        put(found, field, value, own or unit_said(field, element, said), note)


def put(found: Found, field: Field, value: float, said: str | None, note: Note) -> None:
    """Keep a value in its canonical unit. One in an unknown unit is none, and that is said."""
    try:
        kind, unit = measured_in(field.quantity, said)
    except UnknownUnitError as error:
        note(str(error))
        return
    value = unit.canonical(value)
    if not -LARGEST < value < LARGEST:
        return
    found[field.wire] = value
    if field.quantity == LEVEL:
        found[UNIT] = canonical_symbol(kind), unit.symbol


def level_units(fields: Sequence[Field]) -> tuple[str, str]:
    """Return the unit that a level is kept in, and the sensor's own, as the configuration has them."""
    said = next((field.unit for field in fields if field.quantity == LEVEL), None)
    kind, unit = measured_in(LEVEL, said)
    return canonical_symbol(kind), unit.symbol
