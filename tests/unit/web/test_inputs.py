"""What was heard and not understood, over HTTP."""

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gateway.consumers.live_state import Live
from gateway.web.app import create_app
from gateway.web.inputs import MAX_TEXT
from gateway.web.ports import PageSettings, Services
from tests.unit.web.conftest import HEARD, PERMIT, PROPOSAL, PROPOSED, TOKEN, Changes, Journal

TRY = "/api/v1/inputs/test"


@pytest.fixture(scope="module")
def app(live: Live, journal: Journal, registry: CollectorRegistry, page: PageSettings, changes: Changes) -> FastAPI:
    return create_app(Services(live, journal, list, registry, changes, TOKEN), page)


@pytest.fixture(autouse=True)
def _heard(journal: Journal) -> None:
    journal.heard = HEARD


async def test_the_groups_and_what_would_read_them_are_read_without_a_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/deadletters/groups")).json() == HEARD
    assert (await client.get(f"/api/v1/deadletters/{PROPOSED}/proposal")).json() == {"inputs": PROPOSAL}
    assert (await client.get("/api/v1/deadletters/8/proposal")).status_code == 404
    assert (await client.get("/api/v1/deadletters/x/proposal")).status_code == 422


async def test_what_the_inputs_have_done_is_read(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/v1/inputs")).json() == [
        {"name": "pumps", "messages": 7, "ignored": 2, "unused": ["rms.z"], "remarks": {"no unit": 4}}
    ]


async def test_to_try_inputs_takes_the_token(client: httpx.AsyncClient) -> None:
    body = {"inputs": "[[inputs]]"}
    assert (await client.post(TRY, json=body)).status_code == 401
    assert (await client.post(TRY, json=body, headers={**PERMIT, "Origin": "http://evil.example"})).status_code == 403
    assert (await client.post(TRY, json=body, headers=PERMIT)).json() == {
        "messages": [], "readings": [], "statuses": [],
    }  # fmt: skip
    refused = await client.post(TRY, json={"inputs": "x"}, headers=PERMIT)
    assert (refused.status_code, refused.json()["detail"]) == (422, "there is no [[inputs]] in this")
    assert (await client.post(TRY, json={"inputs": "x" * (MAX_TEXT + 1)}, headers=PERMIT)).status_code == 422
