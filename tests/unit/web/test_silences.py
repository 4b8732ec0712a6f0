"""Silences over HTTP: everybody may read, and who has the token may change."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gateway.consumers.live_state import Live
from gateway.errors import ConflictError, NotFoundError
from gateway.web.app import create_app
from gateway.web.ports import PageSettings, Services
from tests.unit.web.conftest import PERMIT, TOKEN, Changes, Journal

PATH = "/api/v1/silences"
NEW = {"by": "anna", "reason": "bearing change", "until": "2026-01-01T12:00:00+01:00", "machines": ["pump-3"]}


@pytest.fixture(scope="module")
def app(live: Live, journal: Journal, registry: CollectorRegistry, page: PageSettings, changes: Changes) -> FastAPI:
    return create_app(Services(live, journal, list, registry, changes, TOKEN), page)


async def test_everybody_may_see_them(client: httpx.AsyncClient) -> None:
    assert [one["id"] for one in (await client.get(PATH)).json()] == ["s1"]
    assert len((await client.get(PATH, params={"all": "true"})).json()) == 2


async def test_with_the_token_one_is_added_and_ended(client: httpx.AsyncClient, changes: Changes) -> None:
    assert (await client.post(PATH, json=NEW, headers=PERMIT)).json() == {"id": "s1", "owner": "anna"}
    ((parts, by, reason),) = changes.asked
    assert (by, reason, parts["machines"], parts["until"]) == (
        "anna", "bearing change", ("pump-3",), "2026-01-01T12:00:00+01:00",
    )  # fmt: skip
    assert (await client.post(f"{PATH}/s1/expire", json={"by": "bo"}, headers=PERMIT)).status_code == 200


async def test_a_placeholder_is_one_to_choose_by(client: httpx.AsyncClient, changes: Changes) -> None:
    await client.post(PATH, json={**NEW, "tags": {"line": ["L1"]}}, headers=PERMIT)
    assert changes.asked[0][0]["tags"] == {"line": ("L1",)}


@pytest.mark.parametrize("path", [PATH, f"{PATH}/s1/expire"])
async def test_without_it_nothing_changes(client: httpx.AsyncClient, changes: Changes, path: str) -> None:
    assert (await client.post(path, json=NEW)).status_code == 401
    origin = {**PERMIT, "Origin": "http://evil.example"}
    assert (await client.post(path, json=NEW, headers=origin)).status_code == 403
    assert (await client.get(f"{PATH}/s1/expire", headers=PERMIT)).status_code in {404, 405}
    assert changes.asked == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"until": "tomorrow"},
        {"until": "2026-01-01T12:00:00"},
        {"by": "a\nb"},
        {"reason": ""},
        {"machines": "pump-3"},
        {"severity": "mild"},
        {"kinds": ["person"]},
        {"more": 1},
        {"machines": ["x" * 200]},
        {"tags": {"line": "L1"}},
        {"tags": {str(number): ["x"] for number in range(21)}},
    ],
)
async def test_what_makes_no_sense_is_422(
    client: httpx.AsyncClient,
    changes: Changes,
    wrong: dict[str, Any],
) -> None:
    assert (await client.post(PATH, json={**NEW, **wrong}, headers=PERMIT)).status_code == 422
    assert changes.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("it ends before it begins"), 422), (NotFoundError("no"), 404), (ConflictError("over"), 409)],
)
async def test_what_cannot_be_done_says_why(
    client: httpx.AsyncClient,
    changes: Changes,
    error: Exception,
    status: int,
) -> None:
    changes.error = error
    path, body = (PATH, NEW) if status == 422 else (f"{PATH}/s1/expire", {"by": "bo"})
    answer = await client.post(path, json=body, headers=PERMIT)
    assert (answer.status_code, answer.json()["detail"]) == (status, str(error))
