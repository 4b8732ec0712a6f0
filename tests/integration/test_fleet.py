"""A centre and its gateways over a real broker: what goes up, what goes down, and what is missed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import run as app
from gateway.config import Config, load
from gateway.fleet import centre, uplink, wire
from gateway.security.secrets import http_token
from tests.faults.proxy import FaultProxy
from tests.programs import to_toml
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST, free_port
from tests.servers.waiting import until_async

WITHIN = 20.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uplink, "_EVERY", 0.2)
    monkeypatch.setattr(centre, "_LOOK_EVERY", 0.05)
    monkeypatch.setattr(centre, "_ASK_AGAIN", 0.5)


def configured(folder: Path, name: str, port: int, **tables: Any) -> Config:
    (folder / name).mkdir()
    path = folder / f"{name}.toml"
    tables = {
        "gateway": {"id": name, "state_dir": str(folder / name)},
        "mqtt": {"topics": [f"vibration/{name}/{{machine}}/{{sensor}}/reading"], "port": port},
        "journal": {"commit_within": "20ms"},
        "detection": {"on_readings": 1},
        "http": {"host": HOST, "port": free_port()},
        **tables,
    }
    path.write_text(to_toml(tables))
    return load(path, {})


@asynccontextmanager
async def running(*configs: Config) -> AsyncIterator[None]:
    events = [asyncio.Event() for _ in configs]
    tasks = [asyncio.ensure_future(app.run(c, lambda _, e=e: e.set())) for c, e in zip(configs, events, strict=True)]  # type: ignore[misc] # mypy knows no defaults of lambdas
    try:
        await until_async(
            lambda: any(task.done() for task in tasks) or all(event.is_set() for event in events), WITHIN, "the starts"
        )
        assert not any(task.done() for task in tasks)
        for config in configs:
            await subscribed(config)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def subscribed(config: Config) -> None:
    """Wait until what is published is heard."""
    page = Page(config)
    try:
        await until_async_of(page.is_ready, "a gateway that is ready")
    finally:
        await page.close()


class Page:
    """The API of a running gateway, asked with its own token."""

    def __init__(self, config: Config) -> None:
        assert config.http is not None
        self._client = httpx.AsyncClient(
            base_url=f"http://{HOST}:{config.http.port}",
            headers={"Authorization": f"Bearer {http_token(config)}"},
            trust_env=False,
            timeout=10,
        )

    async def get(self, path: str) -> Any:
        answer = await self._client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def is_ready(self) -> bool:
        return (await self._client.get("/-/ready")).status_code == 200

    async def metrics(self) -> str:
        return (await self._client.get("/metrics")).text

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return await self._client.post(path, json=body)

    async def until(self, path: str, holds: Callable[[Any], Any], what: str) -> Any:
        found: list[Any] = []

        async def look() -> bool:
            found[:] = [await self.get(path)]
            return bool(holds(found[0]))

        try:
            await until_async_of(look, what)
        except TimeoutError:
            raise AssertionError(f"waited {WITHIN:g} s in vain for {what}; last: {found}") from None
        return found[0]

    async def close(self) -> None:
        await self._client.aclose()


async def until_async_of(look: Callable[[], Any], what: str) -> None:
    async with asyncio.timeout(WITHIN):
        while not await look():  # noqa: ASYNC110 - it asks over HTTP
            await asyncio.sleep(0.05)
    assert what


def fleet(seen: Any) -> dict[str, Any]:
    return {each["id"]: each for each in seen["gateways"]}


def reading(sensor: str, level: float, number: int) -> bytes:
    return json.dumps(
        {
            "eventType": "VibrationRecorded",
            "timestamp": datetime.now(UTC).isoformat(),
            "eventId": f"00000000-0000-4000-8000-{number:012d}",
            "data": {"sensorId": sensor, "vibrationLevel": level, "baselineVibrationLevel": 2.0, "unit": "mm/s"},
        }
    ).encode()


def alarm(mosquitto: Mosquitto, gateway: str, level: float, number: int) -> None:
    mosquitto.publish(f"vibration/{gateway}/pump/VB-1/reading", reading("VB-1", level, number))


def open_at(seen: Any, gateway: str) -> list[Any]:
    return [each for each in seen["alerts"] if each["gateway"] == gateway and each["kind"] == "machine"]


async def test_alerts_of_two_gateways_are_on_one_page_and_an_order_comes_back_as_a_fact(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    up = {"fleet": {"host": HOST, "port": mosquitto.port}}
    edges = [configured(tmp_path, name, mosquitto.port, **up) for name in ("plant-1", "plant-2")]
    main = configured(tmp_path, "head", mosquitto.port, centre={"lag": 100_000})
    page, edge = Page(main), Page(edges[0])
    try:
        async with running(main, *edges):
            seen = await page.until(
                "/api/v1/fleet", lambda s: [g["state"] for g in s["gateways"]] == ["ok"] * 2, "both"
            )
            assert fleet(seen)["plant-1"]["version"]
            for number, each in enumerate(("plant-1", "plant-2")):
                alarm(mosquitto, each, 4.0, number)
            seen = await page.until("/api/v1/fleet", lambda s: all(open_at(s, g) for g in fleet(s)), "two alerts")
            (found,) = open_at(seen, "plant-1")
            assert (found["severity"], fleet(seen)["plant-1"]["warning"]) == ("warning", 1)
            path = f"/api/v1/fleet/plant-1/alerts/{found['id']}"
            assert (await page.post(f"{path}/ack", {"by": "Ada", "reason": "on my way"})).status_code == 202
            seen = await page.until("/api/v1/fleet", lambda s: open_at(s, "plant-1")[0]["acknowledged"], "the fact")
            assert open_at(seen, "plant-1")[0]["acknowledgedBy"] == "Ada (fleet)"
            await page.until("/api/v1/fleet", lambda s: open_at(s, "plant-1")[0]["asked"]["done"], "the answer")
            assert (await edge.get(f"/api/v1/alerts/{found['id']}"))["acknowledgedBy"] == "Ada (fleet)"
            again = await page.post(f"{path}/ack", {"by": "Bob"})
            assert again.status_code == 202
            seen = await page.until(
                "/api/v1/fleet", lambda s: open_at(s, "plant-1")[0]["asked"]["done"] is False, "a refusal"
            )
            assert "Ada" in open_at(seen, "plant-1")[0]["asked"]["said"]
            shelved = {"by": "Ada", "reason": "spare part", "for": "2h"}
            assert (await page.post(f"{path}/shelve", shelved)).status_code == 202
            await page.until("/api/v1/fleet", lambda s: open_at(s, "plant-1")[0]["shelvedUntil"], "the shelf")
            assert (await page.post(f"{path}/shelve", {"by": "Ada"})).status_code == 422
            assert (await page.post("/api/v1/fleet/plant-9/alerts/x/ack", {"by": "Ada"})).status_code == 404
    finally:
        await page.close()
        await edge.close()


async def test_an_order_for_a_warning_is_not_obeyed_for_what_is_critical_by_now(
    mosquitto: Mosquitto, proxy: FaultProxy, tmp_path: Path
) -> None:
    edge = configured(tmp_path, "plant-1", mosquitto.port, fleet={"host": HOST, "port": proxy.port})
    main = configured(tmp_path, "head", mosquitto.port, centre={"lag": 100_000})
    page = Page(main)
    try:
        async with running(main, edge):
            alarm(mosquitto, "plant-1", 4.0, 1)
            seen = await page.until("/api/v1/fleet", lambda s: open_at(s, "plant-1"), "the warning")
            (found,) = open_at(seen, "plant-1")
            proxy.stop()  # nothing goes up or down any more
            alarm(mosquitto, "plant-1", 9.0, 2)
            answer = await page.post(f"/api/v1/fleet/plant-1/alerts/{found['id']}/ack", {"by": "Ada"})
            assert answer.status_code == 202
            proxy.start()
            seen = await page.until(
                "/api/v1/fleet",
                lambda s: (
                    open_at(s, "plant-1")[0]["severity"] == "critical"
                    and open_at(s, "plant-1")[0]["asked"]["done"] is False
                ),
                "the refusal",
            )
            (now,) = open_at(seen, "plant-1")
            assert (now["acknowledged"], "critical by now" in now["asked"]["said"]) == (False, True)
    finally:
        await page.close()


async def test_who_is_silent_is_an_alert_of_the_centre_and_what_came_meanwhile_is_not_lost(
    mosquitto: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = configured(tmp_path, "plant-1", mosquitto.port, fleet={"host": HOST, "port": mosquitto.port})
    main = configured(tmp_path, "head", mosquitto.port, centre={"lag": 100_000})
    monkeypatch.setattr(main.centre, "__dict__", {**main.centre.__dict__, "silent_after": 2 * 10**9})
    page, there = Page(main), Page(edge)

    def silent(alerts: Any) -> list[Any]:
        return [each for each in alerts if each["sensorId"] == centre.subject("plant-1")]

    try:
        async with running(edge):
            alarm(mosquitto, "plant-1", 4.0, 1)
            async with running(main):
                await page.until("/api/v1/fleet", lambda s: open_at(s, "plant-1"), "the alert from before the centre")
            alarm(mosquitto, "plant-1", 9.0, 2)
            await there.until("/api/v1/alerts", lambda found: found[0]["severity"] == "critical", "it to be worse")
        async with running(main):
            seen = await page.until("/api/v1/fleet", lambda s: s["gateways"][0]["state"] == "silent", "the silence")
            assert "last at" in seen["gateways"][0]["problem"]
            await page.until("/api/v1/alerts", silent, "an alert about it")
            assert open_at(seen, "plant-1")[0]["severity"] == "critical"  # it came while there was no centre
            async with running(edge):
                await page.until("/api/v1/fleet", lambda s: s["gateways"][0]["state"] == "ok", "its return")
                await page.until("/api/v1/alerts", lambda found: not silent(found), "the end of the alert")
    finally:
        await page.close()
        await there.close()


async def test_what_a_foreigner_says_is_counted_and_the_rest_goes_on(mosquitto: Mosquitto, tmp_path: Path) -> None:
    edge = configured(tmp_path, "plant-1", mosquitto.port, fleet={"host": HOST, "port": mosquitto.port})
    main = configured(tmp_path, "head", mosquitto.port, centre={"gateways": ["plant-1"]})
    page = Page(main)
    stolen = wire.write(wire.Facts("plant-1", "e", 0, []))
    try:
        async with running(main, edge):
            await page.until("/api/v1/fleet", lambda s: s["gateways"][0]["state"] == "ok", "the gateway")
            mosquitto.publish("vibration/fleet/plant-9/facts", wire.write(wire.Facts("plant-9", "e", 0, [])))
            mosquitto.publish("vibration/fleet/plant-9/facts", stolen)
            mosquitto.publish("vibration/fleet/plant-1/health", b'{"v":9}')
            mosquitto.publish("vibration/fleet/plant-1/do", b"\xff not an order")
            alarm(mosquitto, "plant-1", 4.0, 1)
            seen = await page.until("/api/v1/fleet", lambda s: open_at(s, "plant-1"), "the alert")
            assert [each["id"] for each in seen["gateways"]] == ["plant-1"]
            assert "vibration_gateway_fleet_messages_refused_total 3.0" in await page.metrics()
    finally:
        await page.close()
