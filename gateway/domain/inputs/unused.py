"""The numbers of a message that no field of an input uses: what a user may have overlooked."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from gateway.domain.inputs.elements import elements_of, is_of_elements, overlaid
from gateway.domain.inputs.paths import Path, opened, shown
from gateway.domain.inputs.route import Route
from gateway.domain.inputs.waveforms import part_paths

MAX_PATHS: Final = 200
MAX_VALUES: Final = 2_000
"""Values of an element that are looked at."""
DEEPEST: Final = 12
ELEMENTS: Final = 10
"""Elements, and members of an array, that are looked at."""


def unused_numbers(route: Route, message: Any) -> list[str]:
    """Return the paths of numbers that nothing uses, as the input would have to name them."""
    used = used_paths(route)
    found: dict[str, None] = {}
    for element in _elements(route, message):
        for path in _numbers(element, ()):
            if len(found) < MAX_PATHS and not any(path[: len(each)] == each for each in used):
                found[shown(path)] = None
    return list(found)


def _elements(route: Route, message: Any) -> Iterator[Any]:
    """Yield some elements that are not left out. A line's fields have two names each: one is enough."""
    spec = route.spec
    for element, key in (elements_of(spec.each, message, route.wanted) or [])[:ELEMENTS]:
        captured = route.captured if key is None else {**route.captured, "key": key}
        if spec.where_each and spec.where_each.failing(element, captured):
            continue
        if spec.format == "line" and type(element) is dict:
            yield {"fields": element["fields"]}
        else:
            yield overlaid(spec.binary, element) if is_of_elements(spec) else element


def used_paths(route: Route) -> set[Path]:
    """Return every path that an input looks at."""
    spec = route.spec
    used = {path for path in route.extraction.paths() if path}
    used |= {field.exponent for field in spec.fields if field.exponent}
    used |= {
        path for template in (spec.sensor, spec.time_parts, *spec.place.values()) if template for path in template.paths
    }
    used |= {path for where in (spec.where, spec.where_each) if where for path in where.paths}
    used |= {path for path in (spec.time.path, spec.event_id, spec.status and spec.status.path) if path}
    if spec.rows is not None:  # its names that nothing uses are told by the reading itself
        used.add(spec.rows.each or ())
    if spec.batch is not None:
        used |= {spec.batch.start} | ({spec.batch.step} if isinstance(spec.batch.step, tuple) else set())
    if spec.waveform is not None:
        used |= {spec.waveform.of_axis(axis) for axis in route.extraction.axes} | set(part_paths(spec.waveform))
    return used | {("fields", *path) for path in used} if spec.format == "line" else used


def _numbers(value: Any, path: Path) -> Iterator[Path]:
    """Yield the paths of numbers. CBOR's objects may have themselves as a member: so many values, and no more."""
    waiting = [(value, path)]
    for _ in range(MAX_VALUES):
        if not waiting:
            return
        value, path = waiting.pop()
        if type(value) in {int, float} or (path and _is_column(value)):
            yield path
        elif len(path) < DEEPEST:
            waiting += [(member, (*path, str(name))) for name, member in _members(value)][::-1]


def _is_column(value: Any) -> bool:
    return type(value) is list and len(value) > ELEMENTS and type(value[0]) in {int, float}


def _members(value: Any) -> list[tuple[Any, Any]]:
    value = opened(value)
    if type(value) is dict:
        return list(islice(value.items(), MAX_PATHS))
    return list(enumerate(value[:ELEMENTS])) if type(value) is list else []
