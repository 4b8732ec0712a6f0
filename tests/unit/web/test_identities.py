"""Who asks, and what they may: roles, sessions, tokens with an end, and a proxy's word."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from structlog.testing import capture_logs

from gateway.config.access import TokenSection, UserSection
from gateway.consumers.live_state import Live
from gateway.errors import NotFoundError
from gateway.fleet.wire import Order
from gateway.security.passwords import hash_password
from gateway.security.sessions import MOST_OF_ONE, Sessions
from gateway.web import wrong_tokens
from gateway.web.app import create_app
from gateway.web.permission import HIDDEN, Access
from gateway.web.ports import PageSettings, Services
from gateway.web.rights import RIGHTS
from gateway.web.stream import Stream
from tests.plant import alert_of
from tests.servers.waiting import until_async
from tests.unit.web.conftest import PERMIT, TOKEN, Changes, Journal

ACK, PURGE, REPLAY, SESSION = (
    "/api/v1/alerts/a1/ack",
    "/api/v1/sensors/purge",
    "/api/v1/deadletters/replay",
    "/api/v1/session",
)
PASSWORD = "correct horse"
HASH = hash_password(PASSWORD)
SITE = "https://edge-1.example.com"
PROXY, ELSEWHERE = "10.9.8.7", "192.0.2.66"
SIGN_ON = "X-Forwarded-User"


def user(name: str, role: Any) -> UserSection:
    return UserSection(name=name, role=role, password=SecretStr(HASH))


def token(name: str, role: Any, until: date) -> tuple[str, TokenSection]:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return digest, TokenSection(name=name, role=role, sha256=SecretStr(digest), until=until)


@pytest.fixture
def refused() -> list[str]:
    return []


@pytest.fixture
def access() -> Access:
    today = datetime.now(UTC).date()
    return Access(
        users={each.name: each for each in (user("vera", "viewer"), user("olga", "operator"), user("Änna", "admin"))},
        tokens=dict(
            [
                token("cmms", "operator", today),
                token("old", "admin", today - timedelta(days=1)),
                token("wall", "viewer", today),
            ]
        ),
        read_open=False,
        proxies=(ip_network(f"{PROXY}/32"), ip_network("10.1.0.0/16")),
        user_header=SIGN_ON,
    )


class Gateways:
    """A centre of no gateways."""

    async def seen(self) -> dict[str, Any]:
        return {"gateways": [], "alerts": [], "alertsInAll": 0, "problem": None}

    async def ask(self, gateway: str, alert: str, wish: Order) -> Order:
        raise NotFoundError(f"{gateway} {alert} {wish}")

    async def forget(self, gateway: str, by: str) -> None:
        raise NotFoundError(f"{gateway} {by}")


@pytest.fixture
def app(
    access: Access, refused: list[str], journal: Journal, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> FastAPI:
    monkeypatch.setattr(wrong_tokens, "FREE", 10_000)
    services = Services(
        Live(),
        journal,
        list,
        CollectorRegistry(),
        changes,
        TOKEN,
        refused=refused.append,
        access=access,
        fleet=Gateways(),
    )
    return create_app(services, PageSettings("edge-1", hosts=frozenset({"edge-1.example.com"})))


def browser(app: FastAPI, address: str = "192.0.2.10", url: str = SITE) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 4000))
    return httpx.AsyncClient(transport=transport, base_url=url, headers={"Origin": url})


async def signed_in(app: FastAPI, name: str) -> httpx.AsyncClient:
    client = browser(app)
    answer = await client.post(SESSION, json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return client


def test_every_route_says_what_it_needs(app: FastAPI) -> None:
    routers = [app.router, *(route.original_router for route in app.routes if hasattr(route, "original_router"))]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    there = {(method, route.path) for route in routes for method in (route.methods or set()) - {"HEAD"}}
    assert there - RIGHTS.keys() == set()
    assert RIGHTS.keys() - there == set()


@pytest.mark.parametrize(
    ("name", "codes"), [("vera", (200, 403, 403)), ("olga", (200, 200, 403)), ("Änna", (200, 200, 200))]
)
async def test_a_role_may_what_it_may(
    app: FastAPI, changes: Changes, refused: list[str], name: str, codes: tuple[int, ...]
) -> None:
    client = await signed_in(app, name)
    answers = [
        await client.get("/api/v1/alerts"),
        await client.post(ACK, json={"by": "somebody else", "reason": "mine"}),
        await client.post(REPLAY, json={"numbers": [3]}),
    ]
    assert tuple(answer.status_code for answer in answers) == codes
    assert refused == ["role"] * codes.count(403)
    assert [asked for asked in changes.asked if asked[0] == "a1"] == [("a1", name, "mine")] * (codes[1] == 200)


async def test_who_is_not_signed_in_reads_nothing(app: FastAPI) -> None:
    async with browser(app) as client:
        for method, path in RIGHTS:
            if method == "GET" and path.startswith("/api") and path != SESSION:
                assert (await client.get(path.replace("{seq}", "7"))).status_code == 401, path
        for path in ("/", "/-/healthy", "/metrics", "/static/page.js"):
            assert (await client.get(path)).status_code == 200
        said = (await client.get(SESSION)).json()
    assert said == {"signedIn": False, "name": None, "role": None, "namesItself": True, "readNeedsSignIn": True}


async def test_a_cookie_is_only_for_the_browser_over_tls_from_our_own_page(app: FastAPI) -> None:
    async with browser(app) as client:
        cookie = (await client.post(SESSION, json={"name": "vera", "password": PASSWORD})).headers["set-cookie"]
        assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
        for origin in ("https://evil.example", "null", "https://edge-1.example.com.evil.example"):
            answer = await client.post(ACK, json={}, headers={"Origin": origin})
            assert answer.status_code == 403
        del client.headers["Origin"]  # a form of an old browser
        assert (await client.post(ACK, json={})).status_code == 403
        assert (await client.delete(SESSION)).status_code == 403


async def test_a_session_is_never_the_one_that_a_browser_brought(app: FastAPI, access: Access) -> None:
    client = browser(app)
    client.cookies.set(access.cookie, "planted", domain="edge-1.example.com", path="/")
    answer = await client.post(SESSION, json={"name": "vera", "password": PASSWORD})
    assert "planted" not in answer.headers["set-cookie"]
    other = browser(app)
    other.cookies.set(access.cookie, "planted")
    assert (await other.get("/api/v1/alerts")).status_code == 401


async def test_a_cookie_that_was_copied_ends_with_the_session(app: FastAPI, access: Access) -> None:
    client = await signed_in(app, "olga")
    thief = browser(app)
    thief.cookies.set(access.cookie, next(cookie.value or "" for cookie in client.cookies.jar))
    assert (await thief.get("/api/v1/alerts")).status_code == 200
    assert (await client.delete(SESSION)).status_code == 204
    assert (await thief.get("/api/v1/alerts")).status_code == 401


async def test_another_password_ends_a_session(app: FastAPI, access: Access) -> None:
    client = await signed_in(app, "olga")
    assert isinstance(access.users, dict)
    access.users["olga"] = UserSection(name="olga", role="operator", password=SecretStr(hash_password("another one")))
    assert (await client.get("/api/v1/alerts")).status_code == 401


@pytest.mark.parametrize("name", ["olga", "nobody", "", "x" * 100])
async def test_a_wrong_password_lets_nobody_in(app: FastAPI, refused: list[str], name: str) -> None:
    async with browser(app) as client:
        answer = await client.post(SESSION, json={"name": name, "password": "wrong"})
        assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
    assert refused == ["wrong token"]


async def test_no_password_is_taken_in_the_clear(app: FastAPI, refused: list[str]) -> None:
    async with browser(app, url="http://edge-1.example.com") as client:
        headers = {"X-Forwarded-Proto": "https"}  # nobody's word that counts
        assert (
            await client.post(SESSION, json={"name": "vera", "password": PASSWORD}, headers=headers)
        ).status_code == 403
    assert refused == ["clear text"]
    async with browser(app, "127.0.0.1", url="http://localhost:8080") as client:
        assert (await client.post(SESSION, json={"name": "vera", "password": PASSWORD})).status_code == 200


async def test_the_gateways_own_token_does_all_and_names_whom_it_asks_for(app: FastAPI, changes: Changes) -> None:
    async with browser(app) as client:
        assert (await client.post(ACK, json={"by": "anna"}, headers=PERMIT)).status_code == 200
        assert (await client.post(ACK, json={}, headers=PERMIT)).status_code == 422
        assert (await client.post(SESSION, json={"password": TOKEN})).json()["namesItself"] is True
        assert (await client.post(REPLAY, json={"numbers": []})).status_code == 200
    assert changes.asked[0] == ("a1", "anna", "")


@pytest.mark.parametrize(("name", "codes"), [("cmms", (200, 403)), ("wall", (403, 403)), ("old", (401, 401))])
async def test_a_token_has_a_role_and_an_end(app: FastAPI, changes: Changes, name: str, codes: tuple[int, int]) -> None:
    async with browser(app) as client:
        del client.headers["Origin"]
        permit = {"Authorization": f"Bearer {name}"}
        answers = [await client.post(path, json={"by": "anna"}, headers=permit) for path in (ACK, PURGE)]
    assert tuple(answer.status_code for answer in answers) == codes
    assert changes.asked == [("a1", name, "")] * (codes[0] == 200)  # never anna


async def test_a_name_counts_only_from_a_trusted_proxy(app: FastAPI, changes: Changes, refused: list[str]) -> None:
    async with browser(app, ELSEWHERE) as client:
        with capture_logs() as logs:
            assert (await client.post(ACK, json={}, headers={SIGN_ON: "olga"})).status_code == 403
        assert logs[0]["reason"] == "untrusted proxy"
        assert logs[0]["address"] == ELSEWHERE
        lie = {SIGN_ON: "olga", "X-Forwarded-For": PROXY, "Forwarded": f"for={PROXY}"}
        assert (await client.get("/api/v1/alerts", headers=lie)).status_code == 403
    async with browser(app, PROXY) as client:
        assert (await client.post(ACK, json={}, headers={SIGN_ON: "olga"})).status_code == 200
        assert (await client.post(PURGE, json={}, headers={SIGN_ON: "olga"})).status_code == 403
        for names in (["mallory"], ["olga", "Änna"], [""]):
            headers = [(SIGN_ON.encode(), name.encode()) for name in names]
            assert (await client.post(ACK, json={}, headers=headers)).status_code == 403
        assert (
            await client.post(ACK, json={}, headers={SIGN_ON: "olga", "Origin": "https://evil.example"})
        ).status_code == 403
    assert [asked for asked in changes.asked if asked[0] == "a1"] == [("a1", "olga", "")]
    assert refused == ["untrusted proxy", "untrusted proxy", "role", *["unknown user"] * 3, "wrong origin"]


@pytest.mark.parametrize(
    ("chain", "asker"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("198.51.100.9, 192.0.2.1", "192.0.2.1"),  # the first is what the asker wrote himself
        ("192.0.2.1, 10.1.2.3", "192.0.2.1"),
        ("127.0.0.1, nonsense", PROXY),
        ("", PROXY),
    ],
)
async def test_wrong_tokens_count_for_whom_the_proxy_asks(app: FastAPI, chain: str, asker: str) -> None:
    async with browser(app, PROXY) as client:
        with capture_logs() as logs:
            await client.get("/api/v1/alerts", headers={"Authorization": "Bearer wrong", "X-Forwarded-For": chain})
    assert [entry["address"] for entry in logs] == [asker]


async def test_addresses_and_numbers_of_people_are_for_those_we_know(journal: Journal, changes: Changes) -> None:
    said = "451 <Anna.O@plant.example> unknown; +46 70-123 45 67 not reached"
    journal.alerts = [{"id": "a1", "state": "active", "acknowledgedBy": "anna@plant.example", "reason": said}]
    app = create_app(Services(Live(), journal, list, CollectorRegistry(), changes, TOKEN), PageSettings("edge-1"))
    async with browser(app, url="http://localhost") as client:
        answer = (await client.get("/api/v1/alerts")).json()[0]
        assert answer["acknowledgedBy"] == HIDDEN
        assert answer["reason"] == f"451 <{HIDDEN}> unknown; {HIDDEN} not reached"
        assert (await client.get("/api/v1/alerts", headers=PERMIT)).json() == journal.alerts


async def test_a_stream_hides_addresses_from_who_is_not_known_and_ends_with_the_session(access: Access) -> None:
    live = Live()
    who_acknowledged = {"acknowledged": True, "acknowledgedBy": "ada@example.com"}
    live.seed([], [alert_of() | who_acknowledged])
    stream = Stream(live, {}, tick=0.02, ping=0.02)
    services = Services(live, Journal(), list, CollectorRegistry(), None, TOKEN, access=replace(access, read_open=True))
    app = create_app(services, PageSettings("edge-1", hosts=frozenset({"edge-1.example.com"})), stream)
    client = await signed_in(app, "vera")
    known = asyncio.ensure_future(client.get("/api/v1/stream"))
    unknown = asyncio.ensure_future(browser(app).get("/api/v1/stream"))
    await until_async(lambda: stream.viewers == 2, 5, "two viewers")
    assert (await client.delete(SESSION)).status_code == 204
    assert "ada@example.com" in (await known).text
    assert not unknown.done()
    stream.close()
    hidden = (await unknown).text
    assert "ada@example.com" not in hidden
    assert HIDDEN in hidden


async def test_wrong_passwords_of_an_account_count_wherever_they_come_from(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    async def noted(_: object, address: str) -> None:
        tried.append(address)

    monkeypatch.setattr(wrong_tokens.WrongTokens, "failed", noted)
    for address in ("192.0.2.1", "192.0.2.2"):
        answer = await browser(app, address).post(SESSION, json={"name": "vera", "password": "wrong"})
        assert answer.status_code == 401
    assert tried == ["192.0.2.1", "account vera", "192.0.2.2", "account vera"]
    await browser(app).post(SESSION, json={"name": "nobody", "password": "wrong"})
    assert tried[-1] == "192.0.2.10"


def test_sessions_outlast_a_restart_and_end(tmp_path: Path) -> None:
    now = [1000.0]
    path = tmp_path / "http-sessions"
    text = Sessions(path, lambda: now[0]).begin("olga", "p", 60.0)
    assert text not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    found = Sessions(path, lambda: now[0]).find(text)
    assert found is not None
    assert found.name == "olga"
    now[0] += 60.0
    assert Sessions(path, lambda: now[0]).find(text) is None
    path.write_text("{")
    assert Sessions(path, lambda: now[0]).find(text) is None


async def test_who_did_what_is_in_the_audit(app: FastAPI, access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[Any, ...]] = []
    monkeypatch.setattr(access.audit, "record", lambda *line: lines.append(line))
    client = await signed_in(app, "olga")
    await client.post(ACK, json={})
    await client.post(PURGE, json={})
    async with browser(app, ELSEWHERE) as stranger:
        await stranger.post(SESSION, json={"name": "olga", "password": "wrong"})
        await stranger.post(ACK, json={})
    assert lines == [
        ("olga", "session", "192.0.2.10", f"POST {SESSION}", 200),
        ("olga", "session", "192.0.2.10", f"POST {ACK}", 200),
        ("olga", "session", "192.0.2.10", f"POST {PURGE}", 403),
        ("", "", ELSEWHERE, f"POST {SESSION}", 401),
    ]


def test_somebody_has_so_many_sessions() -> None:
    sessions = Sessions()
    texts = [sessions.begin("olga", "p", 60.0) for _ in range(MOST_OF_ONE + 2)]
    assert [sessions.find(text) is not None for text in texts] == [False] * 2 + [True] * MOST_OF_ONE
