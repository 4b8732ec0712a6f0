"""The page behind the link in a message: looking changes nothing, the button does, and every state has its answer."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gateway.consumers.live_state import Live
from gateway.errors import ConflictError, JournalUnavailableError
from gateway.security.ack_links import VALID_NS, AckLink, sign
from gateway.web.app import create_app
from gateway.web.ports import PageSettings, Services
from tests.plant import alert_of
from tests.unit.web.conftest import Changes, Journal

KEY = b"the key"
HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J\"'&"


@dataclass
class Page:
    """The page of one alert, and what it is asked to change."""

    client: httpx.AsyncClient
    journal: Journal
    changes: Changes = field(default_factory=Changes)

    def link(self, person: str = "Anna Öberg", *, key: bytes = KEY, valid_ns: int = VALID_NS) -> str:
        return f"/ack/{sign(AckLink(self.journal.alerts[0]['id'], person, time.time_ns() + valid_ns), key)}"

    async def press(self, link: str) -> httpx.Response:
        return await self.client.post(link, follow_redirects=True)


@pytest.fixture
def alert(journal: Journal) -> dict[str, Any]:
    journal.alerts = [alert_of("VB-1", "critical")]
    return journal.alerts[0]


@pytest.fixture(scope="module")
def acting(live: Live, journal: Journal, registry: CollectorRegistry, page: PageSettings, changes: Changes) -> FastAPI:
    services = Services(live, journal, list, registry, changes, "token", KEY)
    return create_app(services, replace(page, timezone=ZoneInfo("Europe/Stockholm")))


@pytest.fixture
async def opened(acting: FastAPI, journal: Journal, changes: Changes, alert: dict[str, Any]) -> AsyncIterator[Page]:
    assert alert["state"] == "active"
    transport = httpx.ASGITransport(acting, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://vibration.example.com") as client:
        yield Page(client, journal, changes)


async def test_looking_changes_nothing_and_offers_the_button(opened: Page) -> None:
    answer = await opened.client.get(opened.link())
    assert answer.status_code == 200
    assert "Not acknowledged yet" in answer.text
    assert '<form method="post"><button>Acknowledge as Anna Öberg</button></form>' in answer.text
    for text in ("CRITICAL", "pump-7", "VB-1", "2023-09-29 17:06 CEST", "2.0 × the learned baseline 4.0"):
        assert text in answer.text
    assert opened.changes.asked == []


async def test_the_button_acknowledges_in_the_name_of_the_link(opened: Page, alert: dict[str, Any]) -> None:
    answer = await opened.client.post(opened.link())
    assert opened.changes.asked == [(alert["id"], "Anna Öberg", "by the link in a message")]
    assert answer.status_code == 303
    alert.update(acknowledged=True, acknowledgedBy="Anna Öberg")
    shown = await opened.client.get(f"/ack/{answer.headers['Location']}")
    assert "<h1>Acknowledged by Anna Öberg</h1>" in shown.text
    assert "<form" not in shown.text


async def test_who_comes_second_sees_who_was_first(opened: Page, alert: dict[str, Any]) -> None:
    opened.changes.error = ConflictError("somebody was faster")
    alert.update(acknowledged=True, acknowledgedBy="Bert")
    answer = await opened.press(opened.link())
    assert answer.status_code == 200
    assert "<h1>Acknowledged by Bert</h1>" in answer.text


async def test_an_alert_that_is_over_needs_no_acknowledgement(opened: Page, journal: Journal) -> None:
    journal.alerts[:] = [alert_of("VB-1", "critical", state="cleared")]
    answer = await opened.client.get(opened.link())
    assert "<h1>This alert is over</h1>" in answer.text
    assert "cleared at 2023-09-29 17:06 CEST" in answer.text
    assert "<form" not in answer.text


async def test_an_unknown_alert_is_named_so(opened: Page, journal: Journal) -> None:
    link = opened.link()
    journal.alerts.clear()
    answer = await opened.client.get(link)
    assert answer.status_code == 404
    assert "There is no such alert" in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_expired_or_forged_link_changes_nothing(opened: Page, method: str) -> None:
    expired = await opened.client.request(method, opened.link(valid_ns=-1))
    assert (expired.status_code, "This link has expired" in expired.text) == (410, True)
    for forged in (opened.link(key=b"another"), opened.link()[:-1], "/ack/x", "/ack/x.y", f"/ack/{'a' * 3000}"):
        answer = await opened.client.request(method, forged)
        assert (answer.status_code, "This link is not valid" in answer.text) == (403, True)
    assert opened.changes.asked == []


async def test_a_full_disk_is_said_and_nothing_is_claimed(opened: Page) -> None:
    opened.changes.error = JournalUnavailableError("disk full")
    answer = await opened.client.post(opened.link())
    assert answer.status_code == 503
    assert "Please try again" in answer.text


async def test_text_from_outside_is_text(opened: Page, alert: dict[str, Any]) -> None:
    alert.update(sensorId=HOSTILE, reason=HOSTILE * 100, location=HOSTILE, tags={"machine": HOSTILE})
    answer = await opened.client.get(opened.link(HOSTILE))
    assert "<script" not in answer.text
    assert not {"\u202e", "\x1b"} & set(answer.text)
    assert len(answer.text) < 8_000


async def test_the_page_cannot_be_framed_and_sends_its_address_nowhere(opened: Page) -> None:
    headers = (await opened.client.get(opened.link())).headers
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "form-action 'self'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"


async def test_without_a_key_no_link_is_valid(
    live: Live, journal: Journal, page: PageSettings, changes: Changes, alert: dict[str, Any]
) -> None:
    app = create_app(Services(live, journal, list, CollectorRegistry(), changes, "token"), page)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8080") as client:
        answer = await client.get(f"/ack/{sign(AckLink(alert['id'], 'b', 2**62), b'')}")
    assert answer.status_code == 403
