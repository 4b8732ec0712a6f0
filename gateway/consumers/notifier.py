"""The notifier: alert changes become outbox rows, outbox rows become calls of handlers.

Planning is one transaction with the notifier's cursor, so an alert change leads to its messages exactly once.
Delivering is one task per handler. Between a handler's success and the note of it lies the one gap in which a crash
repeats a message; it then has the same id.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import structlog

from gateway.api import DeliveryError, Entry, Handler, Notification, OutboxItem, OutboxState
from gateway.consumers.following import STEP_SIZE, Cursor, Source
from gateway.domain.alerts import ALERT_FACTS
from gateway.domain.events import Fact, derive, derived_id
from gateway.domain.routing import Route, handlers_for
from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

NAME = "notifier"
SENT, FAILED = "NotificationSent", "NotificationFailed"
TOLD = {"raised", "escalated"}
"""Changes that are told. That an alert is over is on the page; a message for it would be one more to read."""

EXPIRY_NS = 24 * 3600 * 10**9
_SECOND_NS = 10**9
_LONGEST_RECEIPT = 1000
_GRACE = 4.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0


class Outbox(Protocol):
    """What the notifier asks of the journal, from the event loop."""

    async def plan(self, consumer: str, items: Sequence[tuple[Notification, str, Entry]], seq: int) -> None:
        """Put (notification, handler, what it tells of) into the outbox and move the cursor that led to them."""
        ...

    async def take(self, handler: str) -> OutboxItem | None:
        """Mark the next notification due for a handler as sending and return it."""
        ...

    async def settle(self, item: OutboxItem, state: OutboxState, due_ns: int, said: str, facts: Sequence[Fact]) -> None:
        """Write what became of an attempt."""
        ...

    async def next_due(self, handler: str) -> int | None:
        """Return when the next notification of a handler is due, in ns."""
        ...


class Notifier:
    """Plans and delivers. `told` is called with handler, outcome and seconds since the alert change was recorded."""

    def __init__(
        self,
        outbox: Outbox,
        routes: tuple[Route, ...],
        *,
        gateway_id: str,
        page_url: str = "",
        told: Callable[[str, str, float], None] = lambda *_: None,
    ) -> None:
        self._outbox = outbox
        self._routes = routes
        self._gateway_id = gateway_id
        self._page_url = page_url
        self._told = told
        self._wake: dict[str, asyncio.Event] = {}

    async def plan(self, source: Source) -> None:
        """Follow the journal and fill the outbox, for ever."""
        cursor = Cursor(source, NAME, await source.cursor(NAME))
        while True:
            await cursor.wait()
            step = await source.step(cursor.seq, STEP_SIZE, readings=False)
            items = [item for entry in step.entries for item in self._items(entry)]
            if items:
                await self._outbox.plan(NAME, items, step.until)
                cursor.saved(step.until)
            else:
                await cursor.move(step.until)
            for handler in {handler for _, handler, _ in items}:
                self._event(handler).set()

    async def deliver(self, name: str, handler: Handler, timeout_ns: int) -> None:
        """Send what is in the outbox for one handler, for ever."""
        while True:
            self._event(name).clear()
            try:
                item = await self._outbox.take(name)
                if item is not None:
                    await _finish(self._attempt(item, handler, timeout_ns))
                    continue
                due_ns = await self._outbox.next_due(name)
            except GatewayError as error:
                log.warning("the outbox cannot be used right now", handler=name, error=str(error))
                due_ns = time.time_ns() + _SECOND_NS
            await self._until(name, due_ns)

    def _items(self, entry: Entry) -> list[tuple[Notification, str, Entry]]:
        """Return a notification for every handler that an entry is to be told through."""
        kind = ALERT_FACTS.get(entry.fact.type)
        if kind not in TOLD:
            return []
        handlers = handlers_for(entry.fact.data["severity"], self._routes)
        return [(self._notification(entry, kind, handler), handler, entry) for handler in handlers]

    def _notification(self, entry: Entry, kind: str, handler: str) -> Notification:
        data, tags = entry.fact.data, entry.fact.data["tags"]
        return Notification(
            id=derived_id(entry.fact.id, handler),
            kind="escalated" if kind == "escalated" else "raised",
            alert_id=data["id"],
            alert_kind=data["kind"],
            severity=data["severity"],
            sensor_id=data["sensorId"],
            reason=data["finding"],
            occurred_ns=entry.fact.time_ns,
            opened_ns=data["openedNs"],
            gateway_id=self._gateway_id,
            site=tags.get("site", ""),
            area=tags.get("area", ""),
            machine=tags.get("machine", ""),
            location=data["location"],
            level=data["level"],
            baseline=data["baseline"],
            ratio=data["ratio"],
            unit=data["unit"],
            page_url=self._page_url,
        )

    async def _attempt(self, item: OutboxItem, handler: Handler, timeout_ns: int) -> None:
        now_ns = time.time_ns()
        state, said, pause = await self._send(item, handler, timeout_ns)
        if state in {"pending", "uncertain"} and now_ns - item.created_ns > EXPIRY_NS:
            state, said = "failed", f"given up after a day: {said}"
        done_ns = time.time_ns()
        facts = [_fact(item, state, said, done_ns)] if state in {"sent", "failed"} else []
        await self._outbox.settle(item, state, done_ns + round(pause * _SECOND_NS), said, facts)
        self._told(item.handler, state, (done_ns - item.created_ns) / _SECOND_NS)
        level = log.info if state == "sent" else log.warning
        level("notification", handler=item.handler, outcome=state, alert=item.notification.alert_id, said=said)

    async def _send(self, item: OutboxItem, handler: Handler, timeout_ns: int) -> tuple[OutboxState, str, float]:
        """Call the handler once; return the state that follows, what was said, and the pause before another try."""
        pause = min(_FIRST_PAUSE * 2 ** (item.attempts - 1), _LONGEST_PAUSE) * random.uniform(0.8, 1.2)
        try:
            async with asyncio.timeout(timeout_ns / _SECOND_NS):
                said = await handler.send(item.notification)
        except DeliveryError as error:
            if not error.retry:
                return "failed", str(error), 0.0
            pause = max(pause, error.retry_after or 0.0)
            return ("uncertain" if error.delivered_maybe else "pending"), str(error), pause
        except TimeoutError:
            return "uncertain", f"no answer within {timeout_ns / _SECOND_NS:g} s", pause
        except Exception as error:  # a handler is foreign code: whatever it raises, the others go on
            log.exception("a handler raised", handler=item.handler)
            return "pending", f"{type(error).__name__}: {error}", pause
        return "sent", str(said)[:_LONGEST_RECEIPT], 0.0

    async def _until(self, name: str, due_ns: int | None) -> None:
        """Wait until something is due or new for a handler."""
        seconds = None if due_ns is None else max(0.0, (due_ns - time.time_ns()) / _SECOND_NS)
        try:
            async with asyncio.timeout(seconds):
                await self._event(name).wait()
        except TimeoutError:
            pass

    def _event(self, name: str) -> asyncio.Event:
        return self._wake.setdefault(name, asyncio.Event())


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Let an attempt that has begun come to its end, even when the gateway is to stop; but not for ever."""
    attempt = asyncio.ensure_future(work)
    try:
        await asyncio.shield(attempt)
    except asyncio.CancelledError:
        await asyncio.wait([attempt], timeout=_GRACE)
        attempt.cancel()
        raise


def _fact(item: OutboxItem, state: OutboxState, said: str, time_ns: int) -> Fact:
    data: Mapping[str, object] = {
        "alertId": item.notification.alert_id,
        "notificationId": item.id,
        "handler": item.handler,
        "kind": item.notification.kind,
        "attempts": item.attempts,
        "said": said,
    }
    return derive(
        SENT if state == "sent" else FAILED,
        item.notification.sensor_id,
        time_ns,
        cause=item.cause,
        correlation=item.correlation,
        data=dict(data),
    )
