"""How a machine was said to run, since when, and who said so: what people see of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.model.events import Message
from gateway.journal import Reader, life_of
from gateway.journal.queries.machine_states import in_words, said_state
from tests.readings import NOON_NS, SECOND, Plant, event, message, plant, reading

PLACE = ("plant-1", "hall-2", "pump-7")
STATE = "vibration/plant-1/hall-2/pump-7/state"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


@pytest.fixture
def reader(here: Plant) -> Iterator[Reader]:
    made = Reader(here.path)
    yield made
    made.close()


def said(payload: bytes, second: float) -> Message:
    return Message(STATE, payload, NOON_NS + int(second * SECOND), 1, retained=True)


def evaluated(reader: Reader, event_id: str) -> dict[str, Any]:
    found = life_of(reader, event_id)
    assert found is not None
    return next(step for step in found["steps"] if step["step"] == "evaluated")


def test_the_topic_says_it_until_it_takes_it_back(here: Plant, reader: Reader) -> None:
    here.take(reading(0), said(b'{"state": "stopped"}', 1), reading(2, 12.0))
    stopped = said_state(reader, PLACE, None)
    assert in_words(stopped) == "stopped, since 2026-03-01T12:00:01.000Z, by its state topic"
    assert "its machine was said to be stopped, since" in evaluated(reader, "VB-1@2")["what"]
    assert "said to be" not in evaluated(reader, "VB-1@0")["what"]
    here.take(said(b"", 3))
    assert said_state(reader, PLACE, None) is None
    assert in_words(None) == ""
    assert said_state(reader, ("plant-1", "hall-2", "pump-8"), None) is None


def test_what_the_reading_says_comes_first(here: Plant, reader: Reader) -> None:
    here.take(said(b'{"state": "running"}', 0), message(event(1, 12.0, operatingState="stopped")))
    assert evaluated(reader, "VB-1@1")["what"].endswith("its machine was said to be stopped, by the reading itself")


def test_what_was_not_judged_is_counted_up_to_the_last_snapshot(here: Plant, reader: Reader) -> None:
    here.take(said(b'{"state": "stopped"}', 0), *(reading(second) for second in range(1, 6)))
    (sensor,) = reader.sensors()
    assert reader.not_judged(sensor.key) == {}
    here.pipeline.snapshot()
    assert reader.not_judged(sensor.key) == {"stopped": 5}
