"""The elements of a message: one, those of an array, or those of an object whose keys are devices."""

from __future__ import annotations

from typing import Any, Final

from gateway.domain.inputs.layout import bytes_of
from gateway.domain.inputs.paths import ABSENT, find
from gateway.domain.inputs.specs import Binary, Each

MAX_ELEMENTS: Final = 10_000

Element = tuple[Any, str | None]
"""An element, and the key it had."""


def elements_of(each: Each | None, message: Any) -> list[Element] | None:
    """Return the elements of a message; None where there is no place for any."""
    if each is None:
        return [(message, None)]
    found = find(message, each.path)
    if found is ABSENT or found is None:
        return None
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
    block = bytes_of(raw, binary.encoding)
    if block is None:
        return element
    found = binary.layout.columns(block) if binary.repeat else binary.layout.record(block)
    return {**element, **found} if type(element) is dict else found
