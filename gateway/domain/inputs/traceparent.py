"""W3C trace context: which trace of somebody else's a reading belongs to. It is checked and carried, never acted on."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.domain.inputs.native import Decoded
from gateway.domain.model.events import Rejected

NAME = "traceparent"
_VALID = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SPACE = b" \t\r\n"


def is_valid(traceparent: str) -> bool:
    """Tell whether a text is `version-traceid-parentid-flags` as https://www.w3.org/TR/trace-context/ has it."""
    return _VALID.fullmatch(traceparent) is not None


def of_properties(properties: Iterable[tuple[str, str]]) -> str:
    """Return the traceparent among a message's user properties; empty if there is none, or not exactly one, or no such.

    The standard has several taken for none.
    """
    found = [value for name, value in properties if name == NAME]
    return found[0] if len(found) == 1 and is_valid(found[0]) else ""


def carried_by(item: Decoded | Rejected, traceparent: str) -> Decoded | Rejected:
    """Return an item of a message that carried a (valid) traceparent. An event's own comes first."""
    if isinstance(item, Rejected) or item[0].traceparent is not None:
        return item
    event, body = item
    event.traceparent = traceparent
    return event, body.rstrip(_SPACE)[:-1] + f',"{NAME}":"{traceparent}"}}'.encode()
