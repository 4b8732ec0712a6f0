"""The overview in a real browser, fed through the real server."""

import re

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, expect

from gateway.consumers.live_state import Live
from tests.browser.gateway import DESK, PHONE, Gateway, opened
from tests.plant import alert_entry, alert_of, stored

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


async def test_a_sensor_has_its_row(browser: Browser, gateway: Gateway, complaints: list[str]) -> None:
    await gateway.live.consume([stored("VB-1", 5.0, baseline=4.0), stored("VB-2", 3.0, baseline=None)], [])
    async with opened(browser, gateway, complaints) as page:
        await expect(page).to_have_title("edge-1 · Vibration gateway")
        await expect(page.locator(".area strong")).to_have_text(re.compile("^plant-1 . hall-2$"))
        await expect(page.locator(".group .name")).to_have_text("pump-7")
        cells = page.get_by_role("row", name="VB-1").locator("th, td")
        day = re.compile(r"29 Sept? 2023 \d\d:\d\d")
        shown: list[str | re.Pattern[str]] = ["ok", "VB-1", "5.00 m/s²", "4.00", "1.25 ×", "", day]
        await expect(cells).to_have_text(shown)
        await expect(page.get_by_role("row", name="VB-2").locator(".state")).to_have_text("learning")
        await expect(page.locator("#counts li")).to_have_text(["2sensors", "1learning", "1ok"])
        await expect(page.locator(".no-alerts")).to_be_visible()
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
        await expect(page.locator(".group .name, .sensor .name")).to_have_text(names)


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
        for sensor in ("VB-001", "VB-006"):
            await gateway.live.consume([], [alert_entry(alert_of(sensor, state="cleared"))])
        await expect(page.locator(".no-alerts")).to_be_visible()
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
        await expect(page.locator("#counts li").first).to_have_text(f"{size + 1 if size else 0}sensors")
        assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
        clipped = "[...document.querySelectorAll('.sensor, .alert')].filter(e => e.scrollWidth > e.clientWidth).length"
        assert await page.evaluate(clipped) == 0


async def test_two_hundred_sensors_keep_up(browser: Browser, gateway: Gateway, complaints: list[str]) -> None:
    await gateway.fleet(200)
    async with opened(browser, gateway, complaints) as page:
        await expect(page.locator(".group")).to_have_count(50)
        await page.get_by_label("Find").fill("machine")
        await expect(page.locator(".sensor")).to_have_count(200)
        for second in range(1, 4):
            await gateway.fleet(200, second)
            level = f"{4.0 + second / 10:.2f} m/s²"
            await expect(page.locator(".sensor .level", has_text=level)).to_have_count(200, timeout=3000)


async def test_text_from_outside_is_text(browser: Browser, gateway: Gateway, complaints: list[str]) -> None:
    hostile = stored(HOSTILE, machine=HOSTILE, data={"unit": HOSTILE})
    async with opened(browser, gateway, complaints) as page:
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        await gateway.live.consume([hostile], [alert_entry(alert_of(HOSTILE, reason=HOSTILE))])
        await expect(page.locator(".sensor .name")).to_have_text(HOSTILE)
        await expect(page.locator(".sensor .unit")).to_have_text(HOSTILE)
        await expect(page.locator(".group .name")).to_have_text(HOSTILE)
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


async def test_a_large_fleet_is_folded_but_for_what_is_ill(
    browser: Browser, gateway: Gateway, complaints: list[str]
) -> None:
    await gateway.fleet(400)
    await gateway.live.consume([], [alert_entry(alert_of("VB-017"))])
    async with opened(browser, gateway, complaints) as page:
        await expect(page.locator(".group")).to_have_count(100)
        await expect(page.locator(".sensor .name")).to_have_text(["VB-017", "VB-016", "VB-018", "VB-019"])
        await expect(page.locator(".group").first).to_have_attribute("data-state", "warning")
        await page.get_by_role("button", name="Sensors of machine-07").press("Enter")
        await expect(page.locator(".sensor")).to_have_count(8)
        await page.get_by_role("button", name="Sensors of machine-04").click()
        await expect(page.locator(".sensor")).to_have_count(4)
        await page.get_by_label("Find").fill("vb-1")
        await expect(page.locator(".group")).to_have_count(25)
        await page.get_by_label("Find").fill("nobody")
        await expect(page.get_by_text("Nothing here has such a name.")).to_be_visible()


async def test_the_documentation_shows_every_path(browser: Browser, gateway: Gateway, complaints: list[str]) -> None:
    async with opened(browser, gateway, complaints, width=PHONE) as page:
        await page.get_by_role("link", name="API").click()
        await expect(page.get_by_role("heading", name="GET /api/v1/sensors/{sensor_id}/readings")).to_be_visible()
        await expect(page.locator("#Sensor")).to_contain_text("spark")
        assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
        await expect(page.locator("#paths code", has_text="limit").first).to_be_visible()
        assert "`" not in await page.locator("main").inner_text()
        found = (await Axe().run(page)).response["violations"]
        complaints += [each["id"] for each in found if each["impact"] in {"serious", "critical"}]
