"""The page behind the short link: two taps, no typing; what is over, outdated or forged changes nothing."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gateway.consumers.live_state import Live
from gateway.errors import ConflictError, JournalUnavailableError
from gateway.security.alert_links import DAY_NS, sign
from gateway.web.app import create_app
from gateway.web.ports import PageSettings, Services
from tests.plant import alert_of
from tests.unit.web.conftest import Changes, Journal

KEY = b"the key of this test"
HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J\"'&"
REASON = "by the link in a message"


@pytest.fixture
def alert(journal: Journal) -> dict[str, Any]:
    journal.alerts = [alert_of("VB-1", "warning")]
    journal.alerts[0]["id"] = "5c58fad4-b3c3-53a1-ba61-6986e6d3b925"
    return journal.alerts[0]


@pytest.fixture(scope="module")
def app(live: Live, journal: Journal, registry: CollectorRegistry, page: PageSettings, changes: Changes) -> FastAPI:
    services = Services(live, journal, list, registry, changes, "token", KEY)
    return create_app(services, replace(page, people=frozenset({"Anna Öberg", "+46700000001"})))


@pytest.fixture
async def client(app: FastAPI, alert: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    assert alert["state"] == "active"
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://vibration.example.com") as made:
        yield made


def link(alert: dict[str, Any], person: str = "Anna Öberg", severity: str = "warning", days: float = 0) -> str:
    return sign(alert["id"], severity, person, time.time_ns() - round(days * DAY_NS), KEY)


async def test_looking_changes_nothing_and_says_everything(
    client: httpx.AsyncClient, alert: dict[str, Any], changes: Changes
) -> None:
    answer = await client.get(link(alert))
    assert answer.status_code == 200
    for text in ("WARNING", "pump-7", "VB-1", "Acknowledge as Anna Öberg", "Shelve this alert for 8 hours",
                 "Silence all of pump-7 for 8 hours", "What to do next"):  # fmt: skip
        assert text in answer.text
    assert "<script" not in answer.text
    assert changes.asked == []


@pytest.mark.parametrize("person", ["Anna Öberg", "+46700000001"])
async def test_one_tap_acknowledges_in_the_name_of_the_link(
    client: httpx.AsyncClient, alert: dict[str, Any], changes: Changes, person: str
) -> None:
    answer = await client.post(link(alert, person), data={"do": "acknowledge"})
    assert answer.status_code == 303
    named = "SMS to …0001" if person.startswith("+") else person
    assert changes.asked == [(alert["id"], named, REASON)]


async def test_it_shelves_and_silences(client: httpx.AsyncClient, alert: dict[str, Any], changes: Changes) -> None:
    await client.post(link(alert), data={"do": "shelve"})
    await client.post(link(alert), data={"do": "silence"})
    shelved, (parts, by, why) = changes.asked
    assert shelved == (alert["id"], 8 * 3600 * 10**9, "Anna Öberg", REASON)
    assert (parts["machines"], by, why) == (("pump-7",), "Anna Öberg", REASON)


async def test_twice_is_once_and_who_comes_second_sees_who_was_first(
    client: httpx.AsyncClient, alert: dict[str, Any], changes: Changes
) -> None:
    alert.update(acknowledged=True, acknowledgedBy="Bert")
    changes.error = ConflictError("somebody was faster")
    answer = await client.post(link(alert), data={"do": "acknowledge"}, follow_redirects=True)
    assert answer.status_code == 200
    assert "<h1>Acknowledged by Bert</h1>" in answer.text


@pytest.mark.parametrize("deed", ["", "forget", "acknowledge; drop"])
async def test_nothing_else_can_be_asked_for(
    client: httpx.AsyncClient, alert: dict[str, Any], changes: Changes, deed: str
) -> None:
    assert (await client.post(link(alert), data={"do": deed})).status_code == 303
    assert changes.asked == []


async def test_a_warnings_link_does_nothing_about_the_later_critical(
    client: httpx.AsyncClient, alert: dict[str, Any], changes: Changes
) -> None:
    alert["severity"] = "critical"
    answer = await client.post(link(alert), data={"do": "acknowledge"}, follow_redirects=True)
    assert "It is critical by now" in answer.text
    assert "<form" not in answer.text
    assert changes.asked == []


async def test_one_that_is_over_late_forged_or_of_somebody_who_is_not_told_any_more_does_nothing(
    client: httpx.AsyncClient, alert: dict[str, Any], changes: Changes
) -> None:
    assert (await client.post(link(alert, days=5), data={"do": "acknowledge"})).status_code == 410
    assert (await client.post(link(alert, "Mallory"), data={"do": "acknowledge"})).status_code == 403
    assert (await client.get("/s/" + "A" * 23)).status_code == 403
    assert (await client.get("/s/nothing")).status_code == 403
    alert["state"] = "cleared"
    answer = await client.post(link(alert), data={"do": "acknowledge"}, follow_redirects=True)
    assert "This alert is over" in answer.text
    assert changes.asked == []


async def test_a_journal_that_cannot_be_written_is_said(
    client: httpx.AsyncClient, alert: dict[str, Any], changes: Changes
) -> None:
    changes.error = JournalUnavailableError("disk full")
    answer = await client.post(link(alert), data={"do": "acknowledge"})
    assert (answer.status_code, "Nothing has changed" in answer.text) == (503, True)


async def test_what_sensors_say_is_text(client: httpx.AsyncClient, alert: dict[str, Any]) -> None:
    alert.update(reason=HOSTILE, sensorId=HOSTILE, location=HOSTILE, tags={"machine": HOSTILE})
    answer = await client.get(link(alert))
    assert "<script>alert" not in answer.text
    assert "\u202e" not in answer.text
