"""The heartbeat against a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pydantic import AnyHttpUrl
from structlog.testing import capture_logs

from gateway.config import HeartbeatSection
from gateway.telemetry.heartbeat import beat
from tests.servers.scripted_http import ScriptedHttp, answer
from tests.servers.waiting import until_async


class DeadMansSwitch(ScriptedHttp):
    """Answers with `status`; `looks` counts the looks for problems."""

    def __init__(self) -> None:
        super().__init__(lambda _: [answer(self.status)], keeps=True)
        self.status = 200
        self.looks = 0

    @property
    def heard(self) -> list[str]:
        """What it was asked, as `METHOD PATH`."""
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def look(self, problems: list[str]) -> list[str]:
        self.looks += 1
        return problems


@asynccontextmanager
async def beating(problems: list[str], method: str = "GET") -> AsyncIterator[DeadMansSwitch]:
    switch = DeadMansSwitch()
    switch.start()
    section = HeartbeatSection.model_validate(
        {"url": AnyHttpUrl(f"{switch.url}/ping/secret"), "every": "1s", "method": method}
    )
    section = section.model_copy(update={"every": 10_000_000})  # faster than anybody may configure
    task = asyncio.create_task(beat(section, lambda: switch.look(problems)))
    try:
        yield switch
    finally:
        task.cancel()
        await asyncio.wait([task])
        await asyncio.to_thread(switch.stop)


async def test_it_calls_again_and_again_while_all_is_well() -> None:
    async with beating([], "POST") as switch:
        await until_async(lambda: len(switch.heard) >= 3, 5, "three beats")
    assert set(switch.heard) == {"POST /ping/secret"}


async def test_it_is_silent_while_the_gateway_cannot_do_its_job() -> None:
    problems = ["not connected to the broker"]
    async with beating(problems) as switch:
        await until_async(lambda: switch.looks >= 10, 5, "ten times at which there could be a beat")
        assert switch.heard == []
        problems.clear()
        await until_async(lambda: switch.heard, 5, "a beat")


async def test_what_does_not_get_through_is_said_once_and_without_the_address() -> None:
    with capture_logs() as logs:
        async with beating([]) as switch:
            switch.status = 500
            await until_async(lambda: len(switch.heard) >= 4, 5, "some beats")
            switch.status = 200
            await until_async(lambda: len(logs) >= 2, 5, "a word")
    assert [entry["event"] for entry in logs] == [
        "the heartbeat does not get through; trying again",
        "the heartbeat gets through again",
    ]
    assert "secret" not in str(logs)
