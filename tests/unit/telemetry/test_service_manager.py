"""What systemd hears, on a real socket of its kind."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.telemetry.service_manager import Watchdog, notify, watchdog_seconds


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.chdir(tmp_path)  # the path of such a socket is short
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("notify")
        listening.settimeout(0)
        yield listening


def heard(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(100).decode())
        except BlockingIOError:
            return found


@pytest.mark.enable_socket
def test_what_is_said_is_heard(manager: socket.socket) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": "notify"})
    assert heard(manager) == ["READY=1"]


@pytest.mark.enable_socket
def test_a_socket_of_the_abstract_kind_is_known() -> None:
    name = f"gateway-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(0)
        notify("READY=1", {"NOTIFY_SOCKET": f"@{name}"})
        assert heard(listening) == ["READY=1"]


@pytest.mark.enable_socket
def test_without_a_manager_nothing_is_said(manager: socket.socket) -> None:
    notify("READY=1", {})
    assert heard(manager) == []


def test_a_manager_that_is_gone_ends_nothing_and_is_said(tmp_path: Path) -> None:
    with capture_logs() as lines:
        notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    assert [(line["log_level"], line["state"]) for line in lines] == [("warning", "READY=1")]


@pytest.mark.parametrize(
    ("environment", "within"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_how_often_it_wants_to_hear_of_us(environment: dict[str, str], within: float | None) -> None:
    assert watchdog_seconds(environment) == within


@pytest.mark.enable_socket
@pytest.mark.parametrize(("within", "times"), [("", 0), ("3600000000", 1), ("1", 5)])
async def test_it_hears_of_us_as_often_as_it_needs_to(manager: socket.socket, within: str, times: int) -> None:
    watchdog = Watchdog({"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": within})
    for _ in range(5):
        watchdog.feed()
        await asyncio.sleep(0.001)
    assert heard(manager) == ["WATCHDOG=1"] * times
