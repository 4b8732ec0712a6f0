"""A sample with its expected readings is a regression test: what came out, compared with what should have."""

from __future__ import annotations

from math import isclose
from typing import Any, Final

from gateway.domain.inputs.numbers import LEVEL, UnknownUnitError, measured_in

TOLERANCE: Final = 1e-6
"""How far two numbers may be apart, as a part of them: a conversion rounds."""


def differences(expected: Any, readings: list[dict[str, Any]], statuses: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for everything that is missing or too much.

    What is expected is an object with `readings` and `statuses`, or an array of readings; each says what has to be
    equal, and may leave out the rest. Its level may be in another unit.
    """
    wanted = expected if isinstance(expected, dict) else {"readings": expected}
    problems = _compared("reading", wanted.get("readings") or [], readings)
    return problems + (_compared("status", wanted["statuses"], statuses) if wanted.get("statuses") is not None else [])


def _compared(what: str, expected: Any, found: list[dict[str, Any]]) -> list[str]:
    if not isinstance(expected, list) or not all(isinstance(each, dict) for each in expected):
        return [f"what is expected must be an array of objects, one for each {what}"]
    rest = list(found)
    problems: list[str] = []
    for each in expected:
        fitting = next((one for one in rest if _fits(each, one)), None)
        if fitting is None:
            problems.append(f"expected, but not found: {what} {each}")
        else:
            rest.remove(fitting)
    return problems + [f"found, but not expected: {what} {one}" for one in rest]


def _fits(expected: dict[str, Any], found: dict[str, Any]) -> bool:
    level = expected.get(LEVEL)
    own = expected.get("unit")
    if isinstance(level, int | float) and isinstance(own, str):
        try:
            expected = {**expected, LEVEL: measured_in(LEVEL, own)[1].canonical(level), "unit": found.get("unit")}
        except UnknownUnitError:
            return False
    return all(name in found and _equal(value, found[name]) for name, value in expected.items())


def _equal(expected: Any, found: Any) -> bool:
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(name in found and _equal(value, found[name]) for name, value in expected.items())
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return isclose(expected, found, rel_tol=TOLERANCE, abs_tol=TOLERANCE * TOLERANCE)
    return bool(expected == found)
