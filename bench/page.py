"""The live page at 1,000 sensors and 1 Hz: its weight, how busy the browser is, and what it costs the gateway.

    python -m bench.page [--seconds 20]

Processor time, not wall-clock time, so that a busy machine changes little.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import httpx
from playwright.async_api import Page, async_playwright

from tests.conftest import CHROMIUM_OPTIONS
from tests.programs import Gateway, simulating
from tests.servers.mosquitto import Mosquitto
from tests.servers.processes import find_program
from tests.servers.waiting import until_async

SENSORS = 1000
VIEWERS = 50
GOAL_BUSY, GOAL_COST, GOAL_BYTES, GOAL_LOAD = 0.30, 0.10, 300_000, 1.0


@click.command()
@click.option("--seconds", default=20, show_default=True, type=click.IntRange(5))
def main(seconds: int) -> None:
    """Print each figure beside its goal. Exit code 1 if one is missed."""
    with TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder))
        broker.start()
        gateway = Gateway(Path(folder) / "gateway", broker)
        gateway.start()
        try:
            load = ("load", "--sensors", str(SENSORS), "--rate", str(SENSORS), "--duration", f"{12 * seconds + 90}s")
            with simulating(broker, *load):
                met = asyncio.run(_measure(gateway, seconds))
        finally:
            gateway.stop()
            broker.stop()
    raise SystemExit(not all(met))


async def _measure(gateway: Gateway, seconds: int) -> list[bool]:
    await until_async(lambda: gateway.stored() > 10 * SENSORS, 60, "the load")
    url = f"http://127.0.0.1:{gateway.port}/"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_program("chromium"), args=CHROMIUM_OPTIONS)
        page = await browser.new_page()
        loaded, weight = await _open(page, url)
        busy = await _busy(page, seconds)
        open_, closed = [], []
        for _ in range(3):  # in turn, so that what else happens on the machine falls on both
            open_.append(await _cost(gateway, seconds))
            await page.goto("about:blank")
            closed.append(await _cost(gateway, seconds))
            await page.goto(url)
        await browser.close()
    one, none = sum(open_) / 3, sum(closed) / 3
    viewers = [asyncio.create_task(_view(url)) for _ in range(VIEWERS)]
    many = await _cost(gateway, seconds)
    for viewer in viewers:
        viewer.cancel()
    await asyncio.wait(viewers)
    return [
        _say("page load", f"{loaded:.2f} s", f"< {GOAL_LOAD:g} s", met=loaded < GOAL_LOAD),
        _say("its weight, fleet included", f"{weight / 1000:.0f} kB", "< 300 kB", met=weight < GOAL_BYTES),
        _say("browser's main thread", f"{busy:.1%} busy", f"< {GOAL_BUSY:.0%}", met=busy < GOAL_BUSY),
        _say("gateway without a viewer", f"{none:.1%} of a core", "", met=True),
        _say("gateway with the page open", f"{one / none - 1:+.1%}", "< +10%", met=one / none - 1 < GOAL_COST),
        _say(f"gateway with {VIEWERS} viewers", f"{many / none - 1:+.1%}, {many:.1%} of a core", "", met=True),
    ]


def _say(name: str, value: str, goal: str, *, met: bool) -> bool:
    click.echo(f"{name:28} {value:24} {goal:10} {'' if met else 'MISSED'}")
    return met


async def _open(page: Page, url: str) -> tuple[float, int]:
    """Return seconds until the fleet is drawn, and the bytes that came until then."""
    sizes: list[int] = []
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    session.on("Network.dataReceived", lambda event: sizes.append(event["encodedDataLength"] or event["dataLength"]))
    start = time.monotonic()
    await page.goto(url)
    await page.locator(".group, .sensor").first.wait_for()
    return time.monotonic() - start, sum(sizes)


async def _busy(page: Page, seconds: int) -> float:
    """Return the share of a core that the tasks of the page's main thread take, without what others take from it."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable", {"timeDomain": "threadTicks"})

    async def task_seconds() -> float:
        found = (await session.send("Performance.getMetrics"))["metrics"]
        return float(next(each["value"] for each in found if each["name"] == "TaskDuration"))

    before = await task_seconds()
    await asyncio.sleep(seconds)
    return (await task_seconds() - before) / seconds


async def _cost(gateway: Gateway, seconds: int) -> float:
    """Return the share of a core that the gateway uses."""
    before = gateway.cpu_seconds()
    await asyncio.sleep(seconds)
    return (gateway.cpu_seconds() - before) / seconds


async def _view(url: str) -> None:
    """Follow the stream and throw away what it says."""
    async with httpx.AsyncClient(timeout=None) as client, client.stream("GET", f"{url}api/v1/stream") as answer:  # noqa: S113 - it never ends
        async for _ in answer.aiter_raw():
            pass


if __name__ == "__main__":
    main()
