"""The mail as people see it: its HTML, with its picture, in a real browser."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Browser, expect

from gateway.api import Context, Item, Trend
from gateway.domain.notification.model import Notification
from gateway.handlers.mail.handler import EmailHandler
from tests.notifications import CRITICAL, notification, saying

SETTINGS = {"host": "smtp.example.com", "from": "gateway@example.com", "to": ["Anna <anna@example.com>"]}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>" + "W" * 3000


async def trend(_sensor_id: str, since_ns: int, until_ns: int) -> Trend:
    times = range(since_ns, until_ns, (until_ns - since_ns) // 300)
    levels = [4.0 + (index % 7) / 10 + (index > 250) * (index - 250) / 6 for index in range(len(times))]
    return Trend(times, levels, [4.0] * len(times), 6.4, 10.0)


async def page_of(told: Notification) -> str:
    handler = EmailHandler("mail", SETTINGS)
    context = Context(ZoneInfo("Europe/Stockholm"), trend, lambda *_: "https://vibration.example.com/ack/signed")
    handler.attach(context)
    return (await handler.preview(told))["html"]


def item(number: int) -> Item:
    fields: dict[str, Any] = {
        name: getattr(CRITICAL, name) for name in Item.__struct_fields__ if hasattr(CRITICAL, name) and name != "kind"
    }
    return Item(change=str(number), kind="raised", **{**fields, "sensor_id": f"VB-{number}"})


DIGEST = notification(kind="digest", grouped=tuple(map(item, range(60))), count=2_000, machine="", reason="A flood")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "told", [CRITICAL, notification(kind="test"), DIGEST, saying(HOSTILE)], ids=["alert", "test", "digest", "hostile"]
)
async def test_it_can_be_read(browser: Browser, told: Notification, width: int, scheme: str) -> None:
    dark = scheme == "dark"
    page = await browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
    await page.set_content(await page_of(told))
    assert await page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    ground = "getComputedStyle(document.querySelector('.card')).backgroundColor.match(/\\d+/g).map(Number)"
    assert (sum(await page.evaluate(ground)) < 3 * 128) == dark
    assert await page.locator("script").count() == 0
    assert said == []
    await page.close()


async def test_the_alert_comes_first_then_what_to_do_then_the_picture(browser: Browser) -> None:
    page = await browser.new_page(viewport={"width": 390, "height": 844})
    await page.set_content(await page_of(CRITICAL))
    await expect(page.get_by_role("heading")).to_have_text("P-101 VB-42345")
    await expect(page.get_by_text("3.1 × baseline").nth(1)).to_be_in_viewport()
    acknowledge = page.get_by_role("link", name="Acknowledge")
    await expect(acknowledge).to_have_attribute("href", "https://vibration.example.com/ack/signed")
    await expect(acknowledge).to_be_in_viewport(ratio=1)
    picture = page.get_by_role("img")
    await expect(picture).to_be_in_viewport(ratio=1)
    assert await picture.evaluate("picture => picture.naturalWidth") == 1088
    box = await picture.bounding_box()
    assert box is not None
    assert box["width"] == pytest.approx(354, abs=1)
    await page.close()


async def test_a_digest_lists_fifty_and_says_how_many_more(browser: Browser) -> None:
    page = await browser.new_page()
    await page.set_content(await page_of(DIGEST))
    await expect(page.get_by_text("CRITICAL: P-101 VB-")).to_have_count(50)
    await expect(page.get_by_text("and 1950 more")).to_be_visible()
    await expect(page.get_by_role("link", name="Acknowledge")).to_have_count(0)
    await page.close()
