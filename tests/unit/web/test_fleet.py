"""The list of sensors: encoded once for everybody."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from gateway.consumers.live_state import Live
from gateway.web import fleet as fleet_module
from gateway.web.fleet import FEW, Fleet
from tests.plant import stored

MANY = FEW * 3


@pytest.fixture
async def many() -> Live:
    live = Live()
    await live.consume([stored(f"VB-{number:03}", 4.0) for number in range(MANY)], [])
    return live


async def test_many_who_ask_at_once_get_one_list(many: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    whole = many.sensor

    def sensor(id_: str) -> dict[str, Any] | None:
        made.append(id_)
        return whole(id_)

    monkeypatch.setattr(many, "sensor", sensor)
    fleet = Fleet(many)
    bodies = await asyncio.gather(*(fleet.worst(MANY - number % 2, zipped=False) for number in range(50)))
    assert len(made) == MANY
    assert json.loads(bodies[0]) == json.loads(json.dumps(many.sensors(MANY)))
    assert len(json.loads(bodies[1])) == MANY - 1


@pytest.mark.parametrize("share", [1e-9, 1e9])
async def test_it_is_made_anew_for_no_more_than_a_share_of_the_time(
    many: Live, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(fleet_module, "SHARE", share)
    fleet = Fleet(many)
    before = await fleet.worst(1, zipped=False)
    await many.consume([stored("VB-000", 5.0, second=1)], [])
    assert (await fleet.worst(1, zipped=False) == before) is (share < 1)


async def test_a_few_are_always_as_they_are_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_module, "SHARE", 1e-9)
    live = Live()
    fleet = Fleet(live)
    assert await fleet.worst(10, zipped=True) == b"[]"
    for second in range(10):
        await live.consume([stored("VB-1", float(second), second=second)], [])
        assert json.loads(await fleet.worst(10, zipped=True))[0]["level"] == second


async def test_compressed_it_is_the_same_and_kept_for_a_few_limits(many: Live) -> None:
    fleet = Fleet(many)
    for limit in (1, 5, MANY, MANY + 1, 10_000):
        assert gzip.decompress(await fleet.worst(limit, zipped=True)) == await fleet.worst(limit, zipped=False)
    assert await fleet.worst(MANY, zipped=True) is await fleet.worst(MANY + 1, zipped=True)
    for limit in range(1, 100):
        await fleet.worst(limit, zipped=True)
    assert len(fleet._zipped) <= 4  # noqa: SLF001 - what is kept cannot be seen from outside
