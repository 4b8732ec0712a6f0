"""The compact notation of rule tests for what a sensor measured: `4.0~0.1x100 12.5x3`."""

from __future__ import annotations

import re
from random import Random

LONGEST = 1_000_000
"""Readings in one series."""

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PART = re.compile(
    rf"(?P<none>_)(?:x(?P<gap>\d+))?|(?P<first>{_NUMBER})(?P<step>[+-]{_NUMBER.removeprefix('[+-]?')})?"
    rf"(?:~(?P<noise>{_NUMBER}))?(?:x(?P<count>\d+))?"
)

HELP = (
    "a series is parts with spaces between them: 4.0 is a reading, 4.0x100 a hundred of them, 4.0+0.1x20 twenty that"
    " grow by 0.1 each, 4.0~0.1x100 a hundred with noise of that standard deviation, _x5 five that are missing"
)


def parse_series(text: str) -> list[float | None]:
    """Return the readings of a series; None where there is none. The noise is the same every time.

    Raises ValueError for what is no series, and for more than a million readings.
    """
    noise = Random(0)
    found: list[float | None] = []
    for part in text.split():
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r}: {HELP}")
        count = int(match["gap"] or match["count"] or 1)
        if len(found) + count > LONGEST:
            raise ValueError(f"{part!r}: a series has at most {LONGEST} readings")
        if match["none"]:
            found += [None] * count
        else:
            first, step, spread = (float(match[name] or 0) for name in ("first", "step", "noise"))
            found += [first + step * number + (noise.gauss(0, spread) if spread else 0) for number in range(count)]
    return found
