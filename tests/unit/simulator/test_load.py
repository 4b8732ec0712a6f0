import json
from collections import Counter, defaultdict
from datetime import datetime
from itertools import islice, pairwise
from typing import Any

import pytest

from simulator.formats import FORMATS
from simulator.load import BASELINE, Load, Result, disturbed, payloads
from simulator.publishing import Message
from tests.unit.simulator.formats.reading import READERS


def events(load: Load, messages: int | None = None) -> list[dict[str, Any]]:
    decoded = [json.loads(payload) for _, payload, _ in islice(payloads(load), messages)]
    return [event for each in decoded for event in (each if isinstance(each, list) else [each])]


def test_events_are_valid_and_unique() -> None:
    sent = events(Load(sensors=7, machines=2), 700)
    assert {event["eventType"] for event in sent} == {"VibrationRecorded"}
    assert len({event["eventId"] for event in sent}) == 700
    assert len({event["timestamp"] for event in sent}) == 700
    for event in sent:
        data = event["data"]
        assert data["vibrationLevel"] - data["baselineVibrationLevel"] == pytest.approx(data["difference"])


def test_no_name_of_a_machine_is_taken_for_a_place() -> None:
    (last,) = events(Load(sensors=3000, machines=3000, count=3000))[2999:]
    assert last["sensorLocation"] == "Hall 1, machine-3000"


def test_each_sensor_has_increasing_times_and_sequences_in_its_own_topic() -> None:
    by_sensor: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for topic, payload, _ in islice(payloads(Load(sensors=5, machines=2)), 500):
        event = json.loads(payload)
        data = event["data"]
        assert f"/{data['sensorId']}/reading".encode() in topic
        by_sensor[data["sensorId"]].append((datetime.fromisoformat(event["timestamp"]), data["sequence"]))
    assert sorted(by_sensor) == [f"LOAD-{number:06d}" for number in range(1, 6)]
    for readings in by_sensor.values():
        assert all(earlier[0] < later[0] for earlier, later in pairwise(readings))
        assert [sequence for _, sequence in readings] == list(range(100))


def test_two_runs_share_no_id_and_the_same_seed_shares_levels() -> None:
    one, other = events(Load(seed=4), 50), events(Load(seed=4), 50)
    assert not {event["eventId"] for event in one} & {event["eventId"] for event in other}
    assert [event["data"]["vibrationLevel"] for event in one] == [event["data"]["vibrationLevel"] for event in other]


@pytest.mark.parametrize(("count", "batch"), [(10, 1), (10, 4), (12, 4), (1, 50)])
def test_exactly_the_readings_that_were_asked_for(count: int, batch: int) -> None:
    load = Load(sensors=3, machines=1, count=count, batch=batch)
    assert sum(size for _, _, size in payloads(load)) == len(events(load)) == count


def test_a_batch_holds_one_sensor_in_order() -> None:
    (_, payload, size), *_ = islice(payloads(Load(sensors=3, machines=1, batch=4)), 1)
    batch = json.loads(payload)
    assert size == len(batch) == 4
    assert {event["data"]["sensorId"] for event in batch} == {"LOAD-000001"}
    assert [event["data"]["sequence"] for event in batch] == [0, 1, 2, 3]


def test_only_the_sensors_that_were_asked_for_exceed() -> None:
    exceeding = Counter(
        event["data"]["sensorId"]
        for event in events(Load(sensors=10, machines=1, alert_every=5), 100)
        if event["data"]["vibrationLevel"] > 1.35 * BASELINE
    )
    assert exceeding == {"LOAD-000005": 10, "LOAD-000010": 10}
    assert all(event["data"]["vibrationLevel"] < 1.35 * BASELINE for event in events(Load(), 2000))


def test_percentiles_are_in_milliseconds() -> None:
    result = Result(latencies=Counter({100: 98, 500: 1, 900: 1}))
    assert (result.percentile(0.5), result.percentile(0.99), result.percentile(1.0)) == pytest.approx((1.0, 5.0, 9.0))
    assert Result().percentile(0.5) == 0.0


def test_a_disturbed_load_has_every_message_some_of_them_late_and_others_beside_them() -> None:
    load = Load(sensors=10, machines=1, count=5000)
    plain = list(payloads(load))
    found = list(disturbed(iter(plain), load))
    counted = [payload for _, payload, size in found if size]
    assert sorted(counted) == sorted(payload for _, payload, _ in plain)
    assert counted != [payload for _, payload, _ in plain]
    beside = [payload for _, payload, size in found if not size]
    twice = [payload for payload in beside if payload in set(counted)]
    assert 20 < len(twice) < 90
    assert 20 < len(beside) - len(twice) < 90


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "event"])
def test_a_load_in_a_format_has_all_sensors_with_their_levels_and_exactly_so_many_messages(name: str) -> None:
    form, levels, state = FORMATS[name], defaultdict[str, list[float]](list), dict[str, object]()
    load = Load(sensors=6, machines=2, count=240, alert_every=3, form=form)
    sent = [(Message(topic[2:].decode(), payload), size) for topic, payload, size in payloads(load)]
    assert sum(size for _, size in sent) == len(sent) == 240
    for message, _ in sent:
        for sensor, _, found in READERS[name](message, state):
            levels[sensor] += [found[quantity] for quantity in ("level", "peak") if quantity in found][:1]
    assert len(levels) == 6 * max(1, len(form.axes))
    scale = 4.0 if name == "zigbee2mqtt" else 1.0  # it says nothing but a peak
    firsts = [values for sensor, values in levels.items() if values and (not form.axes or sensor.endswith("-x"))]
    means = sorted(sum(values) / len(values) / scale / BASELINE for values in firsts)
    assert means == pytest.approx([1.0] * 4 + [3.2] * 2, rel=0.05) or name == "tasmota"
