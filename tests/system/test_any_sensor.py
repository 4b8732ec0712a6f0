"""What every kind of sensor says, from its broker through the program into journal and InfluxDB: no more, no less."""

import json
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from math import pi, sin, sqrt
from pathlib import Path
from typing import Any

import cbor2
import pytest

from gateway.domain.inputs.results import timestamp
from gateway.domain.model.quantities import BY_KEY, BY_WIRE, UNITS, vibration_unit
from tests import accelerometer
from tests.accounting import EVERYTHING, facts
from tests.conftest import required
from tests.faults.gateways import MortalGateway
from tests.servers.edge_node import DEVICE, GROUP, NODE, edge_node
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Message, Mosquitto, Recording
from tests.servers.waiting import until

SAMPLES = Path(__file__).parents[1] / "presets"
PLANTS = [
    ["advantech-wise-2410", "banner-qm42vt", "telegraf-line"],
    ["dragino"],
]
"""Presets on topics that others have too; these are plants of their own. The rest shares one gateway."""
REST = sorted({folder.name for folder in SAMPLES.iterdir()} - {name for plant in PLANTS for name in plant})
LAST = '[[inputs]]\nname = "last"\ntopic = "last/{sensor}"\nformat = "value"\nfields = { level = ["value", "m/s²"] }\n'
"""An input for the message that comes after all the others."""

LONG_AGO = timedelta(days=1)
"""What is older has its time from the sample; the others are told by how long before the receipt they were."""

Make = Callable[..., MortalGateway]
Reading = dict[str, Any]
Fact = dict[str, Any]


@pytest.fixture
def make(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Make]:
    """Make a gateway that reads these inputs, and nothing else."""
    made: list[MortalGateway] = []

    def make_gateway(inputs: str, **options: Any) -> MortalGateway:
        changes = {"mqtt": {"topics": None} | options.pop("mqtt", {})}
        gateway = MortalGateway(tmp_path / "gateway", mosquitto, changes=changes, **options)
        with gateway.config.open("a", encoding="utf-8") as config:
            config.write(f"\n{LAST}\n{inputs}")
        made.append(gateway)
        return gateway

    yield make_gateway
    for gateway in made:
        gateway.stop()


def finish(gateway: MortalGateway, broker: Mosquitto) -> list[Fact]:
    """Let a last message follow all others, and return every other reading once it is there."""
    broker.publish("last/LAST", "1")
    until(lambda: gateway.rows("SELECT 1 FROM sensors WHERE id = 'LAST'"), 20, "the last reading")
    events = gateway.ask("events", "list", "--type", "VibrationRecorded", *EVERYTHING)
    return [event for event in events if event["sensorId"] != "LAST"]


def from_journal(event: Fact) -> Reading:
    """Return a reading of the journal as samples have it. An event of our own keeps the unit that it came in."""
    data = dict(event["event"]["data"])
    level, own = data.get("vibrationLevel"), vibration_unit(data["unit"])
    time, received = (datetime.fromisoformat(text) for text in (event["event"]["timestamp"], event["receivedAt"]))
    return {
        "sensor": data.pop("sensorId"),
        "time": time if received - time > LONG_AGO else round((received - time).total_seconds(), 3),
        "level": level if level is None or own is None else own[1].canonical(level),
        "unit": UNITS[own[0]][0].symbol if own else data["unit"],
        "quantities": {wire: value for wire, value in data.items() if wire in BY_WIRE},
    }


def from_sample(reading: Reading, received: str) -> Reading:
    """Return an expected reading as `from_journal` gives it, equal to one whose numbers differ by rounding."""
    time = datetime.fromisoformat(reading["time"])
    ago = round((datetime.fromisoformat(received) - time).total_seconds(), 3)
    return {
        "sensor": reading["sensor"],
        "time": ago if reading["timeFrom"] == "received" else time,
        "level": reading["level"] if reading["level"] is None else pytest.approx(reading["level"]),
        "unit": reading["unit"],
        "quantities": pytest.approx(reading["quantities"]),
    }


def points(influx: Influx) -> Counter[tuple[Any, ...]]:
    """Return what InfluxDB has of every sensor but the last: level and quantities by their names there."""
    fields = ["level", *BY_KEY]
    rows = influx.query(f"SELECT {', '.join(fields)} FROM vibration WHERE sensor <> 'LAST' GROUP BY sensor")  # noqa: S608 - InfluxQL, of a test
    return Counter((row["sensor"], *(row[field] for field in fields)) for row in rows)


