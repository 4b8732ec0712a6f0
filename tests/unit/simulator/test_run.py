import json
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pytest

from simulator.demo import demo_fleet
from simulator.fleet import Fleet, Part
from simulator.run import MOST_PRESENT, farewells, first_states, messages, presences
from simulator.scenario import Clock, Dropout, Transport
from simulator.sensing import profiles, readings
from simulator.transport import Due

START = datetime(2026, 1, 1, tzinfo=UTC)


def first(number: int, *, seed: int = 1, start: datetime = START, speed: float = 1.0) -> list[Due]:
    return list(islice(sent(demo_fleet(), seed=seed, start=start, speed=speed), number))


def sent(fleet: Fleet, *, seed: int = 1, start: datetime = START, speed: float = 1.0) -> Iterator[Due]:
    due = messages(fleet, profiles(fleet, seed), seed=seed, start=start, speed=speed)
    return (each for each in due if isinstance(each, Due))


def changed(fleet: Fleet, **update: object) -> Fleet:
    """Return the fleet with its first machine's first sensor alone, and that changed."""
    machine = fleet.machines[0]
    sensor = machine.sensors[0].model_copy(update=update)
    return fleet.model_copy(update={"machines": [machine.model_copy(update={"sensors": [sensor]})]})


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
    pump = [each for each in first(12) if "/pump-1/" in each.message.topic]
    other = list(islice(sent(fleet.model_copy(update={"machines": [renamed]})), 2))
    assert levels(other) == levels(pump[:2])
    assert not ids(other) & ids(pump)


def test_a_sensor_draws_the_same_whichever_others_there_are() -> None:
    def drawn(fleet: Fleet) -> list[float]:
        stream = (each for each in readings(fleet, 1, profiles(fleet, 1)) if each.sensor.id == "VB-42345")
        return [each.measurement.level for each in islice(stream, 50)]

    fleet = demo_fleet()
    (conveyor,) = [machine for machine in fleet.machines if machine.id == "conveyor-4"]
    assert drawn(fleet) == drawn(fleet.model_copy(update={"machines": [conveyor]}))


def test_the_event_is_the_documented_one() -> None:
    due = next(each for each in first(6) if "VB-PUMP1-DE" in each.message.topic)
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
    assert event["eventType"] == "VibrationRecorded"
    assert event["timestamp"].startswith("2026-01-01T00:00:00.")
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
    (event,) = decoded([next(sent(changed(demo_fleet(), send_baseline=False)))])
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
    assert due[2].after - due[0].after == pytest.approx(2 / 60)
    stamps = [datetime.fromisoformat(event["timestamp"]) for event in decoded(due)]
    assert (stamps[2] - START).total_seconds() == pytest.approx(due[2].after, abs=1e-5)


def test_messages_come_in_the_order_of_their_time() -> None:
    moments = [each.after for each in first(100)]
    assert moments == sorted(moments)


def test_where_nothing_is_sent_and_no_state_changes_the_time_passes_all_the_same() -> None:
    parts = [Part.model_validate({"lasts": lasts}) for lasts in ("1m", "2m")]  # both of them running
    fleet = changed(demo_fleet(), interval=10.0, faults=(Dropout.model_validate({"kind": "dropout", "after": "5m"}),))
    fleet = fleet.model_copy(update={"machines": [fleet.machines[0].model_copy(update={"cycle": parts})]})
    moments = list(islice(messages(fleet, profiles(fleet, 1), seed=1, start=START), 1000))
    assert moments[-1].after > 5000
    assert max(each.after for each in moments if isinstance(each, Due)) < 300


def test_the_first_states_are_retained() -> None:
    states = first_states(demo_fleet(), profiles(demo_fleet(), 1), START)
    assert all(message.retain for message in states)
    assert (len([m for m in states if m.topic.endswith("/state")]), len(states)) == (4, 10)
    assert json.loads(states[0].payload) == {"state": "running", "timestamp": "2026-01-01T00:00:00.000000Z"}
    assert {m.payload for m in farewells(demo_fleet())} == {b"offline"}


def test_a_sensor_with_a_wrong_clock_stamps_wrongly() -> None:
    fault = Clock.model_validate({"kind": "clock", "after": "2s", "lasts": "2s", "by": "-1d"})
    events = decoded(list(islice(sent(changed(demo_fleet(), faults=(fault,))), 6)))
    assert [event["timestamp"][:10] for event in events] == ["2026-01-01"] * 2 + ["2025-12-31"] * 2 + ["2026-01-01"] * 2


def test_each_change_of_a_machines_state_is_published_retained() -> None:
    stop = {"state": "stopped", "lasts": "30s", "speed": 0, "load": 0}
    parts = [Part.model_validate(each) for each in ({"lasts": "1m"}, stop)]
    fleet = changed(demo_fleet(), interval=10.0)
    fleet = fleet.model_copy(update={"machines": [fleet.machines[0].model_copy(update={"cycle": parts})]})
    due = list(islice(sent(fleet, speed=2.0), 60))
    states = [each for each in due if each.message.topic.endswith("/state")]
    assert [json.loads(each.message.payload)["state"] for each in states[:3]] == ["stopped", "running", "stopped"]
    assert all(each.message.retain for each in states)
    stamp = datetime.fromisoformat(json.loads(states[0].message.payload)["timestamp"])
    assert (stamp - START).total_seconds() == pytest.approx(states[0].after, abs=1e-5)
    assert states[0].after == pytest.approx(30.0, rel=0.11)
    spoken = "running"
    for each in due:
        if each.message.retain:
            spoken = json.loads(each.message.payload)["state"]
        else:
            assert json.loads(each.message.payload)["data"]["operatingState"] == spoken


def test_a_sensor_that_has_lost_its_connection_says_when_it_is_back() -> None:
    lost = Transport.model_validate({"kind": "last-will", "after": "10s", "lasts": "20s", "sensors": ["VB-42345"]})
    fleet = demo_fleet().model_copy(update={"transport": (lost,)})
    (back,) = [each for each in islice(sent(fleet, speed=2.0), 300) if each.message.topic.endswith("/status")]
    assert (back.after, back.message.payload, back.message.retain) == (15.0, b"online", True)
    assert "/VB-42345/" in back.message.topic


def test_few_sensors_hold_a_last_will_each_and_of_many_those_that_lose_it() -> None:
    lost = Transport.model_validate({"kind": "last-will", "after": "10s", "lasts": "20s", "sensors": ["VB-42345"]})
    few = demo_fleet().model_copy(update={"transport": (lost,)})
    present = {each.will.topic: each.losses for each in presences(few, 2.0)}
    assert len(present) == 6
    assert [losses for losses in present.values() if losses] == [((5.0, 15.0),)]
    sensors = [few.machines[0].sensors[0].model_copy(update={"id": f"S-{n}"}) for n in range(MOST_PRESENT)]
    many = few.machines[0].model_copy(update={"sensors": sensors})
    assert len(presences(few.model_copy(update={"machines": [many, *few.machines[1:]]}), 1.0)) == 1
