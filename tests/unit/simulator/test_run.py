import json
import uuid
from collections import defaultdict
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from simulator.fleet import Fleet, demo_fleet
from simulator.run import Due, first_states, messages, readings, statuses

START = datetime(2026, 1, 1, tzinfo=UTC)


def first(number: int, *, seed: int = 1, start: datetime = START, speed: float = 1.0) -> list[Due]:
    return list(islice(messages(demo_fleet(), seed=seed, start=start, speed=speed), number))


def decoded(due: list[Due]) -> list[dict[str, Any]]:
    return [json.loads(each.message.payload) for each in due]


def levels(due: list[Due]) -> list[float]:
    return [event["data"]["vibrationLevel"] for event in decoded(due)]


def ids(due: list[Due]) -> set[str]:
    return {event["eventId"] for event in decoded(due)}


def test_the_same_seed_and_start_give_the_same_bytes() -> None:
    assert first(200) == first(200)


def test_the_same_seed_gives_the_same_levels_at_another_time_under_other_ids() -> None:
    now, later = first(60), first(60, start=datetime(2026, 1, 2, tzinfo=UTC))
    assert levels(now) == levels(later)
    assert len(ids(now) | ids(later)) == 120


def test_another_seed_gives_other_levels_and_ids() -> None:
    assert levels(first(60)) != levels(first(60, seed=2))
    assert not ids(first(60)) & ids(first(60, seed=2))


def test_a_fleet_with_another_content_uses_other_ids() -> None:
    fleet = demo_fleet()
    renamed = fleet.machines[0].model_copy(update={"description": "Another pump"})
    other = next(messages(fleet.model_copy(update={"machines": [renamed]}), seed=1, start=START))
    assert levels([other]) == levels(first(1))
    assert ids([other]) != ids(first(1))


def test_a_sensor_draws_the_same_whichever_others_there_are() -> None:
    def drawn(fleet: Fleet) -> list[float]:
        stream = (each for each in readings(fleet, seed=1) if each.sensor.id == "VB-42345")
        return [each.measurement.level for each in islice(stream, 50)]

    fleet = demo_fleet()
    (conveyor,) = [machine for machine in fleet.machines if machine.id == "conveyor-4"]
    assert drawn(fleet) == drawn(fleet.model_copy(update={"machines": [conveyor]}))


def test_the_event_is_the_documented_one() -> None:
    (due,) = first(1)
    (event,) = decoded([due])
    assert due.message.topic == "vibration/demo-plant/pump-house/pump-1/VB-PUMP1-DE/reading"
    assert not due.message.retain
    assert list(event) == [
        "eventId",
        "eventType",
        "timestamp",
        "source",
        "sensorLocation",
        "version",
        "data",
        "metadata",
        "systemMessage",
    ]
    assert uuid.UUID(event["eventId"])
    assert (event["eventType"], event["timestamp"]) == ("VibrationRecorded", "2026-01-01T00:00:00.000000Z")
    assert event["metadata"] == {"model": "VibroMonitor Pro X1", "calibrationDate": "2023-06-15"}
    data = event["data"]
    assert set(data) == {
        "sensorId",
        "vibrationLevel",
        "baselineVibrationLevel",
        "unit",
        "difference",
        "velocityRms",
        "peak",
        "crestFactor",
        "kurtosis",
        "temperature",
        "rpm",
        "load",
        "operatingState",
        "sequence",
    }
    assert (data["sensorId"], data["unit"], data["operatingState"], data["sequence"]) == (
        "VB-PUMP1-DE",
        "m/s²",
        "running",
        0,
    )
    assert data["difference"] == pytest.approx(data["vibrationLevel"] - data["baselineVibrationLevel"])


def test_a_sensor_that_does_not_know_its_baseline_compares_nothing() -> None:
    fleet = demo_fleet()
    machine = fleet.machines[0]
    sensor = machine.sensors[0].model_copy(update={"send_baseline": False})
    silent = fleet.model_copy(update={"machines": [machine.model_copy(update={"sensors": [sensor]})]})
    (event,) = decoded([next(messages(silent, seed=1, start=START))])
    assert not {"baselineVibrationLevel", "difference"} & set(event["data"])
    assert "systemMessage" not in event


def test_the_failing_bearing_passes_the_limits_and_no_other_does() -> None:
    ratios = defaultdict(list)
    for event in decoded(first(6 * 300)):
        data = event["data"]
        ratios[data["sensorId"]].append(data["vibrationLevel"] / data["baselineVibrationLevel"])
    failing = ratios.pop("VB-PUMP1-DE")
    assert max(failing[:15]) < 1.35
    assert next(i for i in range(300) if min(failing[i : i + 3]) > 1.6) == pytest.approx(40, abs=6)
    assert next(i for i in range(300) if min(failing[i : i + 3]) > 2.5) == pytest.approx(75, abs=6)
    assert failing[-1] == pytest.approx(4.0, rel=0.15)
    assert max(max(others) for others in ratios.values()) < 1.35


def test_the_message_of_a_worn_bearing_asks_for_an_inspection() -> None:
    texts = [event["systemMessage"] for event in decoded(first(600)) if event["data"]["sensorId"] == "VB-PUMP1-DE"]
    assert "within the acceptable range" in texts[0]
    assert "Immediate inspection required" in texts[-1]


def test_time_stamps_pass_in_real_time_whatever_the_speed() -> None:
    due = [each for each in first(60, speed=60.0) if "VB-PUMP1-DE" in each.message.topic]
    assert [each.after for each in due[:3]] == pytest.approx([0, 1 / 60, 2 / 60])
    assert decoded(due)[2]["timestamp"] == "2026-01-01T00:00:00.033333Z"


def test_messages_come_in_the_order_of_their_time() -> None:
    moments = [each.after for each in first(100)]
    assert moments == sorted(moments)


def test_the_first_states_are_retained() -> None:
    states = first_states(demo_fleet(), START)
    assert all(message.retain for message in states)
    assert (len([m for m in states if m.topic.endswith("/state")]), len(states)) == (4, 10)
    assert json.loads(states[0].payload) == {"state": "running", "timestamp": "2026-01-01T00:00:00.000000Z"}
    assert {m.payload for m in statuses(demo_fleet(), "offline")} == {b"offline"}