def as_points(stored: list[Fact]) -> Counter[tuple[Any, ...]]:
    """Return what InfluxDB has to have of these."""
    found = [event["event"]["data"] for event in stored]
    return Counter(
        (data["sensorId"], data.get("vibrationLevel"), *(data.get(wire) for wire in BY_WIRE)) for data in found
    )


@pytest.mark.parametrize("presets", [*PLANTS, REST], ids=lambda names: f"{names[0]}-and-{len(names) - 1}-more")
def test_the_samples_of_all_presets_give_exactly_their_readings(
    make: Make, mosquitto: Mosquitto, influx: Influx, presets: list[str]
) -> None:
    samples = {name: json.loads((SAMPLES / name / "expected.json").read_text()) for name in presets}
    gateway = make("\n".join((SAMPLES / name / "input.toml").read_text() for name in presets), influx=influx)
    gateway.start()
    for name, sample in samples.items():
        mosquitto.publish_all(
            [(message["topic"], (SAMPLES / name / message["file"]).read_bytes()) for message in sample["messages"]]
        )
    stored = finish(gateway, mosquitto)
    expected = [
        from_sample(reading, sample["received"]) for sample in samples.values() for reading in sample["readings"]
    ]
    assert sorted(map(from_journal, stored), key=by_sensor) == sorted(expected, key=by_sensor)
    assert gateway.ask("deadletters", "list") == []
    gone = {fact["subject"] for fact in facts(gateway, "SensorStatusChanged") if fact["data"]["status"] == "offline"}
    assert gone == {sensor for sample in samples.values() for sensor in said_to_be_gone(sample)}
    until(lambda: points(influx) == as_points(stored), 10, "the same in InfluxDB")


def by_sensor(reading: Reading) -> str:
    """Order readings by sensor; those of one sensor stay in the order in which they came."""
    return str(reading["sensor"])


def said_to_be_gone(sample: Fact) -> Iterator[str]:
    """Iterate over the sensors, axis by axis, of which a sample says that they have gone."""
    sources = [status["sensor"] for status in sample["statuses"] if status["status"] == "offline"]
    for reading in sample["readings"]:
        if reading["sensor"].removesuffix(f"-{reading['axis']}") in sources:
            yield reading["sensor"]


BARE = '[[inputs]]\nname = "bare"\ntopic = "bare/{sensor}"\nformat = "value"\nfields = { level = "value" }\n'
"""An input of sensors that say a number and nothing else: its time is the receive time, and so the id is another."""


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("point", ["after-commit", "before-acknowledgement"])
def test_what_has_no_time_of_its_own_is_stored_once_though_the_gateway_is_killed(
    make: Make, mosquitto: Mosquitto, *, point: str, protocol: str
) -> None:
    gateway = make(BARE, mqtt={"protocol": protocol})
    gateway.arm(point, 2)
    gateway.start()
    sent = [(f"bare/S-{number % 3}", f"{1 + number // 6}") for number in range(60)]  # always two alike of a sensor
    for begin in range(0, len(sent), 10):
        mosquitto.publish_all(sent[begin : begin + 10])
        until(partial(gateway.has_taken, begin + 10), 20, "ten messages, or its end")
    gateway.wait_for_death()
    gateway.start()
    stored = finish(gateway, mosquitto)
    assert Counter((f"bare/{event['sensorId']}", f"{event['level']:g}") for event in stored) == Counter(sent)


DECODED = '[[inputs]]\nname = "esp32"\ntopic = "accel"\ndecoder = "esp32-accelerometer"\n'
SAMPLES_A_SECOND = 800
AMPLITUDES = {"x": 400, "y": 90, "z": 1000}  # mg


def measurement(id_: str, t0_us: int) -> Iterator[bytes]:
    """Iterate over the messages of a measurement: each axis swings with its amplitude, in two parts."""
    yield cbor2.dumps({"type": "meta", "id": id_, "dev": "press-4", "t0_us": t0_us, "n": 400, "fs": SAMPLES_A_SECOND})
    yield cbor2.dumps({"type": "dt", "id": id_, "idx": 0, "parts": 1, "dt": array("H", [1250] * 399).tobytes()})
    for axis, amplitude in AMPLITUDES.items():
        wave = array("h", (round(amplitude * sin(pi * number / 20)) for number in range(400)))
        for part in range(2):
            samples = wave[200 * part : 200 * part + 200].tobytes()
            yield cbor2.dumps({"type": axis, "id": id_, "idx": part, "parts": 2, "a": samples})


