"""Baselines over HTTP."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gateway.consumers.live_state import Live
from gateway.errors import ConflictError, JournalUnavailableError, NotFoundError
from gateway.web.app import create_app
from gateway.web.ports import PageSettings, Services
from tests.unit.web.conftest import PERMIT, TOKEN, Changes, Journal

SET, RELEARN = "/api/v1/baselines/VB-1/set", "/api/v1/baselines/VB-1/relearn"


@pytest.fixture(scope="module")
def app(live: Live, journal: Journal, registry: CollectorRegistry, page: PageSettings, changes: Changes) -> FastAPI:
    return create_app(Services(live, journal, list, registry, changes, TOKEN), page)


@pytest.fixture(autouse=True)
def _known(journal: Journal) -> None:
    journal.known_baselines += [
        {"sensorId": "VB-1", "level": 4.0, "state": ""},
        {"sensorId": "VB-2", "level": 5.0, "state": "fast"},
    ]


async def test_the_baselines_that_hold_are_read_without_a_token(client: httpx.AsyncClient) -> None:
    assert [row["sensorId"] for row in (await client.get("/api/v1/baselines")).json()] == ["VB-1", "VB-2"]
    assert [row["level"] for row in (await client.get("/api/v1/baselines?sensor=VB-2")).json()] == [5.0]
    assert (await client.get("/api/v1/baselines?sensor=nobody")).json() == []


async def test_with_the_token_they_are_changed(client: httpx.AsyncClient, changes: Changes) -> None:
    body = {"level": 4.5, "state": "fast", "by": "Ada", "reason": "new bearing"}
    assert (await client.post(SET, json=body, headers=PERMIT)).json() == {"sensorId": "VB-1", "level": 4.5}
    assert (await client.post(RELEARN, json={"by": "Ada"}, headers=PERMIT)).status_code == 200
    assert changes.asked == [("VB-1", 4.5, "fast", "Ada", "new bearing"), ("VB-1", None, "Ada", "")]


async def test_a_sensors_id_may_hold_anything(client: httpx.AsyncClient, changes: Changes) -> None:
    await client.post("/api/v1/baselines/pump%2F7%20%C3%A4/relearn", json={"by": "Ada"}, headers=PERMIT)
    assert changes.asked[0][0] == "pump/7 ä"


@pytest.mark.parametrize(
    "body",
    [{}, {"by": "Ada"}, {"level": 0, "by": "Ada"}, {"level": -1, "by": "Ada"}, {"level": "NaN", "by": "Ada"},
     {"level": "inf", "by": "Ada"}, {"level": 4, "by": ""}, {"level": 4, "by": "a\x1b[2J"}, {"level": 4},
     {"level": 4, "by": "Ada", "state": "x" * 65}, {"level": 4, "by": "Ada", "reason": "x" * 1001},
     {"level": 4, "by": "Ada", "admin": True}, []],
)  # fmt: skip
async def test_what_is_no_baseline_is_refused(client: httpx.AsyncClient, changes: Changes, body: Any) -> None:
    assert (await client.post(SET, json=body, headers=PERMIT)).status_code == 422
    assert changes.asked == []


@pytest.mark.parametrize("path", [SET, RELEARN])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("no sensor"), 404),
        (ConflictError("configured"), 409),
        (JournalUnavailableError("the disk is full"), 503),
    ],
)
async def test_an_error_says_what_it_is(
    client: httpx.AsyncClient, changes: Changes, *, path: str, error: Exception, status: int
) -> None:
    changes.error = error
    body = {"by": "Ada"} | ({"level": 4.0} if path == SET else {})
    answer = await client.post(path, json=body, headers=PERMIT)
    assert (answer.status_code, answer.json()) == (status, {"detail": str(error)})
