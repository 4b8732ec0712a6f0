"""The live page in a real browser, fed through the real server."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, expect
from prometheus_client import CollectorRegistry

from gateway.consumers.live import Live
from gateway.web.app import create_app
from gateway.web.ports import PageSettings, Services
from gateway.web.server import listen, serve
from tests.plant import alert_entry, alert_of, stored
from tests.servers.ports import free_port
from tests.unit.web.conftest import Journal

DESK = 1280
PHONE = 390
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@dataclass
class Gateway:
    """The part of the gateway behind the page; it can stop and come back on the same port."""

    live: Live = field(default_factory=Live)
    port: int = field(default_factory=free_port)
    server: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        journal = Journal()
        services = Services(
            self.live,
            journal.history,
            journal.levels,
            journal.list_alerts,
            journal.find_alert,
            journal.trace,
            list,
            CollectorRegistry(),
        )
        page = PageSettings("edge-1", ["vibration/{site}/{area}/{machine}/{sensor}/reading"])
        self.server = asyncio.create_task(serve(create_app(services, page), listen("127.0.0.1", self.port)))

    async def stop(self) -> None:
        if self.server is not None:
            self.server.cancel()
            await asyncio.wait([self.server])

    async def fleet(self, size: int, second: int = 0) -> None:
        """Take one reading of each of `size` sensors, four to a machine."""
        await self.live.consume(
            [
                stored(f"VB-{number:03}", 4.0 + second / 10, second=second, machine=f"machine-{number // 4:02}")
                for number in range(size)
            ],
            [],
        )


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    gateway.start()
    yield gateway
    await gateway.stop()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """Collect what the browser complains of; the test fails if there is anything."""
    said: list[str] = []
    yield said
    assert said == []


@asynccontextmanager
async def opened(
    browser: Browser, gateway: Gateway, complaints: list[str], *, width: int = DESK
) -> AsyncIterator[Page]:
    page = await browser.new_page(viewport={"width": width, "height": 844})

    def listen_to(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", listen_to)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(gateway.url)
    await expect(page.locator("#connection")).to_have_text("live")
    yield page
    await page.close()


async def test_a_sensor_has_its_row(browser: Browser, gateway: Gateway, complaints: list[str]) -> None:
    await gateway.live.consume([stored("VB-1", 5.0, baseline=4.0), stored("VB-2", 3.0, baseline=None)], [])
    async with opened(browser, gateway, complaints) as page:
        await expect(page).to_have_title("edge-1 · Vibration gateway")
        await expect(page.get_by_role("row", name=re.compile("^plant-1 . hall-2 . pump-7$"))).to_be_visible()
        cells = page.get_by_role("row", name="VB-1").locator("th, td")
        await expect(cells).to_have_text(["ok", "VB-1", "5.00 m/s²", "4.00", "1.25 ×", "", "9/29/2023"])
        await expect(page.get_by_role("row", name="VB-2").locator(".state")).to_have_text("learning")
        await expect(page.locator("#counts li")).to_have_text(["2sensors", "1learning", "1ok"])
        await expect(page.locator("#no-alerts")).to_be_visible()
        await expect(page.locator("#empty")).to_be_hidden()


async def test_a_new_reading_moves_the_row(browser: Browser, gateway: Gateway, complaints: list[str]) -> None:
    await gateway.fleet(4)
    async with opened(browser, gateway, complaints) as page:
        row = page.get_by_role("row", name="VB-002")
        trace = row.locator("polyline")
        await expect(row.locator(".level")).to_have_text("4.00 m/s²")
        before = await trace.get_attribute("points") or ""
        await gateway.fleet(4, second=10)
        await expect(row.locator(".level")).to_have_text("5.00 m/s²")
        await expect(row.locator(".figure")).to_have_text("1.25 ×")
        after = await trace.get_attribute("points") or ""
        assert len(after.split()) == len(before.split()) + 1


async def test_a_new_sensor_appears_in_its_group(browser: Browser, gateway: Gateway, complaints: list[str]) -> None:
    await gateway.fleet(3)
    async with opened(browser, gateway, complaints) as page:
        await expect(page.locator(".sensor")).to_have_count(3)
        await gateway.fleet(6, second=1)
        await expect(page.locator(".sensor")).to_have_count(6)
        names = ["machine-00", "VB-000", "VB-001", "VB-002", "VB-003", "machine-01", "VB-004", "VB-005"]
        await expect(page.locator(".group strong, .sensor .name")).to_have_text(names)


async def test_an_alert_appears_on_top_and_goes(browser: Browser, gateway: Gateway, complaints: list[str]) -> None:
    await gateway.fleet(8)
    async with opened(browser, gateway, complaints) as page:
        await gateway.live.consume([], [alert_entry(alert_of("VB-006"))])
        await expect(page.locator(".alert")).to_have_count(1)
        await gateway.live.consume([], [alert_entry(alert_of("VB-001", "critical"))])
        alerts = page.locator(".alert")
        await expect(alerts.locator(".word")).to_have_text(["Critical", "Warning"])
        await expect(alerts.first.locator(".reason")).to_have_text(alert_of()["reason"])
        await expect(alerts.first.locator(".machine")).to_have_text("pump-7")
        await expect(page.locator("#announcement")).to_contain_text("critical alert, VB-001: RMS 8.0")
        await expect(page.locator(".sensor .name").first).to_have_text("VB-001")
        await expect(page.locator(".sensor .state").first).to_have_text("critical")
        await expect(page).to_have_title("(2) edge-1 · Vibration gateway")
        await alerts.last.get_by_role("link", name="VB-006").click()
        await expect(page.get_by_role("row", name="VB-006")).to_be_focused()
        for sensor in ("VB-001", "VB-006"):
            await gateway.live.consume([], [alert_entry(alert_of(sensor, state="cleared"))])
        await expect(page.locator("#no-alerts")).to_be_visible()
        await expect(page.locator(".sensor .name").first).to_have_text("VB-000")


@pytest.mark.parametrize("width", [PHONE, DESK])
@pytest.mark.parametrize("size", [0, 4, 200])
async def test_nothing_needs_sideways_scrolling(
    browser: Browser, gateway: Gateway, complaints: list[str], width: int, size: int
) -> None:
    await gateway.fleet(size)
    long = "N" * 128
    if size:
        await gateway.live.consume([stored(long, 123456.789, machine="m" * 100)], [alert_entry(alert_of(long))])
    async with opened(browser, gateway, complaints, width=width) as page:
        await expect(page.locator(".sensor")).to_have_count(size + 1 if size else 0)
        assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
        clipped = "[...document.querySelectorAll('.sensor, .alert')].filter(e => e.scrollWidth > e.clientWidth).length"
        assert await page.evaluate(clipped) == 0


async def test_two_hundred_sensors_update_within_a_second(
    browser: Browser, gateway: Gateway, complaints: list[str]
) -> None:
    await gateway.fleet(200)
    async with opened(browser, gateway, complaints) as page:
        await expect(page.locator(".sensor")).to_have_count(200)
        for second in range(1, 4):
            await gateway.fleet(200, second)
            level = f"{4.0 + second / 10:.2f} m/s²"
            await expect(page.locator(".sensor .level", has_text=level)).to_have_count(200, timeout=1500)


async def test_text_from_outside_is_text(browser: Browser, gateway: Gateway, complaints: list[str]) -> None:
    hostile = stored(HOSTILE, machine=HOSTILE, data={"unit": HOSTILE})
    async with opened(browser, gateway, complaints) as page:
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        await gateway.live.consume([hostile], [alert_entry(alert_of(HOSTILE, reason=HOSTILE))])
        await expect(page.locator(".sensor .name")).to_have_text(HOSTILE)
        await expect(page.locator(".sensor .unit")).to_have_text(HOSTILE)
        await expect(page.locator(".group strong")).to_have_text(HOSTILE)
        await expect(page.locator(".alert .reason")).to_have_text(HOSTILE)
        assert await page.locator("main script, main img").count() == 0


async def test_without_readings_the_page_says_what_to_do(
    browser: Browser, gateway: Gateway, complaints: list[str]
) -> None:
    async with opened(browser, gateway, complaints) as page:
        empty = page.locator("#empty")
        await expect(empty).to_contain_text("No readings yet")
        await expect(empty.locator("#topics")).to_have_text("vibration/{site}/{area}/{machine}/{sensor}/reading")
        await expect(empty.locator("pre")).to_contain_text("-t 'vibration/plant-1/hall-2/pump-7/VB-1/reading'")
        await expect(page.locator("#sensors")).to_be_hidden()
        await gateway.fleet(1)
        await expect(page.locator("#sensors")).to_be_visible()
        await expect(empty).to_be_hidden()


async def test_the_page_says_so_when_it_lost_the_gateway_and_comes_back(browser: Browser, gateway: Gateway) -> None:
    await gateway.fleet(2)
    async with opened(browser, gateway, []) as page:
        await expect(page.locator(".sensor")).to_have_count(2)
        await gateway.stop()
        await expect(page.locator("#connection")).to_have_text("reconnecting…")
        await expect(page.locator("#stale")).to_contain_text("No contact with the gateway")
        gateway.live = Live()
        await gateway.fleet(3, second=9)
        gateway.start()
        await expect(page.locator("#connection")).to_have_text("live", timeout=15_000)
        await expect(page.locator(".sensor")).to_have_count(3)
        await expect(page.locator("#stale")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_follows_the_scheme(browser: Browser, gateway: Gateway, scheme: str) -> None:
    page = await browser.new_page(color_scheme="dark" if scheme == "dark" else "light")
    await page.goto(gateway.url)
    ground = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
    assert (sum(await page.evaluate(ground)) < 3 * 128) == (scheme == "dark")
    await page.close()


async def test_the_documentation_shows_every_path(browser: Browser, gateway: Gateway, complaints: list[str]) -> None:
    async with opened(browser, gateway, complaints, width=PHONE) as page:
        await page.get_by_role("link", name="API").click()
        await expect(page.get_by_role("heading", name="GET /api/v1/sensors/{sensor_id}/readings")).to_be_visible()
        await expect(page.locator("#Sensor")).to_contain_text("spark")
        assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
