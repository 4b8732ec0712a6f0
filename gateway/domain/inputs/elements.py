"""The elements of a message: one, those of an array, or those of an object whose keys are devices."""

from __future__ import annotations

from typing import Any, Final

from gateway.domain.inputs.layout import bytes_of
from gateway.domain.inputs.paths import ABSENT, find, opened
from gateway.domain.inputs.specs import Binary, Each, InputSpec

MAX_ELEMENTS: Final = 10_000

Element = tuple[Any, str | None]
"""An element, and the key it had."""


def elements_of(each: Each | None, message: Any, wanted: frozenset[str] = frozenset()) -> list[Element] | None:
    """Return the elements of a message; None where there is no place for any.

    What of `wanted` no element has, and the message has, belongs to all elements that have another of it.
    """
    if each is None:
        return [(message, None)]
    found = opened(find(message, each.path))
    if found is ABSENT or found is None:
        return None
    elements = _split(each, found)
    return _completed(elements, message, wanted) if each.path and type(message) is dict else elements


def _completed(elements: list[Element], message: dict[Any, Any], wanted: frozenset[str]) -> list[Element]:
    names = {name for name in wanted if name in message}
    if not names or len(elements) > MAX_ELEMENTS:
        return elements
    has_own = [type(element) is dict and not wanted.isdisjoint(element) for element, _ in elements]
    names = names.difference(*(element for element, _ in elements if type(element) is dict))
    shared = {name: message[name] for name in names}
    return [
        ({**shared, **element} if own and shared else element, key)
        for own, (element, key) in zip(has_own, elements, strict=True)
    ]


def _split(each: Each, found: Any) -> list[Element]:
    if type(found) is dict and (each.keyed or _is_keyed(found, each)):
        return [(element, str(key)) for key, value in found.items() for element in _listed(value)]
    return [(element, None) for element in _listed(found)]


def _is_keyed(found: dict[Any, Any], each: Each) -> bool:
    """Tell whether an object is one of devices, and not the only element of what is an array with several."""
    return bool(each.path) and all(type(value) in (dict, list) for value in found.values())


def _listed(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def overlaid(binary: Binary | None, element: Any) -> Any:
    """Return an element with the fields of its bytes beside its own. What has no such bytes is as it was."""
    if binary is None:
        return element
    raw = element if binary.source is None else find(element, binary.source)
    block = bytes_of(raw, binary.encoding, binary.endian)
    if block is None:
        return element
    found = _unpacked(binary, block)
    return {**element, **found} if type(element) is dict else found


def _unpacked(binary: Binary, block: bytes) -> dict[str, Any]:
    found = binary.header.record(block) if binary.header else {}
    start = binary.header.size if binary.header else 0
    if binary.records:
        return {**found, binary.records: binary.layout.records(block, start)}
    return found | (binary.layout.columns(block, start) if binary.repeat else binary.layout.record(block, start))


def is_of_elements(spec: InputSpec) -> bool:
    """Tell whether each element has bytes of its own; else it is the message that has them."""
    return spec.each is not None and not (spec.binary and spec.binary.records)
