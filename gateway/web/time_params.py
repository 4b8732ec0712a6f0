"""Times in queries: RFC 3339, or so long ago."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from gateway.domain.model.timefmt import microseconds

LAST_NS = 2**63 - 1
"""The last nanosecond that the journal can name, in 2262."""

_AGO = re.compile(r"(\d{1,9})(s|m|h|d)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse(text: str) -> int:
    """Return a time such as `2023-09-29T16:30:25Z`, `15m` or `2h` in ns since 1970. Raises ValueError with a hint."""
    if ago := _AGO.fullmatch(text):
        ns = time.time_ns() - int(ago[1]) * _SECONDS[ago[2]] * 1_000_000_000
        return max(ns, 0)
    try:
        ns = microseconds(datetime.fromisoformat(text)) * 1000
    except ValueError:
        raise ValueError("write 2023-09-29T16:30:25Z (a + as %2B), or how long ago: 30s, 15m, 2h, 7d") from None
    if not 0 <= ns <= LAST_NS:
        raise ValueError("only times from 1970 to 2262 can be asked for")
    return ns


Moment = Annotated[int, BeforeValidator(parse), WithJsonSchema({"type": "string", "examples": ["15m"]})]
"""A query parameter that is a time; the endpoint gets it in ns since 1970."""
