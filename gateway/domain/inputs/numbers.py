"""What a sensor says -> numbers in canonical units. What is no finite number is none."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from msgspec import Struct

from gateway.domain.inputs.paths import ABSENT, Path, find
from gateway.domain.model.quantities import BY_KEY, UNITS, Kind, Unit, spelling, unit_of, vibration_unit

LEVEL: Final = "level"
LEVEL_WIRE: Final = "vibrationLevel"
"""The level's name in the configuration, and in the event."""
LARGEST: Final = 1e300
"""No quantity is as large; beyond it arithmetic leads to infinity."""
LONGEST_NUMBER: Final = 64
"""Characters of a number in a text."""
GREATEST_EXPONENT: Final = 30

UNITLESS: Final = Unit("")
"""Of a level that its sensor gives in no unit: it is compared with itself only."""

_COMMA = re.compile(r"[-+]?[0-9]+,[0-9]+")
_WITH_UNIT = re.compile(
    r"([-+]?[0-9]*[.,]?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(?![eE][-+]?[0-9])((?:[^\W\d_]|[°º%])\S{0,15})"
)


class Field(Struct, frozen=True):
    """How a quantity is read. `path` may have {axis} in it; `unit` or `unit_path` is what the sensor measures in.

    value = raw * scale * 10 ** exponent + offset, in the sensor's unit. `item` is the number of the part, if the text
    is split, or one for each axis.
    """

    quantity: str
    path: Path
    scale: float = 1.0
    offset: float = 0.0
    exponent: Path | None = None
    missing: frozenset[float] = frozenset()
    split: str = ""
    item: int | dict[str, int] = 0
    unit: str | None = None
    unit_path: Path | None = None

    @property
    def wire(self) -> str:
        """Its name in the event."""
        return LEVEL_WIRE if self.quantity == LEVEL else BY_KEY[self.quantity].wire

    @property
    def is_plain(self) -> bool:
        """Whether it is nothing but a factor and an offset away from what is measured."""
        return not (self.exponent or self.missing or self.split or self.unit_path)

    @property
    def has_axis(self) -> bool:
        """Whether each axis has its own."""
        return isinstance(self.item, dict) or any("{axis}" in name for name in self.path)

    def of_axis(self, axis: str) -> Path:
        """Return the path for an axis, as the configuration spells it."""
        return tuple(name.replace("{axis}", axis) for name in self.path)


class UnknownUnitError(ValueError):
    """A unit that this quantity is not measured in."""


def measured_in(quantity: str, unit: str | None) -> tuple[Kind | None, Unit]:
    """Return what kind of unit a quantity has, and the unit. Raises UnknownUnitError: it is not guessed."""
    if quantity != LEVEL:
        kind = BY_KEY[quantity].kind
        found = UNITS[kind][0] if unit is None else unit_of(kind, unit)
        if found is not None:
            return kind, found
    elif unit is None:
        return "acceleration", UNITS["acceleration"][0]
    elif not spelling(unit):
        return None, UNITLESS
    elif level := vibration_unit(unit):
        return level
    raise UnknownUnitError(f"{quantity} is not measured in {unit!r}; its units are {_known(quantity)}")


def _known(quantity: str) -> str:
    kinds: tuple[Kind, ...] = (
        ("acceleration", "velocity", "displacement") if quantity == LEVEL else (BY_KEY[quantity].kind,)
    )
    return ", ".join(unit.symbol or '""' for kind in kinds for unit in UNITS[kind])


def canonical_symbol(kind: Kind | None) -> str:
    """Return what is stored for a kind of unit."""
    return UNITS[kind][0].symbol if kind else ""


def number(raw: Any) -> float | None:
    """Return a finite number that was sent as such or as text, or None."""
    if type(raw) is float:
        return raw if -LARGEST < raw < LARGEST else None
    if type(raw) is int:
        return float(raw) if -LARGEST < raw < LARGEST else None
    if type(raw) is str:
        return _from_text(raw)
    if isinstance(raw, Decimal | Fraction):
        return _from_rational(raw)
    return None


def _from_text(text: str) -> float | None:
    text = text.strip()
    if not 0 < len(text) <= LONGEST_NUMBER or not text.isascii() or "_" in text:
        return None
    try:
        found = float(text.replace(",", ".") if _COMMA.fullmatch(text) else text)
    except ValueError:
        return None
    return found if -LARGEST < found < LARGEST else None


def _from_rational(raw: Decimal | Fraction) -> float | None:
    try:
        found = float(raw)
    except (OverflowError, ValueError, ArithmeticError):
        return None
    return found if -LARGEST < found < LARGEST else None


def apart(raw: Any) -> tuple[Any, str | None]:
    """Return a value without the unit that stands behind it, and the unit: `2.4 mm/s`; without one as it is."""
    if type(raw) is not str or len(raw) > LONGEST_NUMBER or _from_text(raw) is not None:
        return raw, None
    found = _WITH_UNIT.fullmatch(raw.strip())
    return (found[1], found[2]) if found else (raw, None)


def measured(field: Field, raw: Any, element: Any) -> float | None:
    """Return the value in the sensor's unit, or None where the sensor gives none."""
    found = number(raw)
    if found is None or found in field.missing:
        return None
    found = _raised(found * field.scale, field, element)
    if found is None:
        return None
    found += field.offset
    return found if -LARGEST < found < LARGEST else None


def part(field: Field, raw: Any, axis: str) -> Any:
    """Return the value that is meant where a text has several."""
    if not field.split:
        return raw
    if not isinstance(raw, str):
        return None
    item = field.item.get(axis, -1) if isinstance(field.item, dict) else field.item
    parts = raw.split(field.split)
    return parts[item] if 0 <= item < len(parts) else None


def _raised(value: float, field: Field, element: Any) -> float | None:
    if field.exponent is None:
        return value
    exponent = number(find(element, field.exponent))
    if exponent is None or not exponent.is_integer() or abs(exponent) > GREATEST_EXPONENT:
        return None
    power = float(10.0 ** abs(exponent))
    return value * power if exponent >= 0 else value / power


def unit_said(field: Field, element: Any, said: str | None = None) -> str | None:
    """Return the unit of a value: the configuration's, else what the message says of it, else None: the canonical."""
    if field.unit is not None:
        return field.unit
    if field.unit_path is not None:
        found = find(element, field.unit_path)
        return found if isinstance(found, str) else None if found in (ABSENT, None) else ""
    return said
