"""The centre: hears its gateways, asks again for what is missing, passes orders on, and misses who is silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from gateway.config import Config
from gateway.domain.model.events import Severity
from gateway.domain.model.timefmt import rfc3339
from gateway.fleet import wire
from gateway.fleet.connection import Line
from gateway.fleet.store import FleetStore, Known, UnknownGatewayError, has_twins
from gateway.fleet.wire import Answer, Facts, Health, Order, Snapshot
from gateway.journal.maintenance.retention import Report

log = structlog.get_logger(__name__)

_LOOK_EVERY = 5.0
_ASK_AGAIN = 60.0
"""Seconds after which an order that nobody has answered is published once more."""
_TRIM_EVERY = 3600.0
_NOT_READY_NS = 300 * 10**9


def subject(gateway: str) -> str:
    """Return what the centre's alert about a gateway is about."""
    return f"fleet {gateway}"


Problem = tuple[str, Severity]


def problem_of(known: Known, now: int, listening_since: int, silent_after: int, lag: int) -> Problem | None:
    """Return what people are to be told of a gateway, or None. Times in ns.

    Silence counts from when we began to listen: what was said before, nobody could hear.
    """
    quiet = now - max(known.heard_ns, listening_since)
    if quiet > silent_after:
        last = f"last at {rfc3339(known.heard_ns)}" if known.heard_ns else "never"
        where = "has it power, does it run, does it reach the centre's broker?"
        return f"nothing is heard of it, {last}: {where}", "critical"
    if has_twins(known, now):
        return "two processes say in turns that they are this gateway: one needs another gateway.id", "critical"
    health = known.health
    if health is None:
        return None
    behind = {name: count for name, count in health.behind.items() if count >= lag}
    if behind:
        worst = max(behind, key=lambda name: behind[name])
        return f"its consumer {worst} is {behind[worst]} entries behind", "warning"
    if health.reasons and now - known.first_ns > _NOT_READY_NS:
        return f"it is not ready: {health.reasons[0]}", "warning"
    return None


