"""The facts that tell how what is normal for a sensor has changed, and who changed it."""

from __future__ import annotations

from typing import Any

from gateway.domain.baseline import Baseline
from gateway.domain.events import Fact, derived_id, rfc3339
from gateway.domain.sensors import Sensor

BASELINE_LEARNED = "BaselineLearned"
BASELINE_SET = "BaselineSet"
BASELINE_RELEARN = "BaselineRelearn"


def by_a_person(type_: str, sensor_id: str, time_ns: int, data: dict[str, Any]) -> Fact:
    """Return a fact whose cause is a person: it begins a story of its own."""
    id_ = derived_id(type_, sensor_id, str(time_ns))
    return Fact(id_, type_, time_ns, sensor_id, id_, id_, data)


def read_baseline(fact: Fact) -> Baseline:
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
