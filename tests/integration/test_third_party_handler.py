import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "writing-a-handler.md"
FILES = dict(re.findall(r"^\*\*(\S+)\*\*\n\n```\w+\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE))
SEND = """
import asyncio, sys
from gateway.errors import DeliveryError
from gateway.handlers import build_handler
from tests.notifications import CRITICAL
handler = build_handler("maintenance-chat", "plant-chat", {"url": sys.argv[1]})
try:
    print(asyncio.run(handler.send(CRITICAL)))
except DeliveryError as error:
    print(error, error.retry)
"""


class Room(HTTPServer):
    """A chat room: what was said, and with which status it answers next."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Visitor)
        self.said: list[dict[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Visitor(BaseHTTPRequestHandler):
    server: Room

    def do_POST(self) -> None:
        self.server.said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def room() -> Iterator[Room]:
    with Room() as room:
        thread = threading.Thread(target=room.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield room
        room.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package of the guide, installed without a network."""
    source, site = tmp_path_factory.mktemp("plant-chat"), tmp_path_factory.mktemp("site")
    for name, text in FILES.items():
        (source / name).write_text(text)
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", site, source], check=True)
    return site


def run(site: Path, code: str, *arguments: str) -> str:
    path = os.pathsep.join([str(site), str(GUIDE.parents[1])])
    environment = {**os.environ, "PYTHONPATH": path, "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_the_guide_needs_fewer_than_30_lines() -> None:
    assert FILES.keys() == {"pyproject.toml", "plant_chat.py"}
    assert sum(bool(line) for text in FILES.values() for line in text.splitlines()) < 30


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
from gateway.handlers import build_handler
try:
    build_handler("maintenance-chat", "plant-chat", {})
except ConfigError as error:
    print(*error.problems)
"""
    assert run(installed, build) == "handlers.maintenance-chat.url: is required"