def test_a_decoder_joins_messages_that_belong_together_though_the_gateway_is_killed_in_between(
    make: Make, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    gateway = make(DECODED)
    gateway.put_on_path(accelerometer.install(tmp_path / "plugins"))
    gateway.start()
    now_us = time.time_ns() // 1000
    messages = [("accel", payload) for payload in measurement("m-1", now_us)]
    mosquitto.publish_all(messages[:3])
    until(lambda: gateway.metric("messages_received_total") >= 3, 10, "the first part of an axis")
    gateway.kill()
    gateway.start()
    mosquitto.publish_all([*messages[3:], ("accel", next(measurement("m-2", now_us))), ("accel", b"\xff")])
    mosquitto.publish("accel", list(measurement("m-0", now_us))[-1])
    until(lambda: gateway.readings() >= 3, 10, "the features of three axes")
    found = {event["sensorId"]: event for event in finish(gateway, mosquitto)}
    assert {sensor: event["level"] for sensor, event in found.items()} == {
        f"press-4-{axis}": pytest.approx(9.80665e-3 * amplitude / sqrt(2), rel=2e-3)
        for axis, amplitude in AMPLITUDES.items()
    }
    assert {event["event"]["timestamp"] for event in found.values()} == {timestamp(now_us)}
    assert found["press-4-x"]["event"]["data"]["sensorUnit"] == "mg"
    assert sorted(letter["detail"][:70] for letter in gateway.ask("deadletters", "list")) == [
        "input 'esp32': the decoder failed: CBORDecodeError: break code encount",
        "input 'esp32': the decoder failed: ValueError: nothing is known of mea",
    ]


SPARKPLUG = """
[[inputs]]
preset = "sparkplug-b"
[inputs.rows.fields]
"DE/Velocity" = ["velocity_rms", "mm/s"]
"""


def newest(gateway: MortalGateway) -> float:
    """Return the newest velocity in the journal, in mm/s."""
    return float(gateway.rows("SELECT level FROM readings ORDER BY seq DESC LIMIT 1")[0][0])


def newest_sent(recording: Recording) -> float:
    """Return the newest velocity that the node has sent: 0.5 after its birth, and then 0.25 more each time."""
    kinds = [message.topic.split("/")[2] for message in recording.messages]
    return 0.25 + 0.25 * kinds[::-1].index("DBIRTH")


def test_an_edge_node_is_heard_through_a_restart_asked_for_its_birth_and_known_to_be_gone(
    make: Make, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    gateway = make(SPARKPLUG)
    with mosquitto.record("spBv1.0/#") as recording:

        def asked() -> int:
            return sum(message.topic == f"spBv1.0/{GROUP}/NCMD/{NODE}" for message in recording.messages)

        with required(), edge_node(mosquitto.port, tmp_path) as node:
            recording.wait_for(lambda messages: any("/DDATA/" in message.topic for message in messages))
            gateway.start()  # after the births: their aliases mean nothing to it
            until(lambda: gateway.readings() > 3, 20, "readings, once the node has been asked to be born again")
            assert asked() == 1
            node.pause()
            until(lambda: newest(gateway) == newest_sent(recording), 10, "everything that the node has said")
            gateway.kill()
            gateway.start()
            before = gateway.readings()
            node.resume()
            until(lambda: gateway.readings() > before + 3, 20, "readings whose names it has from before")
            assert asked() == 1
        until(lambda: facts(gateway, "SensorStatusChanged"), 10, "the end of the node")
    (gone,) = facts(gateway, "SensorStatusChanged")
    assert (gone["subject"], gone["data"]["status"]) == (f"{NODE}/{DEVICE}", "offline")
    assert {event["event"]["data"]["velocityRms"] for event in finish(gateway, mosquitto)} >= {2.5, 0.5, 0.75}


def states(messages: list[Message]) -> list[bytes]:
    """Return what the host has said of itself; what it has only repeated, to put others right, counts once."""
    return [payload for payload, _ in groupby(message.payload for message in messages)]


def test_edge_nodes_are_told_that_their_host_is_there_and_when_it_is_gone(make: Make, mosquitto: Mosquitto) -> None:
    gateway = make(SPARKPLUG)
    with mosquitto.record("spBv1.0/STATE/edge-1") as recording:
        gateway.start()
        recording.wait_for(lambda messages: len(states(messages)) == 1)
        gateway.kill()
        recording.wait_for(lambda messages: len(states(messages)) == 2)
        gateway.start()
        recording.wait_for(lambda messages: len(states(messages)) == 3)
        gateway.stop()
        recording.wait_for(lambda messages: len(states(messages)) == 4)
    said = [json.loads(payload) for payload in states(recording.messages)]
    assert [each["online"] for each in said] == [True, False, True, False]
    assert said[0]["timestamp"] == said[1]["timestamp"] < said[2]["timestamp"] == said[3]["timestamp"]
    with mosquitto.record("spBv1.0/STATE/edge-1") as late:
        (kept,) = late.wait_for(lambda messages: messages)
    assert (json.loads(kept.payload), kept.retain) == (said[3], True)


ODD = """
[[inputs]]
name = "odd"
topics = ["/halle 1/{sensor}", "Prüfstand 2/{machine}/{sensor}", "{sensor}", "rest/{sensor}/{more...}"]
format = "value"
fields = { level = "value" }
[[inputs]]
name = "bytes"
topic = "bytes/{sensor}"
fields = { level = "rms" }
"""


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_topics_qualities_of_service_and_what_the_broker_remembers(
    make: Make, mosquitto: Mosquitto, *, protocol: str
) -> None:
    mosquitto.publish_all([("/halle 1/remembered", "1"), ("rest/forgotten/a", "9")], retain=True)
    mosquitto.publish("rest/forgotten/a", b"", retain=True)
    gateway = make(ODD, mqtt={"protocol": protocol})
    gateway.start()
    until(lambda: gateway.readings() == 1, 10, "what the broker has remembered")
    for qos in range(3):
        mosquitto.publish(f"/halle 1/quality {qos}", "2", qos)
    mosquitto.publish_all(
        [("Prüfstand 2/ Säge 3 /链锯", "3"), ("top", "4"), ("rest/deep/a//b/", "5"), ("rest/here", "6")]
    )
    mosquitto.publish("bytes/S", b'{"\xff\xfe": 7}')
    stored = finish(gateway, mosquitto)
    assert {event["sensorId"]: event["level"] for event in stored} == {
        "remembered": 1, "quality 0": 2, "quality 1": 2, "quality 2": 2, "链锯": 3, "top": 4, "deep": 5, "here": 6,
    }  # fmt: skip
    assert [event["flags"] for event in stored] == [["retained"]] + 7 * [[]]
    assert {sensor["sensor"]: sensor["machine"] for sensor in gateway.ask("sensors", "list")}["链锯"] == " Säge 3 "
    assert [(letter["topic"], letter["reason"]) for letter in gateway.ask("deadletters", "list")] == [
        ("bytes/S", "not_understood")
    ]


def test_a_shared_subscription_is_refused_with_the_reason(make: Make) -> None:
    gateway = make(ODD.replace("bytes/{sensor}", "$share/plant/bytes/{sensor}"))
    refused = gateway.run("check")
    assert refused.returncode != 0
    assert "shared" in refused.stderr


def test_what_was_not_understood_is_said_and_what_would_read_it_is_proposed(make: Make, mosquitto: Mosquitto) -> None:
    gateway = make('[[inputs]]\nname = "mill"\ntopic = "mill/{sensor}/features"\nfields = { level = "rms" }\n')
    gateway.start()
    features = json.dumps({"acc_rms_g": 0.25, "velocity_rms": 2.5})
    mosquitto.publish_all((f"mill/dev-{number}/features", features) for number in range(40))
    mosquitto.publish("mill/dev-0/features", json.dumps({"rms": 1.5, "rssi": -60}))
    finish(gateway, mosquitto)
    found = gateway.get("/api/v1/deadletters/groups")
    assert found["summary"] == "heard, not understood: 40 messages on 40 topics"
    (group,) = found["groups"]
    assert (group["pattern"], group["payload"]) == ("mill/+/features", features)
    proposed = gateway.get(f"/api/v1/deadletters/{group['seq']}/proposal")["inputs"]
    assert 'topic = "mill/{sensor}/features"' in proposed
    assert "Heard, not understood: 40 messages on 40 topics." in gateway.command("sensors", "list")
    _, mill = gateway.ask("inputs", "list")
    assert (mill["name"], mill["messages"], mill["unused"]) == ("mill", 1, ["acc_rms_g", "velocity_rms"])
