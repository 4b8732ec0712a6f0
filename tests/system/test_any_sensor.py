"""What every kind of sensor says, from its broker through the program into journal and InfluxDB: no more, no less."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.model.quantities import BY_KEY, BY_WIRE, UNITS, vibration_unit
from tests.accounting import EVERYTHING, facts
from tests.faults.gateways import MortalGateway
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
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
