import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import httpx
import pytest
from prometheus_client import CollectorRegistry

from gateway.consumers.live_state import SHOWN_SENSORS, Live
from gateway.errors import GatewayError
from gateway.web import server as server_module
from gateway.web.app import create_app
from gateway.web.ports import PageSettings, Services
from gateway.web.server import FOR_PROBES, GRACE, MOST_CONNECTIONS, MOST_OF_ONE, OF_DEVICE, listen, serve
from gateway.web.stream import MOST_VIEWERS, Stream
from tests.plant import stored
from tests.unit.web.conftest import Journal

WAIT = 10.0
TICK = 0.01


@dataclass
class Server:
    task: asyncio.Task[None]
    port: int
    live: Live

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def stop(self) -> float:
        """Return how many seconds the server took to stop."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.task.cancel()
        await asyncio.wait([self.task])
        return loop.time() - began


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    live, journal = Live(), Journal()
    services = Services(
        live,
        journal,
        list,
        CollectorRegistry(),
    )
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    stream = Stream(live, {}, tick=TICK)
    task = asyncio.create_task(serve(create_app(services, PageSettings("edge-1"), stream), listener))
    server = Server(task, port, live)
    yield server
    await server.stop()


@asynccontextmanager
async def following(server: Server, *, limit: int = 1024) -> AsyncIterator[asyncio.StreamReader]:
    """Ask for the stream, and read only what the test reads."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=limit)
    writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    yield reader
    writer.transport.abort()


async def _first_line(server: Server) -> bytes:
    async with following(server) as reader:
        return await reader.readline()


