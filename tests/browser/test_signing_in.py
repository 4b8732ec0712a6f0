"""Somebody signs in at the page, and does something in his own name."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, expect
from pydantic import SecretStr

from gateway.config.access import UserSection
from gateway.security.passwords import hash_password
from gateway.web.permission import Access
from tests.browser.gateway import Gateway

PASSWORD = "correct horse"


@pytest.fixture
async def closed() -> AsyncIterator[Gateway]:
    olga = UserSection(name="olga", role="operator", password=SecretStr(hash_password(PASSWORD)))
    gateway = Gateway(access=Access(users={"olga": olga}, read_open=False))
    gateway.start()
    yield gateway
    await gateway.stop()


async def test_reading_takes_signing_in(browser: Browser, closed: Gateway) -> None:
    await closed.fleet(1)
    page = await browser.new_page()
    await page.goto(closed.url)
    dialog = page.get_by_role("dialog", name="Sign in")
    await expect(dialog).to_be_visible()
    await expect(page.locator("body")).not_to_contain_text("VB-000")
    await dialog.get_by_label("Name", exact=True).fill("olga")
    await dialog.get_by_label("Password").fill("wrong")
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog.get_by_role("alert")).to_have_text("this name and password do not belong together.")
    await dialog.get_by_label("Password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#session")).to_contain_text("olga (operator)")
    await expect(page.locator("#connection")).to_have_text("live")
    assert await page.evaluate("document.cookie") == ""
    assert [cookie.get("sameSite") for cookie in await page.context.cookies()] == ["Strict"]
    await page.get_by_role("button", name="Sign out").click()
    await expect(dialog).to_be_visible()
    await page.close()
