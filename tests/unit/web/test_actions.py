"""What changes something over HTTP: who may, and what is answered."""

import string
import time
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from gateway.consumers.live_state import Live
from gateway.errors import ConflictError, GatewayError, JournalUnavailableError, NotFoundError, RefusedError
from gateway.web import wrong_tokens
from gateway.web.app import create_app
from gateway.web.permission import Permission
from gateway.web.ports import PageSettings, Services
from gateway.web.rights import Right
from tests.unit.web.conftest import PERMIT, TOKEN, Changes, Journal

ACK, REPLAY = "/api/v1/alerts/a1/ack", "/api/v1/deadletters/replay"
SET, RELEARN = "/api/v1/baselines/VB-1/set", "/api/v1/baselines/VB-1/relearn"
BACKFILL = "/api/v1/consumers/influx/backfill"
PURGE, FORGET = "/api/v1/sensors/purge", "/api/v1/sensors/hall-2/VB-1/forget"
SHELVE, UNSHELVE = "/api/v1/alerts/a1/shelve", "/api/v1/alerts/a1/unshelve"


@pytest.fixture(autouse=True)
def _unslowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let wrong tokens cost no time: all of these tests come from one address."""
    monkeypatch.setattr(wrong_tokens, "FREE", 10_000)


@pytest.fixture(scope="module")
def app(live: Live, journal: Journal, registry: CollectorRegistry, page: PageSettings, changes: Changes) -> FastAPI:
    return create_app(Services(live, journal, list, registry, changes, TOKEN), page)


async def test_with_the_token_it_is_done(client: httpx.AsyncClient, changes: Changes) -> None:
    answer = await client.post(ACK, json={"by": "Änna", "reason": "on my way"}, headers=PERMIT)
    assert (answer.status_code, answer.json()) == (200, {"id": "a1", "acknowledgedBy": "Änna"})
    answer = await client.post(REPLAY, json={"numbers": [3, 5]}, headers=PERMIT)
    assert (answer.status_code, answer.json()) == (200, {"asked": 2, "replayed": [3, 5]})
    answer = await client.post(BACKFILL, json={"after": 17}, headers=PERMIT)
    assert (answer.status_code, answer.json()) == (200, {"consumer": "influx", "after": 17})
    assert changes.asked == [("a1", "Änna", "on my way"), (3, 5), ("influx", 17)]


@pytest.mark.parametrize(
    "permit",
    ["", "Bearer", "Bearer ", "Bearer the-token2", "Bearer the-toke", "Basic the-token", "the-token",
     "Bearer the-tökén", "Bearer  the-token"],
)  # fmt: skip
@pytest.mark.parametrize("path", [ACK, REPLAY, SET, RELEARN, SHELVE, UNSHELVE, FORGET, BACKFILL, PURGE])
async def test_without_it_nothing_is(client: httpx.AsyncClient, changes: Changes, path: str, permit: str) -> None:
    answer = await client.post(path, json={"by": "anna"}, headers=[(b"Authorization", permit.encode())])
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert changes.asked == []


async def test_a_sensor_is_forgotten(client: httpx.AsyncClient, changes: Changes) -> None:
    answer = await client.post(FORGET, json={"by": "Änna", "reason": "scrapped"}, headers=PERMIT)
    assert (answer.status_code, answer.json()) == (200, {"sensorId": "hall-2/VB-1", "by": "Änna"})
    assert changes.asked == [("hall-2/VB-1", "Änna", "scrapped")]
    changes.error = NotFoundError("no sensor 'VB-1' has published yet")
    assert (await client.post(FORGET, json={"by": "Änna"}, headers=PERMIT)).status_code == 404


async def test_an_alert_is_shelved_and_taken_off_the_shelf(client: httpx.AsyncClient, changes: Changes) -> None:
    body = {"by": "Änna", "for": "2h", "reason": "ordered"}
    answer = await client.post(SHELVE, json=body, headers=PERMIT)
    assert (answer.status_code, answer.json()) == (200, {"id": "a1", "shelvedBy": "Änna"})
    answer = await client.post(UNSHELVE, json={"by": "anna"}, headers=PERMIT)
    assert answer.status_code == 200
    assert changes.asked == [("a1", 7200 * 10**9, "Änna", "ordered"), ("a1", "anna", "")]


@pytest.mark.parametrize(
    "wrong",
    [{"for": "soon"}, {"for": 7200}, {"for": "-1h"}, {"for": None}, {"reason": ""}, {"reason": None}, {"by": ""},
     {"until": "2026-01-01"}],
)  # fmt: skip
async def test_what_is_no_shelving_is_refused(
    client: httpx.AsyncClient, changes: Changes, wrong: dict[str, Any]
) -> None:
    body = {"by": "anna", "for": "2h", "reason": "ordered", **wrong}
    assert (await client.post(SHELVE, json=body, headers=PERMIT)).status_code == 422
    assert changes.asked == []


async def test_for_too_long_is_refused_with_how_long_it_may_be(client: httpx.AsyncClient, changes: Changes) -> None:
    changes.error = RefusedError("an alert can be shelved for 7 d at most")
    answer = await client.post(SHELVE, json={"by": "anna", "for": "8d", "reason": "ordered"}, headers=PERMIT)
    assert (answer.status_code, answer.json()["detail"]) == (422, "an alert can be shelved for 7 d at most")


async def test_who_has_no_token_is_not_told_what_is_wrong_with_the_body(client: httpx.AsyncClient) -> None:
    assert (await client.post(ACK, json={"wrong": 1})).status_code == 401


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "", "http://localhost.evil.example:8080", "http://localhost:8081",
     "http://localhost:8080.evil.example", "https://evil.example/localhost:8080", "http://vibration.example.com@evil.example"],
)  # fmt: skip
async def test_a_page_of_another_site_may_not_even_with_the_token(
    client: httpx.AsyncClient, changes: Changes, origin: str
) -> None:
    answer = await client.post(ACK, json={"by": "anna"}, headers={**PERMIT, "Origin": origin})
    assert answer.status_code == 403
    assert changes.asked == []


@pytest.mark.parametrize("origin", ["http://localhost:8080", "http://LOCALHOST:8080", "https://vibration.example.com"])
async def test_our_own_page_may(client: httpx.AsyncClient, origin: str) -> None:
    answer = await client.post(ACK, json={"by": "anna"}, headers={**PERMIT, "Origin": origin})
    assert answer.status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", [ACK, REPLAY, SET, RELEARN, SHELVE, UNSHELVE])
async def test_only_a_post_changes_anything(
    client: httpx.AsyncClient, changes: Changes, path: str, method: str
) -> None:
    """Mail scanners follow links."""
    assert (await client.request(method, path, headers=PERMIT)).status_code == 405
    assert changes.asked == []


@pytest.mark.parametrize(
    "body",
    [{}, {"by": ""}, {"by": "x" * 101}, {"by": "a\nb"}, {"by": "a\x1b[2J"}, {"by": "a\x85b"}, {"by": 5},
     {"by": "anna", "reason": "x" * 1001}, {"by": "anna", "admin": True}, [], None],
)  # fmt: skip
async def test_what_is_no_acknowledgement_is_refused(client: httpx.AsyncClient, changes: Changes, body: Any) -> None:
    assert (await client.post(ACK, json=body, headers=PERMIT)).status_code == 422
    assert changes.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("no open alert has the id"), 404),
        (ConflictError("somebody was faster"), 409),
        (JournalUnavailableError("the disk is full"), 503),
        (GatewayError("broken"), 500),
    ],
)
async def test_an_error_says_what_it_is(
    client: httpx.AsyncClient, changes: Changes, error: Exception, status: int
) -> None:
    changes.error = error
    answer = await client.post(ACK, json={"by": "anna"}, headers=PERMIT)
    assert (answer.status_code, answer.json()) == (status, {"detail": str(error)})


async def test_without_actions_there_are_none(live: Live, journal: Journal, registry: CollectorRegistry) -> None:
    services = Services(live, journal, list, registry)
    transport = httpx.ASGITransport(create_app(services, PageSettings("edge-1")))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.post(ACK, json={"by": "anna"}, headers={"Authorization": "Bearer "})).status_code == 404


def request(headers: dict[str, str]) -> Request:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "path": "/", "server": ("localhost", 80), "headers": raw})


words = st.text(st.characters(max_codepoint=255, blacklist_categories=["Cc"]), max_size=20)


@given(words, words)
def test_no_other_word_is_the_token(scheme: str, token: str) -> None:
    permission = Permission(TOKEN, frozenset())
    if scheme.lower() == "bearer" and token == TOKEN:
        return
    asked = request({"Authorization": f"{scheme} {token}"})
    with pytest.raises(HTTPException) as caught:
        permission.check(asked, permission.identify(asked), Right.OPERATE)
    assert caught.value.status_code == 401


@given(st.text(string.ascii_letters + string.digits + ".-:@/[]?#", max_size=40))
def test_no_other_origin_is_ours(rest: str) -> None:
    """Whatever is written around our name: a browser names one host, and that is the one that counts."""
    origin = f"http://{rest}"
    permission = Permission(TOKEN, frozenset({"edge.example.com"}))
    if rest.lower() == "localhost:8080" or rest.lower().partition(":")[0].rstrip(".") == "edge.example.com":
        return
    with pytest.raises(HTTPException) as caught:
        permission.check_origin(request({"Host": "localhost:8080", "Origin": origin}), required=False)
    assert caught.value.status_code == 403


async def test_sensors_are_removed_only_when_it_is_meant(client: httpx.AsyncClient, changes: Changes) -> None:
    wanted = {"by": "anna", "pattern": "FORGED-*", "notHeardFor": "1h", "unlearned": True}
    answer = (await client.post(PURGE, json={**wanted, "dryRun": True}, headers=PERMIT)).json()
    assert (answer["sensors"], len(answer["ids"])) == (3000, 1000)
    assert changes.asked == []
    answer = (await client.post(PURGE, json=wanted, headers=PERMIT)).json()
    assert answer == {"sensors": 1, "machineStates": 0}
    ((selection, by, _, machine_states),) = changes.asked
    assert (selection.pattern, selection.unlearned, by, machine_states) == ("FORGED-*", True, "anna", False)
    assert 0 <= time.time_ns() - selection.heard_before_ns - 3600 * 10**9 < 60 * 10**9
