"""Severity of vibration velocity after ISO 10816-3:2009: RMS in mm/s, 10 to 1000 Hz. Never for an acceleration."""

from __future__ import annotations

from typing import Literal

Group = Literal[1, 2]
Support = Literal["rigid", "flexible"]

_B_C: dict[tuple[Group, Support], float] = {
    (1, "rigid"): 4.5,
    (1, "flexible"): 7.1,
    (2, "rigid"): 2.8,
    (2, "flexible"): 4.5,
}
_C_D: dict[tuple[Group, Support], float] = {
    (1, "rigid"): 7.1,
    (1, "flexible"): 11.0,
    (2, "rigid"): 4.5,
    (2, "flexible"): 7.1,
}


def alarm(group: Group, support: Support, baseline: float | None) -> float:
    """Return the ALARM limit: a quarter of B/C above the machine's own baseline, at most 1.25 times B/C.

    Without a baseline it is that most.
    """
    boundary = _B_C[group, support]
    highest = 1.25 * boundary
    return highest if baseline is None else min(baseline + 0.25 * boundary, highest)


def trip(group: Group, support: Support) -> float:
    """Return the TRIP limit: 1.25 times C/D, whatever the machine's own baseline is."""
    return 1.25 * _C_D[group, support]
