"""Whoever tries tokens is slowed down, logged and counted; whoever has the right one is not."""

import asyncio
from collections import Counter

import httpx
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from gateway.consumers.live_state import Live
from gateway.web.app import create_app
from gateway.web.ports import PageSettings, Services
from gateway.web.wrong_tokens import FREE, LONGEST_DELAY, MOST_ADDRESSES, MOST_WAITING, WrongTokens
from tests.unit.web.conftest import TOKEN, Changes, Journal

HERE = "192.0.2.7"


class Clock:
    """Time that passes when somebody waits, or not before he is let go."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self.go = asyncio.Event()
        self.go.set()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await self.go.wait()
        self.now += seconds

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tried(clock: Clock) -> WrongTokens:
    return WrongTokens(clock.sleep, clock)


async def test_the_first_are_free_and_then_each_takes_longer_up_to_a_limit(tried: WrongTokens, clock: Clock) -> None:
    for _ in range(FREE):
        await tried.failed(HERE)
    assert clock.waits == []
    for _ in range(20):
        await tried.failed(HERE)
    assert clock.waits[:5] == [0.25, 0.5, 1, 2, 4]
    assert set(clock.waits[5:]) == {LONGEST_DELAY}


async def test_who_is_quiet_for_a_quarter_of_an_hour_begins_anew(tried: WrongTokens, clock: Clock) -> None:
    for _ in range(FREE + 5):
        await tried.failed(HERE)
    clock.now += 901
    clock.waits.clear()
    await tried.failed(HERE)
    assert clock.waits == []


async def test_other_addresses_are_not_slowed_down(tried: WrongTokens, clock: Clock) -> None:
    for number in range(100):
        await tried.failed(f"198.51.100.{number}")
    assert clock.waits == []


async def test_the_addresses_of_one_ipv6_network_are_one(tried: WrongTokens, clock: Clock) -> None:
    for number in range(FREE + 1):
        await tried.failed(f"2001:db8::{number:x}")
    assert len(clock.waits) == 1
    await tried.failed("2001:db8:0:1::1")
    assert len(clock.waits) == 1


async def test_only_a_few_are_looked_at_at_once(tried: WrongTokens, clock: Clock) -> None:
    for _ in range(FREE):
        await tried.failed(HERE)
    clock.go.clear()
    held = [asyncio.create_task(tried.failed(HERE)) for _ in range(MOST_WAITING)]
    while len(clock.waits) < MOST_WAITING:
        assert not tried.is_refused(HERE)
        await asyncio.sleep(0)
    assert tried.is_refused(HERE)
    assert not tried.is_refused("192.0.2.8")
    clock.go.set()
    await asyncio.gather(*held)
    assert not tried.is_refused(HERE)


async def test_any_number_of_addresses_takes_bounded_memory_and_few_lines(tried: WrongTokens) -> None:
    with capture_logs() as lines:
        for _ in range(1000):
            await tried.failed(HERE)
    assert [line["times"] for line in lines] == [2**exponent for exponent in range(10)]
    for number in range(MOST_ADDRESSES * 2):
        await tried.failed(f"10.0.{number // 256}.{number % 256}")
    assert len(tried._tries) == MOST_ADDRESSES  # noqa: SLF001 - what is kept cannot be seen from outside


async def test_they_are_logged_and_counted_without_the_token(live: Live, journal: Journal) -> None:
    refused: Counter[str] = Counter()
    services = Services(
        live, journal, list, CollectorRegistry(), Changes(), TOKEN, refused=lambda reason: refused.update([reason])
    )
    transport = httpx.ASGITransport(create_app(services, PageSettings("edge-1")), client=(HERE, 5))
    body = {"by": "anna"}
    with capture_logs() as lines:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:

            async def post(**headers: str) -> int:
                return (await client.post("/api/v1/alerts/a1/ack", json=body, headers=headers)).status_code

            assert await post(Authorization="Bearer hunter2") == 401
            assert await post() == 401
            assert await post(Authorization=f"Bearer {TOKEN}", Origin="http://evil.example") == 403
            assert await post(Authorization=f"Bearer {TOKEN}") == 200
    assert refused == {"wrong token": 2, "wrong origin": 1}
    (line,) = [line for line in lines if "wrong token" in line["event"]]
    assert (line["address"], line["log_level"]) == (HERE, "warning")
    assert "hunter2" not in str(lines)
