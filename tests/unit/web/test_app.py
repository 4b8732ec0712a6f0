import asyncio
import gc
import gzip
import re
import weakref
from html.parser import HTMLParser
from importlib.resources import files

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from gateway.consumers.live_state import Live
from gateway.web.app import create_app, forget_endpoints
from gateway.web.ports import PageSettings, Services
from gateway.web.security import HEADERS
from tests.plant import stored
from tests.servers.waiting import until_async
from tests.unit.web.conftest import Journal

STATIC = files("gateway.web") / "static"
PATHS = ["/", "/docs", "/static/page.js", "/-/healthy", "/metrics", "/api/v1/alerts", "/nowhere", "/static/nowhere"]


@pytest.mark.parametrize("path", ["/", "/docs", "/metrics", "/-/healthy", "/static/page.js"])
async def test_who_asks_for_the_head_alone_gets_it(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_healthy_as_long_as_the_loop_answers(client: httpx.AsyncClient, journal: Journal) -> None:
    journal.reasons = ["the broker is not connected"]
    assert (await client.get("/-/healthy")).status_code == 200


async def test_ready_or_why_not(client: httpx.AsyncClient, journal: Journal) -> None:
    answer = await client.get("/-/ready")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reasons": []})
    journal.reasons = ["the broker is not connected"]
    answer = await client.get("/-/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "reasons": ["the broker is not connected"]})


async def test_metrics_are_those_of_the_registry(client: httpx.AsyncClient, registry: CollectorRegistry) -> None:
    Counter("vibration_gateway_late", "Late readings.", registry=registry).inc(3)
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "vibration_gateway_late_total 3.0" in answer.text


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_the_headers(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/nowhere", "/static/nowhere.js", "/api/v1/nothing", "/redoc", "/static/../app.py"])
async def test_everything_else_is_404_in_json(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"detail": "Not Found"}


async def test_the_package_cannot_be_read_through_static(client: httpx.AsyncClient) -> None:
    assert (await client.get("/static/%2e%2e/app.py")).status_code == 404


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "10.1.2.3", "edge-1", "edge-1.local:8080",
     "vibration.example.com", "vibration.example.com.:443"],
)  # fmt: skip
async def test_the_gateways_own_names_are_answered(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/api/v1/sensors", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "vibration.example.com.evil.example", "a.b:80"]
)
async def test_names_of_other_sites_are_refused(client: httpx.AsyncClient, host: str) -> None:
    answer = await client.get("/api/v1/sensors", headers={"Host": host})
    assert answer.status_code == 421
    assert "http.public_url" in answer.json()["detail"]
    assert (await client.get("/metrics", headers={"Host": host})).status_code == 200
    assert (await client.get("/-/ready", headers={"Host": host})).status_code == 200


async def test_larger_answers_are_compressed(client: httpx.AsyncClient, live: Live) -> None:
    await live.consume([stored(f"VB-{number}") for number in range(50)], [])
    answer = await client.get("/api/v1/sensors")
    assert answer.headers["content-encoding"] == "gzip"
    plain = await client.get("/api/v1/sensors", headers={"Accept-Encoding": "identity"})
    assert plain.json() == answer.json()
    assert len(gzip.compress(plain.content)) < len(plain.content) / 5


async def test_every_path_is_described(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()["paths"]
    assert sorted(described) == [
        "/-/healthy",
        "/-/ready",
        "/api/v1/alerts",
        "/api/v1/alerts/{alert_id}",
        "/api/v1/baselines",
        "/api/v1/deadletters/groups",
        "/api/v1/deadletters/{seq}/proposal",
        "/api/v1/events/{event_id}/trace",
        "/api/v1/gateway",
        "/api/v1/inputs",
        "/api/v1/quantities",
        "/api/v1/sensors",
        "/api/v1/sensors/{sensor_id}",
        "/api/v1/sensors/{sensor_id}/history",
        "/api/v1/sensors/{sensor_id}/readings",
        "/api/v1/session",
        "/api/v1/silences",
        "/api/v1/stream",
        "/metrics",
    ]
    assert all(path["get"]["description"] for path in described.values())


class Tags(HTMLParser):
    """Collects what a page loads, and what the content policy would refuse."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.refused: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag in ("script", "img"):
            self.loaded.append(names.get("src") or "")
        if tag == "link":
            self.loaded.append(names.get("href") or "")
        self.refused += [name for name in names if name == "style" or name.startswith("on")]


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_a_page_loads_only_what_the_gateway_serves(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    tags = Tags(answer.text)
    assert tags.refused == []
    assert len(tags.loaded) >= 3
    for address in tags.loaded:
        assert (await client.get(address)).status_code == 200, address


OURS = [file for file in STATIC.iterdir() if file.is_file()]
SCRIPTS = [file for file in OURS if file.name.endswith(".js")]


def test_the_page_is_small_and_asks_nobody_else() -> None:
    library = (STATIC / "uplot" / "uPlot.js").read_bytes()
    assert sum(len(source.read_bytes()) for source in OURS) + len(library) < 180_000
    assert sum(len(gzip.compress(source.read_bytes())) for source in OURS) < 47_000
    for source in OURS:
        addresses = set(re.findall(r"https?://[^\s\"')]+", source.read_text("utf-8")))
        assert addresses <= {"http://www.w3.org/2000/svg"}


def test_scripts_never_interpret_text() -> None:
    for script in SCRIPTS:
        text = script.read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text)


def test_scripts_are_small_modules() -> None:
    assert len(SCRIPTS) > 10
    assert max(script.read_text("utf-8").count("\n") for script in SCRIPTS) < 400


async def test_a_slow_journal_does_not_hold_up_the_rest(
    client: httpx.AsyncClient, live: Live, journal: Journal
) -> None:
    await live.consume([stored()], [])
    journal.answering.clear()
    slow = asyncio.create_task(client.get("/api/v1/sensors/VB-1/readings"))
    await until_async(lambda: journal.asked, 5, "the slow question")
    assert (await client.get("/-/healthy")).status_code == 200
    assert not slow.done()
    journal.answering.set()
    assert (await slow).status_code == 200


def test_every_module_is_fetched_at_once() -> None:
    """One after the other, as they import each other, would take a round trip each."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    modules = {script.name for script in SCRIPTS} - {"page.js", "docs.js", "fleet.js"}
    assert set(re.findall(r'rel="modulepreload" href="/static/([a-z]+\.js)"', page)) == modules


def test_an_application_that_has_ended_is_forgotten(page: PageSettings, registry: CollectorRegistry) -> None:
    """At every reload there is a new one, and what the page shows of a thousand sensors takes up a megabyte."""
    live = Live()
    create_app(Services(live, Journal(), list, registry), page)
    ended = weakref.ref(live)
    del live
    forget_endpoints()
    gc.collect()
    assert ended() is None
