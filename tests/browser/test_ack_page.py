"""The page behind the link in a message, in a real browser against the real server."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, expect
from prometheus_client import CollectorRegistry

from gateway.consumers.live_state import Live
from gateway.security.ack_links import AckLink, sign
from gateway.web.app import create_app
from gateway.web.ports import PageSettings, Services
from gateway.web.server import listen, serve
from tests.plant import alert_of
from tests.servers.ports import free_port
from tests.unit.web.conftest import Changes, Journal

KEY = b"the key"


class Acknowledging(Changes):
    """Does what the gateway does."""

    def __init__(self, alert: dict[str, Any]) -> None:
        super().__init__()
        self.alert = alert

    async def acknowledge(self, alert_id: str, by: str, reason: str) -> Any:
        self.alert.update(acknowledged=True, acknowledgedBy=by)
        return await super().acknowledge(alert_id, by, reason)


@pytest.fixture
async def link() -> AsyncIterator[str]:
    """Serve a gateway with one alert and return the link that Anna has in her mail."""
    journal, port = Journal(), free_port()
    alert = alert_of("VB-" + "1" * 60, "critical")
    journal.alerts.append(alert)
    services = Services(
        Live(),
        journal,
        list,
        CollectorRegistry(),
        Acknowledging(alert),
        "token",
        KEY,
    )
    server = asyncio.create_task(serve(create_app(services, PageSettings("edge-1")), listen("127.0.0.1", port)))
    signed = sign(AckLink(alert["id"], "Anna Öberg", time.time_ns() + 10**12), KEY)
    yield f"http://127.0.0.1:{port}/ack/{signed}"
    server.cancel()
    await asyncio.wait([server])


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_one_press_acknowledges(browser: Browser, link: str, width: int, scheme: str) -> None:
    complaints: list[str] = []
    dark = scheme == "dark"
    page = await browser.new_page(viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light")
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(link)
    await expect(page.get_by_role("heading")).to_have_text("Not acknowledged yet")
    assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    ground = "getComputedStyle(document.querySelector('main')).backgroundColor.match(/\\d+/g).map(Number)"
    assert (sum(await page.evaluate(ground)) < 3 * 128) == dark
    await page.get_by_role("button", name="Acknowledge as Anna Öberg").click()
    await expect(page.get_by_role("heading")).to_have_text("Acknowledged by Anna Öberg")
    await expect(page.get_by_role("button")).to_have_count(0)
    await page.reload()
    await expect(page.get_by_role("heading")).to_have_text("Acknowledged by Anna Öberg")
    assert complaints == []
    await page.close()
