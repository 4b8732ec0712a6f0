"""Numbers whose own names say nothing: a topic, a list of labels, a discovery message or their sizes have to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from gateway.domain.inputs.learning.identity import is_about, time_of
from gateway.domain.inputs.learning.leaves import FEW, MAX_CONTAINERS, MAX_DEPTH, MAX_LEAVES, Leaves, is_addressable
from gateway.domain.inputs.learning.names import Meaning, meaning_of
from gateway.domain.inputs.learning.quantities import XYZ, Guess, by_identity, number_in, role_of
from gateway.domain.inputs.learning.topic_levels import says_something
from gateway.domain.inputs.numbers import apart
from gateway.domain.inputs.paths import Path, opened, shown
from gateway.domain.model.quantities import BY_KEY, unit_of, vibration_unit

MAX_PARTS: Final = 100
"""Parts of a text that is split."""
MAX_BARE: Final = 16
"""Places of a bare array of features; a longer one is of samples."""
_SIGNS: Final = "|;,"
_VALUES: Final = ("value", "val", "v", "state", "reading", "data")
_TEMPLATE = re.compile(r"value_json((?:\.\w+|\[['\"][^'\"\]]+['\"]\])+)")
_WARM: Final = (5.0, 150.0)


MOST_SHOWN: Final = 8
"""Numbers of a message that are shown to who has to say what they are."""


class Told(NamedTuple):
    """What a discovery message says of a value: its name and its unit."""

    name: str
    unit: str


def discovered(configs: Iterable[Any]) -> dict[tuple[str, Path], Told]:
    """Return what Home Assistant's discovery messages say: (topic, path) -> name and unit. A bare value has no path."""
    found: dict[tuple[str, Path], Told] = {}
    for config in configs:
        topic = _either(config, "stat_t", "state_topic").replace("~", _either(config, "~"))
        if topic:
            template = _TEMPLATE.search(_either(config, "val_tpl", "value_template"))
            path = tuple(re.findall(r"\w[^.'\"\[\]]*", template[1])) if template else ()
            told = Told(_either(config, "name"), _either(config, "unit_of_meas", "unit_of_measurement"))
            found[topic, path] = found[topic, ()] = told
    return found


def _either(config: Any, *names: str) -> str:
    texts = (config.get(name) for name in names) if isinstance(config, dict) else ()
    return next((text for text in texts if isinstance(text, str)), "")


def bare_value(leaves: Leaves) -> tuple[Path, list[float]] | None:
    """Return the one number of messages that have nothing else to say."""
    numbers = {
        path: found
        for path, values in leaves.items()
        if (found := [number for value in values if (number := number_in(value)) is not None])
        and time_of(values[0]) is None
    }
    named = {path: found for path, found in numbers.items() if path[-1].casefold() in _VALUES}
    either = named or {path: found for path, found in numbers.items() if meaning_of(path) is not None}
    return next(iter(either.items())) if len(either) == 1 else None


def of_topic(
    pattern: tuple[str, ...], path: Path, values: list[float], told: Told | None
) -> tuple[Guess, int | None] | None:
    """Return what a topic makes of a bare value, and the level that is its axis."""
    words = tuple(level if says_something(level) else "" for level in pattern)
    meaning = meaning_of(words)
    if told is not None and (named := meaning_of((told.name,))) and role_of(named):
        meaning = named._replace(axis=named.axis or (meaning.axis if meaning else ""))
    role = role_of(meaning) if meaning else ""
    if meaning is None or not role:
        return None
    axis = next((at for at, level in enumerate(meaning.template) if level == "{axis}"), None)
    unit = unit_for(role, told.unit) if told else ""
    guess = Guess(role, path, [meaning.axis] if meaning.axis else [], values, unit or meaning.unit)
    return guess, axis


def unit_for(role: str, said: str) -> str:
    """Return a unit as this program writes it, or "" for one that the quantity is not measured in."""
    if role == "level":
        found = vibration_unit(said)
        return found[1].symbol if found else ""
    unit = unit_of(BY_KEY[role].kind, said)
    return unit.symbol if unit else ""


def renamed(leaves: Leaves, told: Mapping[Path, Told]) -> dict[Path, Meaning]:
    """Return what a discovery message says of paths."""
    found: dict[Path, Meaning] = {}
    for path, each in told.items():
        meaning = meaning_of((each.name,)) if path in leaves else None
        if meaning is not None and (role := role_of(meaning)):
            unit = unit_for(role, each.unit) or meaning.unit
            found[path] = meaning._replace(template=path, axis="", unit=unit)
    return found


