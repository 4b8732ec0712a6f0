"""From messages of one family to the input that would read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from gateway.domain.inputs.learning.blocks import guessed_columns, guessed_waveform
from gateway.domain.inputs.learning.families import MessageFamily
from gateway.domain.inputs.learning.identity import good_values, guessed_time, kinds_of
from gateway.domain.inputs.learning.leaves import Elements, Leaves, candidates, leaves_of
from gateway.domain.inputs.learning.naming import name
from gateway.domain.inputs.learning.proposal import Proposal, RowsGuess
from gateway.domain.inputs.learning.quantities import Guess, axes_of, chosen, guesses
from gateway.domain.inputs.learning.tags import guessed_rows, tag_objects
from gateway.domain.inputs.learning.unexplained import of_carrier
from gateway.domain.inputs.learning.unnamed import (
    bare_value,
    by_size,
    identified,
    labelled,
    of_topic,
    renamed,
    unnamed_numbers,
)
from gateway.domain.inputs.paths import Path

VIBRATION: Final = ("level", "velocity_rms", "peak")
_LINES: Final = ("line", "csv")


class Reading(NamedTuple):
    """One way to take messages apart, with what it would give."""

    elements: Elements
    fields: dict[str, Guess]
    rows: RowsGuess | None = None
    prefixed: bool = False
    step: Path | None = None

    @property
    def worth(self) -> tuple[int, ...]:
        """How much it gives: quantities of vibration before others, then the number of fields and of elements."""
        if self.rows is not None:
            told = {field[0].split()[-1] for field in self.rows.fields.values()}
            return len(told & set(VIBRATION)), len(self.rows.fields), len(self.elements.parts)
        known = [role for role in VIBRATION if role in self.fields]
        return len(known), sum(max(1, len(guess.axes)) for guess in self.fields.values()), len(self.elements.parts)


def proposed(family: MessageFamily) -> Proposal | None:
    """Return the input that reads a family of messages, or None where nothing in it is vibration."""
    best = max(_readings(family), key=lambda reading: reading.worth)
    leaves = leaves_of(family.values)
    if best.worth[0] == 0:
        return _block(family, leaves) or _value(family, leaves) or _bytes(family, leaves)
    one = _begun(family)
    one.columns = list(family.messages[0].read.columns)
    one.rows, one.fields = best.rows, best.fields
    if best.rows is None:
        _settle(one, family, best)
    elif not best.rows.settings.keys() & {"time", "senml"}:
        one.time = guessed_time(leaves, family.received_us)
    name(one, family, best.elements, said=best.prefixed)
    return one


def to_be_named(family: MessageFamily) -> Proposal | None:
    """Return an input for messages with numbers that nothing says the meaning of, with one of them as an example."""
    value = family.values[0]
    if family.format in _LINES and isinstance(value, list):
        value = value[0]
    numbers = unnamed_numbers(value)
    if not numbers:
        return None
    path = next((path for path, text in numbers.items() if "." in text), next(iter(numbers)))
    one = _begun(family)
    one.columns = list(family.messages[0].read.columns)
    one.inline = {"velocity_rms": [path, "mm/s"]}
    one.time = guessed_time(leaves_of([value]), family.received_us)
    name(one, family, Elements("", family.values, []), said=False)
    return one


def _begun(family: MessageFamily) -> Proposal:
    where = {path: [next(iter(kinds))] for path, kinds in kinds_of(leaves_of(family.values)) if len(kinds) == 1}
    return Proposal([], family.format, where=where)


def _settle(one: Proposal, family: MessageFamily, best: Reading) -> None:
    """Take over how elements are read."""
    leaves = best.elements.leaves
    one.each = "" if one.format in _LINES and best.elements.each == "." else best.elements.each
    one.where_each = good_values(leaves) if best.elements.each else {}
    one.axes = axes_of(one.fields) if any(guess.axes for guess in one.fields.values()) else []
    whole = leaves_of(family.values) if best.elements.each else {}
    one.time = guessed_time(leaves, family.received_us) or guessed_time(whole, family.received_us)
    one.batch = best.step


def _readings(family: MessageFamily) -> Iterator[Reading]:
    for elements in tag_objects(family.values):
        rows = guessed_rows(elements, family.received_us)
        if rows is not None and rows[1]:
            yield Reading(elements, {}, *rows)
    for elements in candidates(family.values):
        rows = guessed_rows(elements, family.received_us) if elements.each else None
        yield Reading(elements, {}, *rows) if rows is not None else _by_fields(elements, family)
        if rows is None and family.messages[0].read.columns and elements.each == ".":
            yield Reading(elements, chosen(elements.leaves, by_size(elements.leaves)))


def _by_fields(elements: Elements, family: MessageFamily) -> Reading:
    leaves = elements.leaves
    columns = guessed_columns(leaves)
    if columns is not None:
        fields = chosen(columns[1], guesses(columns[1]))
        if any(isinstance(leaves[guess.path][0], list) for guess in fields.values() if guess.path in leaves):
            return Reading(elements, fields, step=columns[0])
    named = chosen(leaves, guesses(leaves, renamed(leaves, family.told)))
    if any(role in named for role in VIBRATION):
        return Reading(elements, named)
    return Reading(elements, named | chosen(leaves, labelled(leaves) or identified(leaves)))


def _block(family: MessageFamily, leaves: Leaves) -> Proposal | None:
    """Return the input for a block of samples; a message that names one axis is read as that."""
    found = guessed_waveform(leaves)
    if found is None:
        return None
    one = _begun(family)
    one.waveform, one.axes, one.notes = found
    axis = next((path for path in leaves if len(path) == 1 and path[0].casefold() == "axis"), None)
    if axis is not None and not one.axes:
        one.where[axis] = [str(leaves[axis][0])]
        one.axes = [str(leaves[axis][0])]
    one.fields = {role: guess for role, guess in chosen(leaves, guesses(leaves)).items() if role == "temperature"}
    one.time = guessed_time(leaves, family.received_us)
    name(one, family, Elements("", family.values, []), said=False)
    return one


def _value(family: MessageFamily, leaves: Leaves) -> Proposal | None:
    """Return the input for messages with a single number, of which the topic says what it is."""
    value = bare_value(leaves)
    told = family.told.get(value[0]) or family.told.get(()) if value else None
    meant = of_topic(family.pattern, *value, told) if value else None
    if meant is None:
        return None
    guess, axis = meant
    one = _begun(family)
    one.fields = chosen(leaves, [guess])
    one.time = guessed_time(leaves, family.received_us)
    one.axes = guess.axes if axis is None else []
    name(one, family, Elements("", family.values, []), said=False, axis=axis)
    return one


def _bytes(family: MessageFamily, leaves: Leaves) -> Proposal | None:
    one = of_carrier(leaves, family.received_us)
    if one is not None:
        name(one, family, Elements("", family.values, []), said=False)
    return one
