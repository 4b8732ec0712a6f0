"""The part of the gateway behind the page, and a browser's page of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from playwright.async_api import Browser, ConsoleMessage, Page, ViewportSize, expect
from prometheus_client import CollectorRegistry

from gateway.consumers.live_state import Live
from gateway.web.app import create_app
from gateway.web.permission import Access
from gateway.web.ports import PageSettings, Services
from gateway.web.server import listen, serve
from tests.plant import stored
from tests.servers.ports import free_port
from tests.unit.web.conftest import TOKEN, Changes, Journal

DESK = 1280
PHONE = 390


@dataclass
class Gateway:
    """The part of the gateway behind the page; it can stop and come back on the same port."""

    live: Live = field(default_factory=Live)
    journal: Journal = field(default_factory=Journal)
    changes: Changes = field(default_factory=Changes)
    port: int = field(default_factory=free_port)
    access: Access = field(default_factory=Access)
    server: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        self.journal.answering.set()
        services = Services(self.live, self.journal, list, CollectorRegistry(), self.changes, TOKEN, access=self.access)
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


@asynccontextmanager
async def opened(
    browser: Browser, gateway: Gateway, complaints: list[str], part: str = "", *, width: int = DESK, dark: bool = False
) -> AsyncIterator[Page]:
    viewport: ViewportSize = {"width": width, "height": 844}
    page = await browser.new_page(viewport=viewport, color_scheme="dark" if dark else "light")

    def listen_to(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    page.on("console", listen_to)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(gateway.url + part)
    await expect(page.locator("#connection")).to_have_text("live")
    yield page
    await page.close()
