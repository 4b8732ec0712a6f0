"""A machine that runs differently after a restart is told apart from a fault of one of its sensors."""

from typing import Any

import pytest

from gateway.domain.detection.baseline_events import BASELINE_RELEARN
from gateway.domain.detection.machine_shift import REGIME_CHANGED
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Sensor, SensorState
from gateway.domain.detection.timeline import Clocks
from gateway.domain.engine.engine import Engine
from tests.readings import NOON_NS
from tests.unit.domain.test_engine import recorded, take, types

RULES = Rules(learning_readings=20, learning_ns=0, settling_ns=0)
NAMES = ("drive-end", "fan-end", "gearbox")


def machine(count: int = 3, name: str | None = "pump-7", **more: Any) -> tuple[Engine, list[Sensor]]:
    tags = {} if name is None else {"machine": name}
    sensors = [Sensor(key, NAMES[key], tags, "m/s²", "", NOON_NS, SensorState()) for key in range(count)]
    made = Engine(lambda _: Rules(**{**{key: getattr(RULES, key) for key in RULES.__struct_fields__}, **more}),
                  Clocks(10**12))  # fmt: skip
    made.set_state(sensors, [])
    return made, sensors


def run(made: Engine, sensors: list[Sensor], *, after: list[float], stop: bool = True) -> list[Any]:
    """Learn at about 4, stand still, and start again with each sensor at its level of `after`."""
    changes: list[Any] = []
    for second in range(60):
        for one in sensors:
            stopped = stop and 40 <= second < 45
            level = 4.0 + 0.1 * (second * 7 % 5) if second < 40 else after[one.key] + 0.01 * (second % 3)
            state = {"operatingState": "stopped"} if stopped else {}
            changes += take(made, one, recorded(second, 0.1 if stopped else level, sensor=one.id, **state))
    return [change for change in changes if change.fact.type != "BaselineLearned"]


def test_a_shift_of_all_is_one_fact_and_one_thing_to_look_at() -> None:
    made, sensors = machine()
    change, *relearned, told = run(made, sensors, after=[6.0, 7.0, 6.5])
    assert (change.fact.type, change.alert) == (REGIME_CHANGED, None)
    assert [(each.fact.type, each.fact.subject, each.alert) for each in relearned] == [
        (BASELINE_RELEARN, name, None) for name in NAMES
    ]
    assert (told.fact.type, told.alert.kind, told.alert.faults.keys()) == ("AlertRaised", "sensor", {"shifted"})
    assert told.alert.reason == change.fact.data["reason"]
    assert change.fact.data["machine"] == "pump-7"
    assert [each["sensorId"] for each in change.fact.data["sensors"]] == list(NAMES)
    assert change.fact.data["reason"].startswith("All 3 sensors of the machine are at 1.4")


def test_afterwards_each_sensor_learns_what_is_normal_now() -> None:
    made, sensors = machine()
    run(made, sensors, after=[6.0, 7.0, 6.5])
    later = [change for second in range(60, 90) for one in sensors
             for change in take(made, one, recorded(second, 6.5 + 0.1 * (second % 3), sensor=one.id))]  # fmt: skip
    learned = [change for change in later if change.fact.type == "BaselineLearned"]
    assert {change.fact.data["version"] for change in learned} == {2}
    assert types([change for change in later if change not in learned]) == ["AlertCleared"]


def test_most_of_the_sensors_suffice_and_the_others_keep_what_they_know() -> None:
    made, sensors = machine()
    change = run(made, sensors, after=[6.5, 7.0, 4.0])[0]
    assert change.fact.type == REGIME_CHANGED
    assert [each["sensorId"] for each in change.fact.data["sensors"]] == list(NAMES[:2])


def test_more_than_the_allowed_ratio_is_never_taken_for_a_new_normal() -> None:
    made, sensors = machine(critical_ratio=4.0)
    assert types(run(made, sensors, after=[8.9, 9.0, 9.1])) == ["AlertRaised"] * 3


@pytest.mark.parametrize(
    ("after", "stop"),
    [
        ([6.5, 4.0, 4.0], True),
        ([6.0, 7.0, 6.5], False),
        ([6.0, 12.0, 12.0], True),
    ],
    ids=["one", "without a restart", "critical"],
)
def test_anything_else_is_an_alert_of_each_sensor(after: list[float], stop: bool) -> None:  # noqa: FBT001 - a case
    made, sensors = machine()
    changes = run(made, sensors, after=after, stop=stop)
    raised = {change.fact.subject for change in changes if change.fact.type == "AlertRaised"}
    assert raised == {one.id for one in sensors if after[one.key] > 5}
    assert not [change for change in changes if change.fact.type == REGIME_CHANGED]


def test_a_sensor_alone_on_its_machine_cannot_be_told_apart() -> None:
    made, sensors = machine(1)
    assert types(run(made, sensors, after=[6.5])) == ["AlertRaised"]


def test_sensors_of_no_named_machine_have_nothing_in_common() -> None:
    made, sensors = machine(name=None)
    assert types(run(made, sensors, after=[6.0, 7.0, 6.5])) == ["AlertRaised"] * 3


def test_it_can_be_switched_off() -> None:
    made, sensors = machine(regime_change=False)
    assert types(run(made, sensors, after=[6.0, 7.0, 6.5])) == ["AlertRaised"] * 3


def test_a_baseline_that_somebody_chose_is_not_given_up() -> None:
    made, sensors = machine(baseline=4.0)
    assert types(run(made, sensors, after=[7.0, 7.0, 7.0])) == ["AlertRaised"] * 3
