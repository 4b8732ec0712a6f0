"""The numbers of a message that no field of an input uses: what a user may have overlooked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gateway.domain.inputs.elements import elements_of, overlaid
from gateway.domain.inputs.paths import Path, shown
from gateway.domain.inputs.route import Route
from gateway.domain.inputs.waveforms import part_paths

MAX_PATHS: Final = 200
DEEPEST: Final = 12
ELEMENTS: Final = 10
"""Elements, and members of an array, that are looked at."""


def unused_numbers(route: Route, message: Any) -> list[str]:
    """Return the paths of numbers that nothing uses, as the input would have to name them."""
    used = used_paths(route)
    found: dict[str, None] = {}
    for element, _ in (elements_of(route.spec.each, message) or [])[:ELEMENTS]:
        for path in _numbers(overlaid(route.spec.binary if route.spec.each else None, element), ()):
            if len(found) < MAX_PATHS and not any(path[: len(each)] == each for each in used):
                found[shown(path)] = None
    return list(found)


def used_paths(route: Route) -> set[Path]:
    """Return every path that an input looks at."""
    spec = route.spec
    used = {path for path in route.extraction.paths() if path}
    used |= {field.exponent for field in spec.fields if field.exponent}
    used |= {path for template in (spec.sensor, *spec.place.values()) if template for path in template.paths}
    used |= {path for where in (spec.where, spec.where_each) if where for path in where.paths}
    used |= {path for path in (spec.time.path, spec.event_id, spec.status and spec.status.path) if path}
    if spec.batch is not None:
        used |= {spec.batch.start} | ({spec.batch.step} if isinstance(spec.batch.step, tuple) else set())
    if spec.waveform is not None:
        used |= {spec.waveform.of_axis(axis) for axis in route.extraction.axes} | set(part_paths(spec.waveform))
    return used


def _numbers(value: Any, path: Path) -> Iterator[Path]:
    if type(value) in (int, float):
        yield path
    elif len(path) < DEEPEST and type(value) is dict:
        for name, member in value.items():
            yield from _numbers(member, (*path, str(name)))
    elif type(value) is list:
        yield from _of_array(value, path)


def _of_array(value: list[Any], path: Path) -> Iterator[Path]:
    """Yield an array of many numbers as one; its few members, or its objects, each."""
    if len(value) > ELEMENTS and all(type(member) in (int, float) for member in value[:ELEMENTS]):
        yield path
    elif len(path) < DEEPEST:
        for at, member in enumerate(value[:ELEMENTS]):
            yield from _numbers(member, (*path, str(at)))
