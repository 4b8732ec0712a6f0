"""The heartbeat against a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import AnyHttpUrl
from structlog.testing import capture_logs

from gateway.config import HeartbeatSection
from gateway.telemetry.heartbeat import beat
from tests.servers.closing import stop_accepting
from tests.servers.ports import HOST
from tests.servers.waiting import until_async


class DeadMansSwitch:
    """Notes the first line of every request, and answers with a status; `asked` counts the looks for problems."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.status = "200 OK"
        self.asked = 0

    def look(self, problems: list[str]) -> list[str]:
        self.asked += 1
        return problems

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heard.append(head.split(b"\r\n")[0].decode())
            writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        except (EOFError, ConnectionError):
            pass  # the beat was stopped in the middle
        finally:
            writer.close()


@asynccontextmanager
async def beating(problems: list[str], method: str = "GET") -> AsyncIterator[DeadMansSwitch]:
    switch = DeadMansSwitch()
    server = await asyncio.start_server(switch.answer, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    section = HeartbeatSection.model_validate(
        {"url": AnyHttpUrl(f"http://{HOST}:{port}/ping/secret"), "every": "1s", "method": method}
    )
    section = section.model_copy(update={"every": 10_000_000})  # faster than anybody may configure
    task = asyncio.create_task(beat(section, lambda: switch.look(problems)))
    try:
        yield switch
    finally:
        task.cancel()
        await asyncio.wait([task])
        await stop_accepting(server)
        await server.wait_closed()


async def test_it_calls_again_and_again_while_all_is_well() -> None:
    async with beating([], "POST") as switch:
        await until_async(lambda: len(switch.heard) >= 3, 5, "three beats")
    assert set(switch.heard) == {"POST /ping/secret HTTP/1.1"}


async def test_it_is_silent_while_the_gateway_cannot_do_its_job() -> None:
    problems = ["not connected to the broker"]
    async with beating(problems) as switch:
        await until_async(lambda: switch.asked >= 10, 5, "ten times at which there could be a beat")
        assert switch.heard == []
        problems.clear()
        await until_async(lambda: switch.heard, 5, "a beat")


async def test_what_does_not_get_through_is_said_once_and_without_the_address() -> None:
    with capture_logs() as logs:
        async with beating([]) as switch:
            switch.status = "500 Oops"
            await until_async(lambda: len(switch.heard) >= 4, 5, "some beats")
            switch.status = "200 OK"
            await until_async(lambda: len(logs) >= 2, 5, "a word")
    assert [entry["event"] for entry in logs] == [
        "the heartbeat does not get through; trying again",
        "the heartbeat gets through again",
    ]
    assert "secret" not in str(logs)
