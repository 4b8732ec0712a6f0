from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.guides import files_of, install, lines, run
from tests.integration.room import Room, open_room

FILES = files_of("writing-a-consumer.md")
CONSUME = """
import asyncio, sys
from gateway.errors import DeliveryError
from gateway.plugins.registry import build_consumer
from tests.plant import alert_entry, alert_of, stored
consumer = build_consumer("historian", "plant-historian", {"url": sys.argv[1]})
try:
    print(asyncio.run(consumer.consume([stored(level=12.5), stored(second=1)], [alert_entry(alert_of())])))
except DeliveryError as error:
    print(error, error.retry)
"""


@pytest.fixture
def room() -> Iterator[Room]:
    with open_room() as room:
        yield room


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    install(FILES, tmp_path_factory.mktemp("plant-historian"), site)
    return site


def test_the_guide_needs_fewer_than_30_lines() -> None:
    assert FILES.keys() == {"pyproject.toml", "plant_historian.py"}
    assert lines(FILES) < 30


def test_the_guides_consumer_hands_over_readings_and_facts_with_their_ids(installed: Path, room: Room) -> None:
    assert run(installed, CONSUME, room.url) == "None"
    (rows,) = room.said
    assert [row.get("level") for row in rows] == [12.5, 4.0, None]
    assert rows[2]["type"] == "AlertRaised"
    assert len({row["id"] for row in rows}) == 3


def test_what_it_is_handed_again_has_the_same_ids(installed: Path, room: Room) -> None:
    run(installed, CONSUME, room.url)
    run(installed, CONSUME, room.url)
    assert room.said[0] == room.said[1]


@pytest.mark.parametrize(("status", "shown"), [(422, "HTTP 422 False"), (503, "HTTP 503 True")])
def test_the_guides_consumer_says_whether_a_retry_helps(installed: Path, room: Room, status: int, shown: str) -> None:
    room.status = status
    assert run(installed, CONSUME, room.url) == shown


def test_without_an_answer_it_is_tried_again(installed: Path) -> None:
    assert run(installed, CONSUME, "http://127.0.0.1:1/") == "no answer: ConnectError True"
