"""Sparkplug's metrics as rows of an input, and births and deaths as the presence of sensors."""

from typing import Any

import pytest

from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.results import Outcome
from gateway.domain.model.events import Message
from tests.sparkplug import DOUBLE, INT64, Float32, field, metric, payload, properties
from tests.unit.domain.inputs.trying import RECEIVED_NS, G, brief, family

INPUT = """
topic = "spBv1.0/{site}/{kind}/{edge}/{device}"
format = "sparkplug"
sensor = "{machine}/{place}"
[inputs.rows]
each = "rows"
name = "name"
value = "value"
unit = "unit"
time = "time"
names = "{machine}/{place}/{field}"
keep_last = true
fields = { RMS = ["x level"], Velocity = ["x velocity_rms"], Temp = ["temperature"] }
"""
UNIT_G = field(9, properties(engUnit="g"))
UNIT_F = field(9, properties(engUnit="°F"))


class Works:
    """A gateway that hears one node with one device."""

    def __init__(self) -> None:
        self.inputs = family(INPUT)
        self.memory = Memory()
        self._stored: dict[str, bytes] = {}
        self._seq = 0

    def hear(self, topic: str, *metrics: bytes) -> Outcome:
        number = None if "NDEATH" in topic else self._seq
        self._seq += "NDEATH" not in topic
        sent = Message(f"spBv1.0/works/{topic}", payload(*metrics, seq=number), RECEIVED_NS)
        return self.inputs.read(sent, self.memory)

    def born(self) -> Outcome:
        self.hear("NBIRTH/edge", metric("bdSeq", 1, INT64))
        return self.hear(
            "DBIRTH/edge/fan",
            metric("pump/DE/RMS", Float32(0.5), 9, alias=1, more=UNIT_G),
            metric("pump/DE/Velocity", 2.5, DOUBLE, alias=2),
            metric("pump/DE/Temp", 212.0, DOUBLE, alias=3, more=UNIT_F),
            metric("Properties/Version", 3.0, DOUBLE, alias=4),
        )

    def restart(self) -> None:
        for key, blob in self.memory.changes().items():
            if blob is None:
                self._stored.pop(key, None)
            else:
                self._stored[key] = blob
        self.memory = Memory(self._stored)


@pytest.fixture
def works() -> Works:
    return Works()


def test_a_birth_gives_readings(works: Works) -> None:
    out = works.born()
    hundred: Any = pytest.approx(100)
    assert brief(out.readings) == [("pump/DE-x", 0.5 * G, {"velocity_rms": 2.5, "temperature": hundred})]
    assert out.readings[0].place == {"site": "works", "machine": "pump"}
    assert out.statuses == []
    assert out.unused == ["Properties/Version"]


def test_aliases_and_last_values_are_remembered_over_a_restart(works: Works) -> None:
    works.born()
    works.restart()
    out = works.hear("DDATA/edge/fan", metric(None, Float32(1.0), 9, alias=1))
    assert brief(out.readings) == [("pump/DE-x", G, {"velocity_rms": 2.5, "temperature": pytest.approx(100)})]


@pytest.mark.parametrize("topic", ["DDEATH/edge/fan", "NDEATH/edge"])
def test_a_death_says_that_its_sensors_are_gone_and_the_next_birth_that_they_are_back(works: Works, topic: str) -> None:
    works.born()
    works.restart()
    out = works.hear(topic, *([metric("bdSeq", 1, INT64)] if topic.startswith("N") else []))
    assert [(each.source, each.status, each.place) for each in out.statuses] == [
        ("pump/DE", "offline", {"site": "works", "machine": "pump"})
    ]
    works.restart()
    assert [(each.source, each.status) for each in works.born().statuses] == [("pump/DE", "online")]
    assert works.born().statuses == []


def test_aliases_that_were_never_born_are_asked_for(works: Works) -> None:
    out = works.hear("DDATA/edge/fan", metric(None, Float32(1.0), 9, alias=1))
    assert out.rejected[0].reason == "not_understood"
    assert [each.topic for each in out.publications] == ["spBv1.0/works/NCMD/edge"]


def test_commands_and_devices_of_others_are_left_out(works: Works) -> None:
    works.born()
    assert works.hear("NCMD/edge", metric("Node Control/Rebirth", 1.0, DOUBLE)).is_ignored
    assert works.hear("DDATA/edge/fan", metric(None, 4.0, DOUBLE, alias=4)).is_ignored


def test_messages_of_the_nodes_are_subscribed_to(works: Works) -> None:
    assert works.inputs.filters == [
        "spBv1.0/+/+/+/+",
        "spBv1.0/+/NBIRTH/+",
        "spBv1.0/+/NDATA/+",
        "spBv1.0/+/NDEATH/+",
    ]