async def test_a_free_port_is_served_without_telling_what_serves(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.get("/-/healthy")
    assert answer.status_code == 200
    assert "server" not in answer.headers


async def test_a_taken_port_is_an_error_that_names_the_keys(server: Server) -> None:
    with pytest.raises(GatewayError, match=rf"127\.0\.0\.1 port {server.port}.*http\.host or http\.port"):
        listen("127.0.0.1", server.port)


async def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(GatewayError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)


async def test_ipv6_is_served() -> None:
    with listen("::1", 0) as listener:
        assert listener.family == socket.AF_INET6


async def test_stopping_ends_the_streams_at_once(server: Server) -> None:
    async with following(server) as reader:
        await asyncio.wait_for(reader.readuntil(b"snapshot"), WAIT)
        assert await server.stop() < GRACE
        rest = await asyncio.wait_for(reader.read(-1), WAIT)
        assert rest.endswith(b"0\r\n\r\n")


async def test_a_viewer_who_goes_makes_room(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        async with AsyncExitStack() as viewers:
            for _ in range(MOST_VIEWERS):
                reader = await viewers.enter_async_context(following(server))
                await asyncio.wait_for(reader.readuntil(b"snapshot"), WAIT)
            assert (await client.get("/api/v1/stream")).status_code == 503
        answers = [await _first_line(server)]
        async with asyncio.timeout(WAIT):
            while b"503" in answers[-1]:
                answers.append(await _first_line(server))
        assert b"200 OK" in answers[-1]


async def test_many_viewers_who_do_not_read_hold_up_nothing(server: Server) -> None:
    loop = asyncio.get_running_loop()
    works = waits = 0.0  # the longest that it has worked, to which a busy machine adds nothing, and has taken
    async with AsyncExitStack() as viewers, httpx.AsyncClient(base_url=server.url) as client:
        reading = await viewers.enter_async_context(following(server, limit=2**22))
        await asyncio.wait_for(reading.readuntil(b"\n\n"), WAIT)
        for _ in range(MOST_CONNECTIONS + 50):
            await viewers.enter_async_context(following(server))
        for second in range(100):
            fleet = [stored(f"VB-{number}", float(second), second=second) for number in range(SHOWN_SENSORS)]
            began, worked = loop.time(), time.thread_time()
            await server.live.consume(fleet, [])
            works, waits = max(works, time.thread_time() - worked), max(waits, loop.time() - began)
            await asyncio.wait_for(reading.readuntil(b"\n\n"), WAIT)  # it has gone out
        assert works < 0.25
        assert waits < 2
        assert (await client.get("/-/healthy")).status_code == 200
        assert (await client.get("/api/v1/stream")).status_code == 503
        took = await server.stop()
    assert took > GRACE, "the viewers were blocked"
    assert took < GRACE + 10  # rather than for ever


Peers = list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
WAITING = "/api/v1/sensors/VB-1/readings"
"""The test's journal does not answer it."""


@asynccontextmanager
async def connected(server: Server, count: int, path: str = "") -> AsyncIterator[Peers]:
    """Make so many connections, which ask for `path` or nothing."""
    peers: Peers = []
    try:
        for _ in range(count):
            peers.append(await asyncio.open_connection("127.0.0.1", server.port))
            if path:
                peers[-1][1].write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield peers
    finally:
        for _, writer in peers:
            writer.transport.abort()


async def ends(peers: Peers, number: int) -> bool:
    """Return whether a connection is closed without an answer."""
    with suppress(ConnectionResetError):
        return await asyncio.wait_for(peers[number][0].read(1), WAIT) == b""
    return True


async def test_a_new_connection_takes_the_place_of_the_oldest_idle_one(server: Server) -> None:
    async with connected(server, MOST_CONNECTIONS + 1) as idle, httpx.AsyncClient(base_url=server.url) as client:
        assert await ends(idle, 0)
        assert (await client.get("/-/healthy")).status_code == 200
        assert not any(reader.at_eof() for reader, _ in idle[2:])


async def test_where_all_are_busy_the_device_has_places_of_its_own(server: Server) -> None:
    await server.live.consume([stored("VB-1")], [])
    one = {"Connection": "close"}
    async with connected(server, MOST_CONNECTIONS, WAITING), httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/-/ready", headers=one)).status_code == 200
        assert (await client.post("/api/v1/sensors", headers=one)).status_code == 405  # it waits for no question


async def test_where_all_are_busy_others_have_places_for_probes(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "is_loopback", lambda _: False)
    monkeypatch.setattr(server_module, "MOST_OF_ONE", MOST_CONNECTIONS)
    await server.live.consume([stored("VB-1")], [])
    one = {"Connection": "close"}
    async with httpx.AsyncClient(base_url=server.url, headers=one, timeout=WAIT) as client:
        async with connected(server, MOST_CONNECTIONS, WAITING):
            assert (await client.get("/-/ready")).status_code == 200
            assert (await client.get("/api/v1/sensors")).status_code == 503
        async with asyncio.timeout(WAIT):  # they hang up, and that is all it takes
            while (await client.get("/api/v1/sensors")).status_code != 200:
                pass


async def test_beyond_those_nobody_is_let_in(server: Server) -> None:
    await server.live.consume([stored("VB-1")], [])
    async with connected(server, MOST_CONNECTIONS + FOR_PROBES + OF_DEVICE + 1, WAITING) as peers:
        assert await ends(peers, -1)


async def test_one_address_does_not_have_all_places(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "is_loopback", lambda _: False)
    await server.live.consume([stored("VB-1")], [])
    async with connected(server, MOST_OF_ONE, WAITING), connected(server, 1, "/api/v1/sensors") as peers:
        assert b" 503 " in await asyncio.wait_for(peers[0][0].readline(), WAIT)


HELD = {
    "a head": b"GET / HT",
    "a body": b"POST /api/v1/silences HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 10\r\n\r\n{",
}


@pytest.mark.parametrize("after_another", [False, True])
@pytest.mark.parametrize("sent", HELD.values(), ids=HELD)
async def test_a_peer_that_does_not_finish_its_request_is_cut_off(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    sent: bytes,
    after_another: bool,  # noqa: FBT001 - a parameter
) -> None:
    monkeypatch.setattr(server_module, "PATIENCE", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    if after_another:  # uvicorn's own time for idle connections ends with the first byte of the next request
        writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"true}"), WAIT)
    writer.write(sent)
    with suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)
    writer.transport.abort()


async def test_one_who_only_listens_is_not_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PATIENCE", 0.05)
    async with following(server, limit=2**22) as reader:
        await asyncio.wait_for(reader.readuntil(b"snapshot"), WAIT)
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - began < 0.5:
            await server.live.consume([stored("VB-1")], [])
            await asyncio.wait_for(reader.readuntil(b"\n\n"), WAIT)
