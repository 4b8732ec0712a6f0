"""A score as figures: for each kind of fault, for the false alarms, and beside the goals."""

from collections.abc import Iterable
from datetime import timedelta
from statistics import median

import msgspec

from simulator.score import MOST_FALSE, NAMED, ON_READINGS, PATIENCE, Found, Score

PER_HOURS = 1000
P90 = 0.9


class Kind(msgspec.Struct, frozen=True, rename="camel"):
    """What came of the faults of one kind; delays in seconds from when they show. `shown` left the normal band."""

    kind: str
    scope: str
    growing: bool
    faults: int
    shown: int
    found: int
    missed: int
    delay_median: float | None
    delay_p90: float | None
    named: int | None
    taken_for_machine: int
    chattering: int


class Goal(msgspec.Struct, frozen=True):
    """A figure, what it is to be, and whether it is; a value of None is something that did not happen."""

    goal: str
    value: float | None
    unit: str
    limit: str
    met: bool


class Grades(msgspec.Struct, frozen=True, rename="camel"):
    """The whole report."""

    kinds: list[Kind]
    alerts_belonging_to_no_fault: int
    healthy_sensor_hours: float
    false_alarms_per_1000_sensor_hours: float
    chattering: int
    goals: list[Goal]


def grade(score: Score) -> Grades:
    """Sum a score up."""
    kinds = sorted({(each.fault.scope, each.fault.kind) for each in score.found})
    found = [_kind([each for each in score.found if (each.fault.scope, each.fault.kind) == kind]) for kind in kinds]
    hours = score.healthy_hours
    rate = PER_HOURS * len(score.false) / hours if hours else 0.0
    return Grades(
        kinds=found,
        alerts_belonging_to_no_fault=len(score.false),
        healthy_sensor_hours=round(hours, 1),
        false_alarms_per_1000_sensor_hours=round(rate, 3),
        chattering=sum(each.chattering for each in found),
        goals=list(_goals(score, rate)),
    )


def _kind(found: list[Found]) -> Kind:
    first = found[0].fault
    shown = [each for each in found if each.fault.shows is not None]
    delays = _delays(found)
    is_sensor = first.scope == "sensor"
    return Kind(
        kind=first.kind,
        scope=first.scope,
        growing=first.growing,
        faults=len(found),
        shown=len(shown),
        found=sum(each.first is not None for each in found),
        missed=sum(each.first is None for each in shown),
        delay_median=median(delays) if delays else None,
        delay_p90=_p90(delays) if delays else None,
        named=sum(each.named for each in found) if is_sensor else None,
        taken_for_machine=sum(any(alert.kind == "machine" for alert in each.alerts) for each in found)
        if is_sensor
        else 0,
        chattering=sum(each.chattered for each in found),
    )


def _delays(found: Iterable[Found]) -> list[float]:
    return sorted(each.delay.total_seconds() for each in found if each.delay is not None)


def _p90(ordered: list[float]) -> float:
    return ordered[min(len(ordered) - 1, int(P90 * len(ordered)))]


def _goals(score: Score, rate: float) -> Iterable[Goal]:
    growing = [each for each in score.found if each.fault.growing and each.fault.shows is not None]
    if growing:
        found = sum(each.first is not None for each in growing)
        yield Goal("growing faults found", found, f"of {len(growing)}", "all", found == len(growing))
        allowed = _minutes(ON_READINGS * score.longest_interval + PATIENCE)
        middle = _middle(growing)
        met = middle is not None and middle <= allowed
        yield Goal("their median delay", middle, "min", f"≤ {allowed:g}", met)
    rate = round(rate, 3)
    yield Goal("false alarms", rate, "in 1,000 sensor-hours", f"< {MOST_FALSE:g}", rate < MOST_FALSE)
    nameable = [each for each in score.found if each.fault.scope == "sensor" and each.fault.kind in NAMED]
    if nameable:
        named = sum(each.named for each in nameable)
        yield Goal("sensor faults named as such", named, f"of {len(nameable)}", "all", named == len(nameable))
    wrong = sum(
        any(alert.kind == "machine" for alert in each.alerts) for each in score.found if each.fault.scope == "sensor"
    )
    yield Goal("sensor faults taken for a machine's", wrong, "", "none", wrong == 0)


def _minutes(time: timedelta) -> float:
    return round(time / timedelta(minutes=1), 1)


def _middle(found: list[Found]) -> float | None:
    """Return the median delay in minutes; a fault that was not found counts as one that is found last."""
    delays = sorted(timedelta.max if each.delay is None else each.delay for each in found)
    middle = delays[(len(delays) - 1) // 2]
    return None if middle == timedelta.max else _minutes(middle)
