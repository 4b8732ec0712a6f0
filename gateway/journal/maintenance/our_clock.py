"""Our own clock, as the journal shows it: by one that is ahead nothing may be deleted."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from gateway.domain.model.timefmt import in_words

LOOK_BACK = 200
"""Of the newest readings the median counts: neither a backlog nor a few wrong clocks move it."""

TOLERANCE_NS = 86_400 * 10**9
"""Our clock may be so far ahead of what the sensors' own clocks say."""

ENOUGH = 10
"""Of the newest readings so many have to bear a time of their own before people are told that our clock is ahead."""

PAUSE_NS = 30 * TOLERANCE_NS
"""The gateway may have been off for so long. After a longer time nothing goes by its age before the next start."""

Times = Sequence[tuple[int, int, int]]
"""The time that counts, that of receipt (both in ns), and the flags of readings."""


def latest_believable(now_ns: int, newest: Times, begun_ns: int) -> int:
    """Return our time, but no later one than the `newest` readings make believable.

    No further than a day past what sensors' own clocks say. Many inputs have none and take ours: so no further, either,
    than `PAUSE_NS` past what the journal held when we began, and the time since: `begun_ns`. Waiting costs nothing,
    deleting costs years.
    """
    own = [time_ns for time_ns, _, flags in newest if not flags]
    by_sensors = [round(median(own)) + TOLERANCE_NS] if own else []
    return min(now_ns, begun_ns + PAUSE_NS, *by_sensors)


def clock_problem(newest: Times) -> str | None:
    """Say that our clock is ahead, if most of the newest readings that bear a time of their own say so."""
    behind = [received_ns - time_ns for time_ns, received_ns, flags in newest if not flags]
    behind_ns = round(median(behind)) if len(behind) >= ENOUGH else 0
    if behind_ns <= TOLERANCE_NS:
        return None
    return (
        f"most readings are {in_words(behind_ns)} behind this machine's clock: it is ahead, unless they are a backlog;"
        " nothing is deleted by its age meanwhile; check the clock (NTP)"
    )