class Centre:
    """Built on a store; `run` does all of it."""

    def __init__(self, config: Config, store: FleetStore, report: Report, refused: Callable[[], None]) -> None:
        assert config.centre is not None  # noqa: S101 - else there is none
        self._section, self._store, self._report, self._refused = config.centre, store, report, refused
        filters = [wire.topic("+", what) for what in (wire.FACTS, wire.HEALTH, wire.ANSWERS)]
        client_id = f"{config.mqtt.client_id or f'vibration-gateway-{config.gateway.id}'}-centre"
        self._line = Line(config.mqtt, client_id, filters, self._hear, self._begin)
        self._news = asyncio.Event()
        self._told: dict[str, Problem | None] = {}
        self._asked_at: dict[str, float] = {}
        self._again_at: dict[str, float] = {}

    async def run(self) -> None:
        """Be the centre, for ever; the store ends with it."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._line.run(), name="centre: connection")
                group.create_task(self._watch(), name="centre: who is silent")
                group.create_task(self._pass_on(), name="centre: orders")
                group.create_task(self._trim(), name="centre: what is old")
        finally:
            self._store.close()

    async def ask(self, gateway: str, alert: str, wish: Order) -> Order:
        """Order something of a gateway; it is passed on until it is answered. Raises as `FleetStore.order`."""
        order = await self._store.ask(FleetStore.order, gateway, alert, wish)
        log.info("an order for a gateway", gateway=gateway, do=order.do, alert=order.alert, by=order.by)
        self._news.set()
        return order

    async def forget(self, gateway: str, by: str) -> None:
        """Forget a gateway. Raises as `FleetStore.forget`."""
        await self._store.ask(FleetStore.forget, gateway)
        log.info("a gateway is forgotten", gateway=gateway, by=by)
        self._told.pop(gateway, None)
        await self._report(subject(gateway), None, "critical")

    async def seen(self) -> Mapping[str, Any]:
        """Return all gateways and open alerts, as the page and the command line show them."""
        known = await self._store.ask(FleetStore.gateways)
        counts = await self._store.ask(FleetStore.count_alerts)
        alerts = await self._store.ask(FleetStore.alerts)
        now = time.time_ns()
        shown = [self._shown(each, counts, now) for each in known]
        asked = [each | {"asked": each["asked"] and _asked(each["asked"])} for each in alerts]
        return {
            "gateways": shown,
            "alerts": asked,
            "alertsInAll": sum(counts.values()),
            "problem": self._line.problem or None,
        }

    def _shown(self, known: Known, counts: Mapping[tuple[str, str], int], now: int) -> dict[str, Any]:
        health, problem = known.health, self._problem(known, now)
        behind = max(health.behind.values(), default=0) if health else 0
        return {
            "id": known.id,
            "state": self._state(known, problem, now),
            "problem": problem[0] if problem else None,
            "heard": rfc3339(known.heard_ns) if known.heard_ns else None,
            "version": health.version if health else None,
            "sensors": health.sensors if health else None,
            "critical": counts.get((known.id, "critical"), 0),
            "warning": counts.get((known.id, "warning"), 0),
            "behind": behind,
            "free": health.free if health else None,
            "journal": health.journal if health else None,
            "config": health.config if health else None,
            "reasons": list(health.reasons) if health else [],
            "facts": known.last,
            "clockOffBy": round((known.heard_ns - health.at_ns) / 1e9, 1) if health else None,
        }

    def _state(self, known: Known, problem: Problem | None, now: int) -> str:
        if self._is_silent(known, now):
            return "silent"
        if problem is not None:
            return "problem"
        return "waiting" if known.health is None else "ok"

    def _listening_since(self, now: int) -> int:
        """Return since when we hear, in ns; now if we do not."""
        since = self._line.since
        return now if since is None else now - round((time.monotonic() - since) * 1e9)

    def _is_silent(self, known: Known, now: int) -> bool:
        return now - max(known.heard_ns, self._listening_since(now)) > self._section.silent_after

    def _problem(self, known: Known, now: int) -> Problem | None:
        section = self._section
        return problem_of(known, now, self._listening_since(now), section.silent_after, section.lag)

    async def _begin(self) -> None:
        """Pass on what is not answered, once we are connected."""
        self._asked_at.clear()
        self._news.set()

    async def _hear(self, topic: str, payload: object) -> None:
        """Take in a message: what cannot be used is counted and logged, and the rest goes on."""
        *_, name, what = topic.split("/")
        try:
            for order in await self._taken(name, what, payload):
                await self._tell(name, order)
        except (wire.NotUnderstoodError, UnknownGatewayError) as error:
            self._refused()
            log.warning("a message of a gateway is not taken in", topic=topic, problem=str(error))

    async def _taken(self, name: str, what: str, payload: object) -> Sequence[Order]:
        message: Facts | Snapshot | Health | Answer
        if what == wire.HEALTH:
            message = wire.read(payload, Health)
        elif what == wire.ANSWERS:
            message = wire.read(payload, Answer)
        else:
            message = wire.read(payload, Facts | Snapshot)  # type: ignore[arg-type] # a union is no type to mypy
        if message.gateway != name:
            raise wire.NotUnderstoodError(f"it says that it is of {message.gateway!r}")
        if isinstance(message, Health):
            return await self._store.ask(FleetStore.hear, message)
        if isinstance(message, Facts):
            return await self._store.ask(FleetStore.take, message)
        if isinstance(message, Snapshot):
            return await self._store.ask(FleetStore.open, message)
        await self._store.ask(FleetStore.answered, message)
        return []

    async def _tell(self, gateway: str, order: Order) -> None:
        """Tell a gateway something that is not somebody's order; to send again it is asked now and then only."""
        if order.do != "heard":
            now, key = time.monotonic(), f"{gateway} {order.do} {order.after}"
            if now - self._again_at.get(key, -_ASK_AGAIN) < _ASK_AGAIN / 6:
                return
            if len(self._again_at) > 10_000:  # noqa: PLR2004 - they are forgotten then, and asked at once
                self._again_at.clear()
            self._again_at[key] = now
        with suppress(ConnectionError):  # with the next health it is told again
            await self._line.publish(wire.topic(gateway, wire.ORDERS), wire.write(order))

    async def _pass_on(self) -> None:
        """Publish each order until it is answered."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY):
                    await self._news.wait()
            self._news.clear()
            now = time.monotonic()
            waiting = await self._store.ask(FleetStore.unanswered)
            self._asked_at = {order.id: self._asked_at[order.id] for _, order in waiting if order.id in self._asked_at}
            for gateway, order in waiting:
                if now - self._asked_at.get(order.id, -_ASK_AGAIN) >= _ASK_AGAIN:
                    with suppress(ConnectionError):
                        await self._line.publish(wire.topic(gateway, wire.ORDERS), wire.write(order))
                        self._asked_at[order.id] = now

    async def _watch(self) -> None:
        """Raise and clear the alerts about gateways."""
        while True:
            now = time.time_ns()
            if self._line.since is not None:  # else the broker's alert says what there is to say
                for known in await self._store.ask(FleetStore.gateways):
                    problem = self._problem(known, now)
                    if known.id not in self._told or self._told[known.id] != problem:
                        text, severity = problem or (None, "critical")
                        await self._report(subject(known.id), text, severity)
                        self._told[known.id] = problem
            await asyncio.sleep(_LOOK_EVERY)

    async def _trim(self) -> None:
        while True:
            trimmed = await self._store.ask(FleetStore.trim, time.time_ns() - self._section.keep)
            await asyncio.sleep(_LOOK_EVERY if trimmed else _TRIM_EVERY)


def _asked(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"at": rfc3339(asked["atNs"]), **{name: asked[name] for name in ("do", "by", "done", "said")}}
