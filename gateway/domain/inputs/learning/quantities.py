"""Which numbers of a message are which quantities, of which axes, in which units."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import hypot, isclose, log, pi
from statistics import median
from typing import Any, Final

from msgspec import Struct, field

from gateway.domain.inputs.learning.leaves import FEW, Leaves
from gateway.domain.inputs.learning.names import KINDS, Meaning, meaning_of, words_of
from gateway.domain.inputs.numbers import UnknownUnitError, apart, measured_in, number
from gateway.domain.inputs.paths import Path
from gateway.domain.model.quantities import Kind, unit_of, vibration_unit

_CHANNEL = re.compile(r"(.*?(?:channel|chan|ch|input|probe|point|sensor)[ _-]?)(\d{1,2})(.*)", re.IGNORECASE)
_ANY_NUMBER: Final = (-1e9, 1e9)
XYZ: Final = ("0", "1", "2")
NO_VALUES: Final = frozenset((32767.0, -32768.0, 65535.0, 2147483647.0, -2147483648.0, 4294967295.0))
"""What devices send for no value: the largest or the smallest number of 16 or 32 bits."""
GRAVITY: Final = 9.80665
USUAL_HZ: Final = 100.0
"""About where machines vibrate: velocity and acceleration together say at which frequency they would, for each unit."""
HIGHEST_HZ: Final = 10_000.0
SLOW_MM_S: Final = 0.1
"""A velocity of fewer mm/s is rather one in m/s."""
_IN_MM_S: Final = {"in/s": 25.4, "m/s": 1e3, "cm/s": 10.0}
_GRAVITY_IN: Final = (("g", 0.9, 1.15), ("m/s²", 8.8, 11.3), ("mg", 900.0, 1150.0))
_COLDEST, _HOTTEST = -50.0, 150.0
_CRESTS: Final = (1.0, 15.0)
"""Crest factors, the square wave's and that of a hammer."""
_SLOWEST_RPM: Final = 120.0
_UNIT_NAMES: Final = ("unit", "units", "uom", "u", "engunit", "unitofmeasurement", "measurementunit")
MOMENTARY: Final = "below zero: one moment, no RMS, which says little of a vibration"
UNKNOWN_UNIT: Final = "guessed: nothing says g or m/s²"
PEARSON_AT_LEAST: Final = 1.0
LARGEST_IN_G: Final = 30.0
"""More than a machine's vibration: a larger number has no unit that could be guessed."""
_IDENTICAL = 0.01
_TENTH = 0.1
_PLAUSIBLE: Final = {"temperature": (-10_000.0, 150_000.0), "velocity_rms": (0.0, 1e6), "level": (-1e7, 1e7)}
"""What no time and no counter is taken for; whole numbers may be parts of hundreds. A velocity below zero is no RMS."""

ROLES: Final = {
    "crest_factor": "crest_factor",
    "kurtosis": "kurtosis",
    "temperature": "temperature",
    "rpm": "rpm",
    "load": "load",
}


_CERTAIN: Final = ("acceleration", "velocity", *ROLES, "vibration", "speed", "")
"""Kinds, the most certain ones first."""


_OF_KINDS: Final = {
    "acceleration": "level",
    "vibration": "level",
    "velocity": "velocity_rms",
    "temperature": "temperature",
}
_KIND_OF: Final[dict[str, Kind]] = {"level": "acceleration", "velocity_rms": "velocity", "temperature": "temperature"}


class Guess(Struct):
    """A field as it will be configured: {axis} stands in `path` where the field has any; `why` goes into a comment.

    `says_unit`: its unit stands behind each value, and no other one is looked for.
    """

    role: str
    path: Path
    axes: list[str] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    unit: str = ""
    scale: float = 1.0
    unitless: bool = False
    says_unit: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    why: str = ""
    order: tuple[float, ...] = ()


