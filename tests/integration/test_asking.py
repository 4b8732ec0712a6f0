"""Reading commands ask a gateway that is there, one that is not, and something else at its address."""

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from gateway.cli.gateway_status import PATIENCE, GatewayStatus, condition
from gateway.consumers.live_state import Live
from gateway.web.app import create_app
from gateway.web.ports import PageSettings, Services
from gateway.web.server import listen, serve
from tests.unit.web.conftest import Journal

Ask = Callable[[int], GatewayStatus | None]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def ask(port: int) -> GatewayStatus | None:
        path = tmp_path / "gateway.toml"
        path.write_text(f'[http]\nport = {port}\ntoken = "hunter2"\n')
        return condition(path)

    return ask


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[int, list[str]]]:
    """Yield the port of a gateway's own server, and its reasons for not being ready."""
    reasons: list[str] = []
    services = Services(Live(), Journal(), lambda: reasons, CollectorRegistry())
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    task = asyncio.create_task(serve(create_app(services, PageSettings("edge-1")), listener))
    yield port, reasons
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
def dripping() -> Iterator[int]:
    """Yield the port of something that answers by the byte and never ends."""
    ended = threading.Event()

    def drip() -> None:
        peer, _ = listener.accept()
        with peer:
            while not ended.wait(PATIENCE / 10):
                peer.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        yield listener.getsockname()[1]
        ended.set()
        thread.join()


async def test_a_gateway_says_how_it_is(ask: Ask, gateway: tuple[int, list[str]]) -> None:
    port, reasons = gateway
    assert str(await asyncio.to_thread(ask, port)) == "running and ready"
    reasons += ["no connection to the broker", "the disk is full"]
    said = "running, not ready: no connection to the broker; the disk is full"
    assert str(await asyncio.to_thread(ask, port)) == said


def test_nobody_is_there(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert ask(port) == GatewayStatus(f"http://127.0.0.1:{port}", answers=False)


def test_something_that_takes_and_never_answers(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert ask(port) == GatewayStatus(f"http://127.0.0.1:{port}", answers=False)


def test_an_answer_without_end_is_waited_for_no_longer(ask: Ask, dripping: int) -> None:
    began = time.monotonic()
    assert ask(dripping) == GatewayStatus(f"http://127.0.0.1:{dripping}", answers=False)
    assert time.monotonic() - began < PATIENCE * 5
