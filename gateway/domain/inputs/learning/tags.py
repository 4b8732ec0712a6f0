"""Rows of tags, each a name and a value: which names they have in common, what varies, and what each measures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Any, Final, NamedTuple

from gateway.domain.inputs.learning.identity import good_values, guessed_time, id_paths, looks_like_id
from gateway.domain.inputs.learning.leaves import MAX_LEAVES, Elements, Leaves, is_addressable
from gateway.domain.inputs.learning.names import Meaning, meaning_of
from gateway.domain.inputs.learning.proposal import RowsGuess
from gateway.domain.inputs.learning.quantities import (
    Guess,
    acceleration_unit,
    is_measured_in,
    is_unit_name,
    number_in,
    role_of,
)
from gateway.domain.inputs.paths import Path, find, shown
from gateway.domain.model.quantities import unit_of, vibration_unit

_VALUES: Final = ("v", "value", "val", "datavalue", "tagvalue", "reading", "vb", "numericvalue")
_SEPARATORS = re.compile(r"[./:|\\_\- ]")
_SEGMENTS = re.compile(r"[./|\\]")
_NO_FIELD = re.compile(r"\d{4,}|[0-9a-f]{8,}")
MAX_NESTED: Final = 2
"""Names of a path to the value: OPC UA has it in a value with its status and its time."""
MAX_MEMBERS: Final = 20
"""Objects in a message that may be those of tags."""
MAX_TAG: Final = 200
"""Characters of a tag's name that is looked at."""


class _Tag(NamedTuple):
    before: str
    field: str
    meaning: Meaning
    role: str
    value: float


def guessed_rows(elements: Elements, received_us: int) -> tuple[RowsGuess, bool] | None:
    """Return how rows are read, and whether their names say the sensor; None for what are no rows of tags."""
    senml = any("bn" in part or "bt" in part for part in elements.parts)
    elements = elements._replace(parts=_resolved(elements.parts)) if senml else elements
    leaves = elements.leaves
    value = min((path for path in leaves if _is_value(path)), key=len, default=None)
    if value is None:
        return None
    unit = next((path for path in leaves if len(path) == 1 and is_unit_name(path[0])), None)
    axis = next((path for path, values in leaves.items() if _says_axes(path, values)), None)
    parts = [_with_axis(part, axis[0], unit) for part in elements.parts if axis[0] in part] if axis else elements.parts
    name, tags = _named(parts, leaves, value, unit)
    if not tags:
        return None
    settings: dict[str, Any] = {} if elements.each == "" else {"each": elements.each}
    names, prefixed = _names(tags)
    settings |= {"name": f"{{{shown(name)}}}_{{{shown(axis)}}}" if axis else shown(name), "value": value}
    if not prefixed and not axis and (source := _source(leaves, name, len(elements.parts))):
        settings["name"] = f"{{{shown(source)}}}.{{{shown(name)}}}"
        names, prefixed = "{sensor}.{field}", True
    if senml:
        settings["senml"] = True
    else:
        settings |= _settings(leaves, unit, received_us)
    settings["names"] = names
    return RowsGuess(settings, _fields(tags, leaves, said=unit is not None)), prefixed


def tag_objects(values: list[Any]) -> Iterator[Elements]:
    """Iterate over objects, messages or members of them, whose names are those of tags of several sensors, as rows."""
    objects = [value for value in values if isinstance(value, dict)]
    members = {
        name for one in objects for name, below in one.items() if isinstance(below, dict) and is_addressable(name)
    }
    for each in ("", *sorted(members)[:MAX_MEMBERS]):
        held = (one.get(each) if each else one for one in objects)
        named = ((tag, value) for one in held if isinstance(one, dict) for tag, value in one.items())
        pairs = [{"key": str(tag), "value": value} for tag, value in islice(named, MAX_LEAVES)]
        tags = [tag_of(pair["key"], 0.0, "") for pair in pairs if number_in(pair["value"]) is not None]
        if len({tag.before for tag in tags if tag is not None and tag.before}) > 1:
            yield Elements(shown((each,)) if each else "", pairs, [])


def _resolved(parts: list[Any]) -> list[Any]:
    """Return SenML's records with the base name and the base unit that hold for them (RFC 8428, 4.1)."""
    found, name, unit = [], "", ""
    for part in parts:
        name, unit = str(part.get("bn", name)), str(part.get("bu", unit))
        found.append({"n": name + str(part.get("n", "")), "u": part.get("u", unit), "v": part.get("v")})
    return found


def _is_value(path: Path) -> bool:
    return len(path) <= MAX_NESTED and all(name.casefold() in _VALUES for name in path)


def _says_axes(path: Path, values: list[Any]) -> bool:
    return len(path) == 1 and all(str(value).casefold() in ("x", "y", "z") for value in values)


def _with_axis(part: dict[str, Any], axis: str, unit: Path | None) -> dict[str, Any]:
    """Return a row whose texts end with its axis, as its name will be put together."""
    return {
        name: f"{value}_{part[axis]}" if isinstance(value, str) and name != axis and (name,) != unit else value
        for name, value in part.items()
    }


