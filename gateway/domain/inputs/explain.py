"""How a message was read, step by step, for the person who writes the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from gateway.domain.inputs.elements import elements_of, is_of_elements, overlaid
from gateway.domain.inputs.fields import Found, take
from gateway.domain.inputs.formats import LINEWISE
from gateway.domain.inputs.numbers import LEVEL, Field, part
from gateway.domain.inputs.paths import ABSENT, find, shown
from gateway.domain.inputs.route import Route
from gateway.domain.inputs.rows import Row, Rows
from gateway.domain.inputs.waveforms import samples_of

ELEMENTS: Final = 20
"""Elements of a message that are explained."""
SHOWN: Final = 40
"""Characters of a raw value."""


class Step(Struct, frozen=True):
    """A path, what stands there, and what it becomes. `value` is in the canonical unit, None where there is none."""

    path: str
    raw: str
    quantity: str
    value: float | None
    said: str = ""


def steps(route: Route, message: Any) -> Iterator[Step]:
    """Iterate over what an input looks at in a message."""
    if route.rows is not None:
        yield from _row_steps(route, route.rows, message)
        return
    for element, _ in (elements_of(route.spec.each, message, route.wanted) or [])[:ELEMENTS]:
        whole = overlaid(route.spec.binary, element) if is_of_elements(route.spec) else element
        yield from _field_steps(route, whole)
        yield from _waveform_steps(route, whole)


def _field_steps(route: Route, element: Any) -> Iterator[Step]:
    for field in route.spec.fields:
        for axis in route.extraction.axes if field.has_axis else route.extraction.axes[:1]:
            path = field.of_axis(axis)
            yield _step(shown(path), field, find(element, path), element, axis)


def _step(path: str, field: Field, raw: Any, element: Any, axis: str) -> Step:
    said: list[str] = []
    found: Found = {}
    take(found, field, part(field, raw, axis), element, said.append)
    return Step(path, brief(raw), field.quantity, found.get(field.wire), "; ".join(said))


def _row_steps(route: Route, rows: Rows, message: Any) -> Iterator[Step]:
    each = None if route.spec.format in LINEWISE else route.spec.each
    for element, key in (elements_of(each, message, route.wanted) or [])[:ELEMENTS]:
        captured = route.captured if key is None else {**route.captured, "key": key}
        yield from (_row_step(row) for row in rows.rows(element, captured) if isinstance(row, Row))


def _row_step(row: Row) -> Step:
    said: list[str] = []
    found: Found = {}
    field = row.tag.field
    take(found, field, row.value, row.row, said.append, said=row.unit)
    quantity = f"{row.tag.axis} {field.quantity}".strip()
    return Step(row.name, brief(row.value), quantity, found.get(field.wire), "; ".join(said))


def _waveform_steps(route: Route, element: Any) -> Iterator[Step]:
    spec = route.spec.waveform
    for axis in route.extraction.axes if spec else ():
        path = spec.of_axis(axis) if spec else ()
        block = find(element, path)
        try:
            said = f"{len(samples_of(spec, block))} samples" if spec and block is not ABSENT else ""
        except ValueError as error:
            said = str(error)
        yield Step(shown(path), brief(block), f"waveform of {LEVEL}", None, said)


def brief(raw: Any) -> str:
    """Return a value as it was sent, as far as it is shown."""
    if raw is ABSENT:
        return "not there"
    if isinstance(raw, list | dict | bytes):
        return f"{type(raw).__name__} of {len(raw)}"
    if type(raw) is int and abs(raw) >= 10**SHOWN:
        return f"a number of {raw.bit_length()} bits"
    text = f"{raw[: SHOWN + 1]!r}" if isinstance(raw, str) else f"{raw}"
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
