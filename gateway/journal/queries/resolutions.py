"""How finely a history can be asked for, and which resolution answers a question."""

from __future__ import annotations

from msgspec import Struct

OVERDUE = 1.02
"""Rows go when they are so many times as old as they are to become: a transaction for each would wear the disk."""


SECOND_NS = 1_000_000_000


class Resolution(Struct, frozen=True):
    """One table of rollups: `step` seconds to a row. `table` is the name of its cursor too."""

    table: str
    step: int

    @property
    def name(self) -> str:
        """Its name in an answer: 10s, 1m, 1h."""
        return self.table.removeprefix("rollups_")


RESOLUTIONS = (Resolution("rollups_10s", 10), Resolution("rollups_1m", 60), Resolution("rollups_1h", 3600))
"""The finest first."""


class Span(Struct, frozen=True):
    """What a question about history comes to: seconds since 1970, in steps of `step` from the rows of `resolution`."""

    start: int
    end: int
    step: int
    resolution: Resolution


def choose(since_ns: int, until_ns: int, points: int, now_ns: int, ages_ns: dict[str, int]) -> Span:
    """Return how to answer with about `points` points: from the coarsest rows that still give so many.

    Rows that are not kept as far back as the span begins give way to coarser ones.
    """
    start, end = since_ns // SECOND_NS, -(-until_ns // SECOND_NS)
    wanted = max(1, (end - start) // points)
    fine_enough = [each for each in RESOLUTIONS if each.step <= wanted] or [RESOLUTIONS[0]]
    kept = [each for each in RESOLUTIONS if now_ns - since_ns <= ages_ns[each.table]] or [RESOLUTIONS[-1]]
    resolution = max(fine_enough[-1], kept[0], key=lambda each: each.step)
    step = -(-wanted // resolution.step) * resolution.step
    return Span(start // step * step, end, step, resolution)
