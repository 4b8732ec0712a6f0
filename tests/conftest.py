from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from playwright.async_api import Browser, async_playwright

import tests.examples  # noqa: F401 - registers the profiles
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.processes import ServerMissingError, find_program
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer

hypothesis.settings.load_profile("full")

CHROMIUM_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def required() -> Iterator[None]:
    """Fail the test, in one line, when a server that it needs is not installed."""
    try:
        yield
    except ServerMissingError as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with required():
        server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[Influx]:
    with required():
        server = Influx(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def smtp(tmp_path: Path) -> Iterator[SmtpServer]:
    server = SmtpServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def twilio() -> Iterator[TwilioServer]:
    server = TwilioServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Path:
    with required():
        return Path(find_program("chromium"))


@pytest.fixture
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield browser
        await browser.close()
