"""Forty gateways report to one centre: how fast facts are taken in, and how soon an alert is on its page.

The gateways are played: each sends the messages of the real ones over a connection of its own to a real broker. The
centre is `vibration-gateway fleet run` in a process of its own.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiomqtt
import httpx

from gateway.config import load
from gateway.domain.alerting.alert import RAISED
from gateway.fleet import wire
from gateway.fleet.wire import Facts, Health, SentFact
from gateway.security.secrets import http_token
from tests.programs import to_toml
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST, free_port

GATEWAYS = 40
AT_ONCE = 100
ALERTS = 25
"""Open at each gateway at once."""


class Played:
    """A gateway as the centre sees it: its alerts, each raised anew as often as is asked for."""

    def __init__(self, name: str, client: aiomqtt.Client) -> None:
        self.name, self._client = name, client
        self._epoch, self._seq, self._sent = str(uuid4()), 0, 0

    async def report(self) -> None:
        health = Health(
            self.name, self._epoch, self._epoch, "0", time.time_ns(), self._sent, [], ALERTS, {}, {}, 1, 1, "-"
        )
        await self._client.publish(wire.topic(self.name, wire.HEALTH), wire.write(health), qos=1)

    async def send(self, count: int, alert: str = "") -> None:
        """Send so many facts at once, about alerts in turns, or all about one."""
        after, facts = self._sent, list[SentFact]()
        for _ in range(count):
            self._seq += 3  # between facts are readings
            id_ = alert or f"{self.name}-{self._seq % ALERTS}"
            data = {
                "id": id_, "kind": "machine", "sensorId": f"VB-{self._seq % ALERTS}", "severity": "warning",
                "state": "active", "acknowledged": False, "acknowledgedBy": None, "shelvedUntil": None,
                "openedAt": "2026-01-01T00:00:00Z", "reason": "RMS 8.0 mm/s, 2.0 x the learned baseline 4.0",
                "tags": {"site": "north", "area": "hall", "machine": "pump"},
            }  # fmt: skip
            facts.append(SentFact(self._seq, str(uuid4()), RAISED, time.time_ns(), "VB-1", "c", "c", data))
        self._sent = self._seq
        await self._client.publish(
            wire.topic(self.name, wire.FACTS),
            wire.write(Facts(self.name, self._epoch, after, facts)),
            qos=1,
            timeout=60,
        )


async def until_taken_in(page: httpx.AsyncClient, facts: int) -> None:
    """Wait until the centre has all facts of every gateway up to this one."""
    while True:
        seen = (await page.get("/api/v1/fleet")).json()
        if [each["facts"] for each in seen["gateways"]] == [facts] * GATEWAYS:
            return
        await asyncio.sleep(0.2)


async def until_ready(page: httpx.AsyncClient) -> None:
    """Wait until the centre hears."""
    async with asyncio.timeout(30):
        while True:
            with suppress(httpx.HTTPError):
                if (await page.get("/-/ready")).is_success:
                    return
            await asyncio.sleep(0.1)


async def until_shown(page: httpx.AsyncClient, alert: str) -> tuple[float, int]:
    """Return the seconds that the answer with this alert took, and its size."""
    while True:
        asked = time.monotonic()
        answer = await page.get("/api/v1/fleet")
        if alert in answer.text:
            return time.monotonic() - asked, len(answer.content)


async def measure(port: int, url: str, headers: dict[str, str], facts: int) -> dict[str, Any]:
    """Return what was measured with so many facts in all."""
    async with AsyncExitStack() as stack:
        page = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=60)
        )
        await until_ready(page)
        played = []
        for number in range(GATEWAYS):
            client = await stack.enter_async_context(aiomqtt.Client(HOST, port, identifier=f"plant-{number}"))
            played.append(Played(f"plant-{number}", client))
        await asyncio.gather(*(each.report() for each in played))
        began, messages = time.monotonic(), facts // GATEWAYS // AT_ONCE

        async def flood(one: Played) -> None:
            for _ in range(messages):
                await one.send(AT_ONCE)

        await asyncio.gather(*map(flood, played))
        await until_taken_in(page, messages * AT_ONCE * 3)
        took, waits, answers = time.monotonic() - began, list[float](), list[float]()
        for number in range(100):
            at = time.monotonic()
            await played[number % GATEWAYS].send(1, alert=f"alert-{number}")
            answered, size = await until_shown(page, f'"alert-{number}"')
            answers.append(answered)
            waits.append(time.monotonic() - at)
        p50, p99 = sorted(waits)[50], sorted(waits)[98]
        sent = messages * AT_ONCE * GATEWAYS
        return {"facts": sent, "seconds": took, "p50": p50, "p99": p99, "page": sorted(answers)[50], "bytes": size}


def main(facts: int = 100_000) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        folder, broker = Path(name), Mosquitto(Path(name))
        broker.start()
        path, port = folder / "head.toml", free_port()
        tables = {
            "gateway": {"id": "head", "state_dir": str(folder / "state")},
            "mqtt": {"port": broker.port, "host": HOST},
            "http": {"host": HOST, "port": port},
            "centre": {"lag": 100_000},
        }
        path.write_text(to_toml(tables))
        (folder / "state").mkdir()
        token = http_token(load(path, {}))
        program = Path(sys.executable).parent / "vibration-gateway"
        with subprocess.Popen(
            [program, "fleet", "run", "-c", path, "--log-level", "warning"], env=os.environ
        ) as centre:
            try:
                headers = {"Authorization": f"Bearer {token}"}
                found = asyncio.run(measure(broker.port, f"http://{HOST}:{port}", headers, facts))
                status = Path(f"/proc/{centre.pid}/status").read_text(encoding="utf-8")
            finally:
                centre.terminate()
                centre.wait()
                broker.stop()
        peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"{GATEWAYS} gateways, {found['facts']:,} facts taken in at {found['facts'] / found['seconds']:,.0f}/s")
        print(f"alert to the page's data: p50 {found['p50'] * 1e3:.0f} ms, p99 {found['p99'] * 1e3:.0f} ms")
        print(f"an answer with {found['bytes'] / 1e6:.1f} MB of open alerts: {found['page'] * 1e3:.0f} ms")
        print(f"the centre: {int(peak) / 1e3:.0f} MB resident, {used.ru_utime + used.ru_stime:.1f} s of processor time")


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:]))
