"""The facts that tell how what is normal for a sensor has changed, and who changed it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.state import Sensor
from gateway.domain.model.events import DomainEvent, derived_id
from gateway.domain.model.timefmt import rfc3339

BASELINE_LEARNED = "BaselineLearned"
BASELINE_SET = "BaselineSet"
BASELINE_RELEARN = "BaselineRelearn"


def by_a_person(type_: str, sensor_id: str, time_ns: int, data: dict[str, Any]) -> DomainEvent:
    """Return a fact whose cause is a person: it begins a story of its own."""
    id_ = derived_id(type_, sensor_id, str(time_ns))
    return DomainEvent(id_, type_, time_ns, sensor_id, id_, id_, data)


def read_baseline(fact: DomainEvent) -> Baseline:
    """Return the baseline that a BaselineSet tells of."""
    data = fact.data
    return Baseline(
        data["level"], "set", version=data["version"], from_ns=fact.time_ns, to_ns=fact.time_ns,
        state=data["state"], by=data["by"],
    )  # fmt: skip


def describe_baseline(baseline: Baseline, sensor: Sensor) -> dict[str, object]:
    """Return a baseline as the facts tell it."""
    return {
        "sensorId": sensor.id,
        "level": baseline.level,
        "sigma": baseline.sigma,
        "unit": sensor.unit,
        "source": baseline.source,
        "version": baseline.version,
        "readings": baseline.readings,
        "from": rfc3339(baseline.from_ns),
        "to": rfc3339(baseline.to_ns),
        "state": baseline.state,
        "by": baseline.by,
    }


CHANGES = {BASELINE_LEARNED: "learned", BASELINE_SET: "set", BASELINE_RELEARN: "relearn"}
"""Type of the fact -> what happened to the baseline, in a word."""


def described(fact: DomainEvent) -> Mapping[str, Any]:
    """Return a change of a baseline as every interface shows it: what the fact holds, and what happened when."""
    return {"change": CHANGES[fact.type], "at": rfc3339(fact.time_ns), **fact.data}


def current(facts: Iterable[DomainEvent]) -> list[Mapping[str, Any]]:
    """Return the baselines that hold after these facts, oldest first, in the order of sensors and operating states."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for fact in facts:
        if fact.type != BASELINE_RELEARN:
            found[fact.subject, fact.data.get("state", "")] = described(fact)
            continue
        state = fact.data["state"]
        gone = [key for key in found if key[0] == fact.subject and state in {None, key[1]}]
        for key in gone:
            del found[key]
    return [found[key] for key in sorted(found)]