def identified(leaves: Leaves) -> list[Guess]:
    """Return the quantities of a bare array that tells them by its values alone."""
    arrays = {
        path: values[0] for path, values in leaves.items() if isinstance(values[0], list) and len(values[0]) <= MAX_BARE
    }
    for path in leaves:
        if path[-1] == "0" and len(path) > 1:
            arrays[path[:-1]] = [leaves[(*path[:-1], at)][0] for at in XYZ if (*path[:-1], at) in leaves]
    why = "guessed: the second is the first times the third, as a peak is the RMS times the crest factor"
    for path, values in arrays.items():
        if roles := by_identity(values):
            return [Guess(role, (*path, str(at)), [], [float(values[at])], why=why) for at, role in enumerate(roles)]
    return []


def labelled(leaves: Leaves) -> list[Guess]:
    """Return the quantities in a text of several numbers, beside which another text has a label for each."""
    texts = {path: values[0] for path, values in leaves.items() if isinstance(values[0], str)}
    best: list[Guess] = []
    for path, text in texts.items():
        for sign in _SIGNS:
            parts = text.split(sign)[:MAX_PARTS]
            if len(parts) > 1 and all(number_in(part) is not None for part in parts):
                for label in texts.values():
                    labels = label.split(sign)
                    found = _of_labels(path, parts, labels, sign) if len(labels) == len(parts) else []
                    best = max(best, found, key=lambda each: sum(len(guess.axes) + 1 for guess in each))
    return best


def _of_labels(path: Path, parts: list[str], labels: list[str], sign: str) -> list[Guess]:
    found: dict[tuple[str, Path], Guess] = {}
    for at, (part, label) in enumerate(zip(parts, labels, strict=True)):
        meaning = meaning_of((label,))
        role = role_of(meaning) if meaning else ""
        if meaning is None or not role:
            continue
        guess = found.setdefault((role, meaning.template), Guess(role, path, unit=meaning.unit, extra={"split": sign}))
        guess.values.append(number_in(part) or 0.0)
        if meaning.axis:
            guess.axes.append(meaning.axis)
            guess.extra.setdefault("item", {})[meaning.axis] = at
        else:
            guess.extra["item"] = at
    return list(found.values())


def by_size(leaves: Leaves) -> list[Guess]:
    """Return what up to three columns of numbers without names may be: RMS, velocity, temperature, in this order."""
    numbers = {
        path: found
        for path, values in leaves.items()
        if time_of(values[0]) is None and None not in (found := [number_in(value) for value in values])
    }
    why = "guessed by place and size alone: check it"
    fractions = {
        path: [each or 0.0 for each in found]
        for path, found in numbers.items()
        if any((each or 0) % 1 for each in found)
    }
    roles = ["level", "velocity_rms", "temperature"]
    values = list(fractions.items())[:FEW]
    if values and len(values) < FEW and all(_WARM[0] < each < _WARM[1] for each in values[-1][1]):
        roles = ["level", "temperature"]
    return [Guess(role, path, [], found, why=why) for role, (path, found) in zip(roles, values, strict=False)]


def unnamed_numbers(value: Any) -> dict[str, str]:
    """Return some numbers of a message that nothing was learned of, in their order: the path -> as it was sent."""
    found: dict[str, str] = {}
    waiting: list[tuple[Any, Path]] = [(value, ())]
    for _ in range(MAX_LEAVES):
        if not waiting or len(found) == MOST_SHOWN:
            break
        value, path = waiting.pop()
        members = _members(value) if len(path) < MAX_DEPTH else []
        waiting += [(member, (*path, str(name))) for name, member in members if is_addressable(name)][::-1]
        if path and _may_be_measured(path, value):
            found[shown(path)] = str(value)
    return found


def _members(value: Any) -> list[tuple[Any, Any]]:
    value = opened(value)
    either = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return list(islice(either, MAX_CONTAINERS))


def _may_be_measured(path: Path, value: Any) -> bool:
    raw, unit = apart(value)
    known = unit is None or vibration_unit(unit) is not None or unit_of("temperature", unit) is not None
    is_other = time_of(value) is not None or meaning_of(path) is None or is_about(path)
    return known and number_in(raw) is not None and not is_other