def number_in(value: Any) -> float | None:
    """Return a number that is one, or a text that is one, with a decimal comma too."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if abs(value) < 1e300 else None  # noqa: PLR2004
    if not isinstance(value, str) or len(value) > 40 or not value.strip()[:1].strip("+-.").isdecimal():  # noqa: PLR2004
        return None
    return number(value)


def _with_unit(value: Any, role: str) -> float | None:
    """Return the number of a text that ends with a unit that a quantity is measured in: `0.12 in/s`."""
    raw, unit = apart(value)
    return number(raw) if unit and role and is_measured_in(role, unit) else None


def is_measured_in(role: str, unit: str) -> bool:
    """Tell whether a unit is one of those that a quantity has."""
    try:
        measured_in(role, unit)
    except UnknownUnitError:
        return False
    return True


def guesses(leaves: Leaves, told: Mapping[Path, Meaning] | None = None) -> list[Guess]:
    """Return everything that a name makes a quantity, several paths of axes as one; what fits best comes first.

    `told` has what paths mean by somebody else's words.
    """
    meant: dict[Path, Meaning] = {}
    for path, values in leaves.items():
        meaning = (told or {}).get(path) or meaning_with_index(path, leaves)
        role = role_of(meaning) if meaning else ""
        numbers = _numbers(values, role)
        least, most = _PLAUSIBLE.get(role, _ANY_NUMBER)
        if (
            meaning is not None
            and role
            and numbers
            and all(least <= each <= most or each in NO_VALUES for each in numbers)
        ):
            meant[path] = meaning
    found: dict[tuple[str, Path], Guess] = {}
    for path, meaning in _with_channels(meant).items():
        role = role_of(meaning)
        guess = found.setdefault((role, meaning.template), Guess(role, meaning.template, unit=meaning.unit))
        guess.axes += [meaning.axis] if meaning.axis else []
        guess.says_unit |= any(
            number_in(value) is None for value in leaves[path] if _with_unit(value, role) is not None
        )
        guess.values += _numbers(leaves[path], role)
        guess.order = _order(meaning, guess)
    for guess in found.values():
        _leave_out(guess)
    return sorted(found.values(), key=lambda guess: guess.order)


def _leave_out(guess: Guess) -> None:
    """Take the largest number that some bits have for no value, where it is beyond all others and any quantity."""
    none = sorted(NO_VALUES.intersection(guess.values))
    others = [value for value in guess.values if value not in NO_VALUES]
    if none and all(abs(value) < min(map(abs, none)) / 10 for value in others):
        guess.extra["missing"] = [int(value) for value in none]
        guess.values = others or [0.0]
        guess.why = "guessed: this number is what so many bits have for no value"


def _numbers(values: list[Any], role: str) -> list[float]:
    either = (_with_unit(value, role) if (plain := number_in(value)) is None else plain for value in values)
    return [each for each in either if each is not None]


def _with_channels(meant: dict[Path, Meaning]) -> dict[Path, Meaning]:
    """Take numbered channels that are built alike for axes."""
    channels: dict[Path, list[tuple[Path, str]]] = {}
    for path, meaning in meant.items():
        for at, name in enumerate(path):
            if not meaning.axis and (found := _CHANNEL.fullmatch(name)):
                template = (*path[:at], f"{found[1]}{{axis}}{found[3]}", *path[at + 1 :])
                channels.setdefault(template, []).append((path, found[2]))
    several = ((template, each) for template, each in channels.items() if len(each) > 1)
    return meant | {
        path: meant[path]._replace(axis=channel, template=template)
        for template, each in several
        for path, channel in each
    }


def meaning_with_index(path: Path, leaves: Leaves) -> Meaning | None:
    """Return what a path means; the places of an array of three numbers are axes."""
    if path[-1] not in XYZ or len(path) == 1:
        return meaning_of(path)
    meaning = meaning_of(path[:-1])
    size = sum((*path[:-1], at) in leaves for at in XYZ)
    if meaning is None or meaning.axis or size < FEW:
        return None
    return meaning._replace(axis=path[-1], template=(*path[:-1], "{axis}"))


def role_of(meaning: Meaning) -> str:
    """Return the field that a meaning stands for, or "" for none that is judged."""
    kind, peak = meaning.kind, meaning.statistic == "peak"
    if kind in ROLES:
        return "" if peak and kind != "crest_factor" else ROLES[kind]
    if kind == "speed":
        return "velocity_rms" if meaning.axis and not peak else "" if peak else "rpm"
    if kind == "velocity":
        return "" if peak else "velocity_rms"
    if kind in ("acceleration", "vibration"):
        return "peak" if peak else "level"
    return {"rms": "level", "peak": "peak"}.get(meaning.statistic, "") if not kind else ""


def _order(meaning: Meaning, guess: Guess) -> tuple[float, ...]:
    """Return what orders guesses of one role: certain ones, those of more axes, those with fewer other words."""
    stated = meaning.statistic in ("rms", "peak") or meaning.kind in ROLES
    return (
        not stated,
        -len(guess.axes),
        _CERTAIN.index(meaning.kind),
        meaning.rest - 2 * meaning.preferred,
        len(meaning.template),
    )


def chosen(leaves: Leaves, found: list[Guess]) -> dict[str, Guess]:
    """Return the best guess of each role, with its unit. Without any level or velocity a peak is the level."""
    best: dict[str, Guess] = {}
    for guess in found:
        best.setdefault(guess.role, guess)
    if "level" not in best and "velocity_rms" not in best and "peak" in best:
        best["level"] = best.pop("peak")
        best["level"].role, best["level"].why = "level", "a peak: there is no RMS in it"
    axes = _axes(best)
    best = {role: guess for role, guess in best.items() if not guess.axes or not set(guess.axes).isdisjoint(axes)}
    _scale(best)
    _units(leaves, best)
    return best


def _axes(best: dict[str, Guess]) -> list[str]:
    """Return the axes of what says most of the vibration."""
    for role in ("level", "velocity_rms", "peak", "crest_factor", "kurtosis"):
        if role in best and best[role].axes:
            return best[role].axes
    return []


def axes_of(best: dict[str, Guess]) -> list[str]:
    """Return the axes that the fields have between them, in the order of the alphabet, each once."""
    common = _axes(best)
    return sorted({axis for guess in best.values() for axis in guess.axes if axis.isupper() == common[0].isupper()})


def _scale(best: dict[str, Guess]) -> None:
    """Take whole numbers for parts of ten, a hundred or a thousand, where a temperature or a crest is none otherwise.

    What the crest factor is in, the others that have no unit are in too; so with a temperature in tenths.
    """
    crest = _parts_of(best.get("crest_factor"), *_CRESTS)
    heat = _parts_of(best.get("temperature"), _COLDEST, _HOTTEST)
    common = crest if crest != 1 else heat if heat == _TENTH else 1.0
    for role, guess in best.items():
        factor = heat if role == "temperature" else common
        if factor != 1 and not guess.unit and not guess.says_unit and all(value.is_integer() for value in guess.values):
            guess.scale, guess.why = (
                factor,
                f"guessed: whole numbers, one of which can only be in parts of {1 / factor:g}",
            )


def _parts_of(guess: Guess | None, least: float, most: float) -> float:
    """Return the factor that makes whole numbers plausible; 1 for what is so already or can be nothing."""
    if (
        guess is None
        or guess.unit
        or guess.says_unit
        or not guess.values
        or not all(value.is_integer() for value in guess.values)
    ):
        return 1.0
    return next((by for by in (1.0, _TENTH, 0.01, 0.001) if least < median(guess.values) * by < most), 1.0)


def _units(leaves: Leaves, best: dict[str, Guess]) -> None:
    for path, values in leaves.items():
        if is_unit_name(path[-1]):
            for text in {str(value) for value in values}:
                _said(best, path[-1], text)
    if (kurtosis := best.get("kurtosis")) and not kurtosis.unit and min(kurtosis.values) < PEARSON_AT_LEAST:
        kurtosis.unit, kurtosis.why = "excess", "below 1, which Pearson's kurtosis never is"
    if (
        (speed := best.get("rpm"))
        and not speed.unit
        and not speed.says_unit
        and max(speed.values) < _SLOWEST_RPM
        and median(speed.values) % 1
    ):
        speed.unit, speed.why = "Hz", "guessed: hardly any machine turns so slowly in a minute"
    if (level := best.get("level")) and not level.unit and not level.says_unit:
        level.unit, why = acceleration_unit(leaves, level, best.get("velocity_rms"))
        level.unitless, level.why = not level.unit, level.why or why
    if level and min(level.values) < 0 and not level.why.startswith(MOMENTARY):
        level.why = f"{MOMENTARY}; {level.why}".removesuffix("; ")
    if (peak := best.get("peak")) and not peak.unit and not peak.says_unit and level:
        peak.unit = level.unit if vibration_unit(level.unit) else ""


def _said(best: dict[str, Guess], name: str, text: str) -> None:
    """Give what has no unit the one that the message says, if it can be measured in it."""
    roles = {_OF_KINDS.get(KINDS.get(word.text, ""), "") for word in words_of((name,))} - {""}
    for role in roles & best.keys() or {"temperature", "level", "velocity_rms"} & best.keys():
        unit = unit_of(_KIND_OF[role], text)
        if unit is not None and not best[role].unit and not best[role].says_unit:
            best[role].unit = unit.symbol


def is_unit_name(name: str) -> bool:
    """Tell whether a value of this name is the unit of others."""
    name = name.casefold().replace("_", "")
    return name in _UNIT_NAMES or name.endswith("unit") or name.startswith("unit")


def acceleration_unit(leaves: Leaves, level: Guess, velocity: Guess | None) -> tuple[str, str]:
    """Return g or m/s², and why: by gravity in three axes, or by the frequency that a velocity beside it makes."""
    if (unit := _by_gravity(leaves)) is not None:
        return unit, "gravity is in the three axes"
    if velocity is not None and velocity.values and level.values:
        speed = median(velocity.values) * velocity.scale * _IN_MM_S.get(velocity.unit, 1.0)
        strength = median(level.values) * level.scale
        if speed > 0 and strength > 0:
            return _by_frequency(strength, speed, velocity)
    if median(level.values) > LARGEST_IN_G:
        return "", "no unit is known that it could have"
    return "g", UNKNOWN_UNIT


def _by_frequency(strength: float, speed: float, velocity: Guess) -> tuple[str, str]:
    """Return the unit in which a vibration of this velocity has the more usual frequency: a = 2 pi f v."""
    in_metres = strength * 1e3 / speed / 2 / pi
    in_milli = in_metres * GRAVITY / 1e3
    if in_metres > HIGHEST_HZ >= in_milli and speed >= SLOW_MM_S:
        return "mg", f"guessed: beside this velocity mg means some {in_milli:.0f} Hz, m/s² {in_metres:.0f} Hz"
    if in_metres > HIGHEST_HZ and not velocity.unit:
        velocity.unit, velocity.why = "m/s", "guessed: in mm/s nothing moves so little with this acceleration"
        in_metres /= 1e3
    in_g = in_metres * GRAVITY
    unit = min((abs(log(in_g / USUAL_HZ)), "g"), (abs(log(in_metres / USUAL_HZ)), "m/s²"))[1]
    return unit, f"guessed: beside this velocity g means some {in_g:.0f} Hz, m/s² {in_metres:.0f} Hz"


def _by_gravity(leaves: Leaves) -> str | None:
    triples: dict[Path, dict[str, float]] = {}
    for path, values in leaves.items():
        found = number_in(values[0])
        meaning = meaning_of(path[-1:]) if found is not None else None
        if found is not None and meaning and meaning.axis and meaning.kind == "acceleration":
            triples.setdefault((*path[:-1], *meaning.template), {})[meaning.axis.casefold()] = found
    for triple in triples.values():
        if set(triple) == {"x", "y", "z"}:
            length = hypot(*triple.values())
            for unit, least, most in _GRAVITY_IN:
                if least <= length <= most:
                    return unit
    return None


def by_identity(values: list[Any]) -> list[str]:
    """Return the roles of the places of a bare array whose first three are RMS, peak and crest factor, else nothing.

    The peak is the RMS times the crest factor, which few other numbers are.
    """
    numbers = [number_in(value) for value in values[:FEW]]
    if len(values) < FEW or None in numbers:
        return []
    rms, peak, crest = (each or 0.0 for each in numbers)
    fits = 0 < rms < peak and isclose(peak, rms * crest, rel_tol=_IDENTICAL)
    return ["level", "peak", "crest_factor"] if fits else []
