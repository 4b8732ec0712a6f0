from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.guides import files_of, install, lines, run
from tests.integration.room import Room, open_room

FILES = files_of("writing-a-handler.md")
SEND = """
import asyncio, sys
from gateway.errors import DeliveryError
from gateway.plugins.registry import build_handler
from tests.notifications import CRITICAL
handler = build_handler("maintenance-chat", "plant-chat", {"url": sys.argv[1]})
try:
    print(asyncio.run(handler.send(CRITICAL)))
except DeliveryError as error:
    print(error, error.retry)
"""


@pytest.fixture
def room() -> Iterator[Room]:
    with open_room() as room:
        yield room


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package of the guide."""
    site = tmp_path_factory.mktemp("site")
    install(FILES, tmp_path_factory.mktemp("plant-chat"), site)
    return site


def test_the_guide_needs_fewer_than_30_lines() -> None:
    assert FILES.keys() == {"pyproject.toml", "plant_chat.py"}
    assert lines(FILES) < 30


def test_the_guides_handler_delivers(installed: Path, room: Room) -> None:
    assert run(installed, SEND, room.url) == "HTTP 200"
    (said,) = room.said
    assert said["text"].startswith("raised: VB-42345, RMS 12.5 m/s²")
    assert said["id"]


@pytest.mark.parametrize(("status", "shown"), [(404, "HTTP 404 False"), (503, "HTTP 503 True")])
def test_the_guides_handler_says_whether_a_retry_helps(installed: Path, room: Room, status: int, shown: str) -> None:
    room.status = status
    assert run(installed, SEND, room.url) == shown


def test_a_missing_setting_of_the_guides_handler_is_named(installed: Path) -> None:
    build = """
from gateway.errors import ConfigError
from gateway.plugins.registry import build_handler
try:
    build_handler("maintenance-chat", "plant-chat", {})
except ConfigError as error:
    print(*error.problems)
"""
    assert run(installed, build) == "handlers.maintenance-chat.url: is required"