def _settings(leaves: Leaves, unit: Path | None, received_us: int) -> dict[str, Any]:
    time = guessed_time(leaves, received_us)
    good = {shown(path): values[0] if len(values) == 1 else values for path, values in good_values(leaves).items()}
    found = {"time": time.path if time and not time.format else None, "unit": unit, "where": good}
    return {name: value for name, value in found.items() if value}


def _named(parts: list[Any], leaves: Leaves, value: Path, unit: Path | None) -> tuple[Path, list[_Tag]]:
    """Return the path of the names, and what they say: that which most of the texts make quantities of."""
    best: tuple[Path, list[_Tag]] = ((), [])
    for path, texts in leaves.items():
        if len(path) == 1 and path != unit and isinstance(texts[0], str):
            tags = [tag for part in parts if (tag := _tag(part, path[0], value, unit[0] if unit else "")) is not None]
            best = max(best, (path, tags), key=lambda each: len({tag.field for tag in each[1]}))
    return best


def _tag(part: dict[str, Any], name: str, value: Path, unit: str) -> _Tag | None:
    text, number, said = part.get(name), number_in(find(part, value)), part.get(unit)
    if not isinstance(text, str) or number is None:
        return None
    return tag_of(text, number, said if isinstance(said, str) else "")


def tag_of(name: str, value: float, unit: str) -> _Tag | None:
    """Split a name into what is before its field, and the field: the one with the fewest words that say nothing."""
    best: tuple[tuple[int, int], _Tag] | None = None
    if len(name) > MAX_TAG:
        return None
    for cut in (0, *(match.end() for match in _SEPARATORS.finditer(name))):
        meaning = None if _NO_FIELD.search(name[cut:]) else meaning_of((name[cut:],))
        role = _role(meaning, unit) if meaning else ""
        if meaning is not None and role and (not unit or is_measured_in(role, unit)):
            found = (meaning.rest, cut), _Tag(name[:cut], name[cut:], meaning, role, value)
            best = found if best is None or found[0] < best[0] else best
    return best[1] if best else None


def _role(meaning: Meaning, unit: str) -> str:
    if (role := role_of(meaning)) or not unit or meaning.kind or meaning.rest:
        return role
    if unit_of("temperature", unit):
        return "temperature" if not meaning.axis else ""
    kind = (vibration_unit(unit) or ("", None))[0]
    return {"acceleration": "level", "velocity": "velocity_rms"}.get(kind, "") if meaning.axis else ""


def _names(tags: list[_Tag]) -> tuple[str, bool]:
    """Return the pattern of the names, and whether it says the sensor; what begins like no id is all field."""
    if not all(tag.before and (looks_like_id(tag.before[:-1]) or _SEGMENTS.search(tag.before)) for tag in tags):
        tags[:] = [_whole(tag) for tag in tags]
        return "{field}", False
    befores = sorted({tag.before for tag in tags})
    separator = befores[0][-1]
    parts = [_SEGMENTS.split(before[:-1]) for before in befores]
    if len(parts) > 1:
        common = sum(1 for _ in takewhile(lambda each: len(set(each)) == 1, zip(*parts, strict=False)))
    else:
        telling = [at for at, part in enumerate(parts[0]) if re.search(r"\d", part)]
        common = telling[-1] if telling else max(0, len(parts[0]) - 1)
    literal = befores[0][: sum(len(part) + 1 for part in parts[0][:common])]
    if set(literal) & set("{}"):
        return f"{{sensor}}{separator}{{field}}", True
    return f"{literal}{{sensor}}{separator}{{field}}", True


def _whole(tag: _Tag) -> _Tag:
    field = tag.before + tag.field
    meaning = meaning_of((field,))
    return tag._replace(before="", field=field, meaning=meaning or tag.meaning)


def _source(leaves: Leaves, name: Path, count: int) -> Path | None:
    others = {path: values for path, values in leaves.items() if path != name}
    return next((path for _, path in id_paths(others, count, shared=False)), None)


def _fields(tags: list[_Tag], leaves: Leaves, *, said: bool) -> dict[str, list[str]]:
    """Return what each field is: axis and quantity, and the unit unless the rows say theirs."""
    best: dict[tuple[str, str], _Tag] = {}
    for tag in tags:
        key = tag.meaning.axis.casefold(), tag.role
        if key not in best or _order(tag) < _order(best[key]):
            best[key] = tag
    levels, speeds = (
        Guess(role, (), values=[tag.value for tag in best.values() if tag.role == role], unit=_unit(best, role))
        for role in ("level", "velocity_rms")
    )
    unit = "" if said or not levels.values else levels.unit or acceleration_unit(leaves, levels, speeds)[0]
    found: dict[str, list[str]] = {}
    for (axis, role), tag in best.items():
        own = "" if said else tag.meaning.unit or (unit if role in ("level", "peak") else "")
        found[tag.field] = [f"{axis} {role}".strip(), *([own] if own else [])]
    return found


def _unit(best: dict[tuple[str, str], _Tag], role: str) -> str:
    return next((tag.meaning.unit for (_, own), tag in best.items() if own == role and tag.meaning.unit), "")


def _order(tag: _Tag) -> tuple[bool, int, int]:
    return tag.meaning.statistic == "", tag.meaning.rest, len(tag.field)
