"""The notifier: alert changes become outbox rows, outbox rows become calls of handlers.

Planning is one transaction with the notifier's cursor, so an alert change leads to its messages exactly once.
Delivering is one task per handler. Between a handler's success and the note of it lies the one gap in which a crash
repeats a message; it then has the same id.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import structlog

from gateway.api import DeliveryError, Entry, Handler, Notification, OutboxItem, OutboxState, Step
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

EXPIRY_NS, EXPIRY_ATTEMPTS = 24 * 3600 * 10**9, 20
"""A message is given up when it is so old and has been tried so often: if only our clock was set, it has not."""

_SECOND_NS = 10**9
_LONGEST_RECEIPT = 1000
_GRACE = 4.0
_TRY_AGAIN = 1.0

BREAK_AFTER = 5
BREAK_SECONDS = 30.0
"""After so many failures in a row a handler is tried only so often, whatever is waiting for it."""
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_REQUEST = 1.0, 300.0, 3600.0


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

    async def hurry(self, handler: str) -> None:
        """Make everything that waits for a handler due: it works again."""
        ...


async def _nothing(_handler: str, _problem: str | None) -> None:
    """Report to nobody."""


class Notifier:
    """Plans and delivers.

    `told` is called with handler, outcome and seconds since the alert change was recorded; `report` with the subject of
    a handler and what is wrong with it when several attempts in a row have failed, with None when one has succeeded.
    """

    def __init__(
        self,
        outbox: Outbox,
        routes: tuple[Route, ...],
        *,
        gateway_id: str,
        page_url: str = "",
        told: Callable[[str, str, float], None] = lambda *_: None,
        report: Callable[[str, str | None], Awaitable[None]] = _nothing,
    ) -> None:
        self._outbox = outbox
        self._routes = routes
        self._gateway_id = gateway_id
        self._page_url = page_url
        self._told = told
        self._report = report
        self._failures: dict[str, int] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._clocks_ns: dict[str, int] = {}

    async def plan(self, source: Source) -> None:
        """Follow the journal and fill the outbox, for ever."""
        cursor = Cursor(source, NAME, await source.cursor(NAME))
        try:
            while True:
                await cursor.wait()
                await self._plan_step(cursor, await source.step(cursor.seq, STEP_SIZE, readings=False))
        finally:
            await asyncio.shield(cursor.save())

    async def _plan_step(self, cursor: Cursor, step: Step) -> None:
        items = [item for entry in step.entries for item in self._items(entry)]
        if items:
            await _stored(partial(self._outbox.plan, NAME, items, step.until))
            cursor.saved(step.until)
        else:
            await cursor.move(step.until)
        for handler in {handler for _, handler, _ in items}:
            self._event(handler).set()

    async def deliver(self, name: str, handler: Handler, timeout_ns: int) -> None:
        """Send what is in the outbox for one handler, for ever; what waits from before the start is due now."""
        self._clocks_ns[name] = _our_clock_ns()
        await _stored(partial(self._outbox.hurry, name))
        while True:
            self._event(name).clear()
            if self._failures.get(name, 0) >= BREAK_AFTER:
                await asyncio.sleep(BREAK_SECONDS * random.uniform(0.8, 1.2))
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
        data = entry.fact.data
        handlers = handlers_for(data["severity"], self._routes)
        if data["kind"] == "gateway":  # what a handler cannot deliver it need not be asked to tell
            handlers = [handler for handler in handlers if handler_subject(handler) != data["sensorId"]]
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
        state, answer, pause = await self._send(item, handler, timeout_ns)
        said = _receipt(answer)
        expired = now_ns - item.created_ns > EXPIRY_NS and item.attempts >= EXPIRY_ATTEMPTS
        if state in {"pending", "uncertain"} and expired:
            state, said = "failed", f"given up after a day: {said}"
        done_ns = time.time_ns()
        facts = [_fact(item, state, said, done_ns)] if state in {"sent", "failed"} else []
        due_ns = done_ns + round(pause * _SECOND_NS)
        await _stored(partial(self._outbox.settle, item, state, due_ns, said, facts))
        await self._count(item.handler, state, said)
        self._told(item.handler, state, (done_ns - item.created_ns) / _SECOND_NS)
        level = log.info if state == "sent" else log.warning
        level("notification", handler=item.handler, outcome=state, alert=item.notification.alert_id, said=said)

    async def _count(self, handler: str, state: OutboxState, said: str) -> None:
        """Count failures in a row; from some on the circuit is open: single attempts with long pauses, and an alert."""
        if state == "sent":
            if self._failures.pop(handler, 0):
                await self._outbox.hurry(handler)
            await self._report(handler_subject(handler), None)
            return
        self._failures[handler] = self._failures.get(handler, 0) + 1
        if self._failures[handler] == BREAK_AFTER:
            await self._report(
                handler_subject(handler), f"{BREAK_AFTER} attempts in a row have failed, the last with: {said}"
            )

    async def _send(self, item: OutboxItem, handler: Handler, timeout_ns: int) -> tuple[OutboxState, object, float]:
        """Call the handler once; return the state that follows, what was said, and the pause before another try."""
        pause = min(_FIRST_PAUSE * 2 ** min(item.attempts - 1, 30), _LONGEST_PAUSE) * random.uniform(0.8, 1.2)
        try:
            async with asyncio.timeout(timeout_ns / _SECOND_NS):
                said = await handler.send(item.notification)
        except DeliveryError as error:
            if not error.retry:
                return "failed", str(error), 0.0
            pause = max(pause, min(error.retry_after or 0.0, _LONGEST_REQUEST))
            return ("uncertain" if error.delivered_maybe else "pending"), str(error), pause
        except TimeoutError:
            return "uncertain", f"no answer within {timeout_ns / _SECOND_NS:g} s", pause
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            # A handler is foreign code: whatever it raises, the others go on. Only who stops the gateway may cancel.
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            log.exception("a handler raised", handler=item.handler)
            return "pending", traceback.format_exception_only(error)[-1].strip(), pause
        return "sent", said, 0.0

    async def _until(self, name: str, due_ns: int | None) -> None:
        """Wait until something is due or new for a handler.

        If our clock has gone back since the last time, what is due by it is due now: an hour back must not be an hour's
        wait. A jump during the wait is noticed after it, which takes as long as was meant to.
        """
        before_ns, self._clocks_ns[name] = self._clocks_ns[name], _our_clock_ns()
        if self._clocks_ns[name] < before_ns - _SECOND_NS:
            await _stored(partial(self._outbox.hurry, name))
            return
        seconds = None if due_ns is None else max(0.0, (due_ns - time.time_ns()) / _SECOND_NS)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event(name).wait()

    def _event(self, name: str) -> asyncio.Event:
        return self._wake.setdefault(name, asyncio.Event())


def _our_clock_ns() -> int:
    """Return a number that changes only when our clock is set."""
    return time.time_ns() - time.monotonic_ns()


def handler_subject(name: str) -> str:
    """Return what an alert about a handler is about."""
    return f"handler {name}"


async def _finish(work: Coroutine[Any, Any, None]) -> None:
    """Let an attempt that has begun come to its end, even when the gateway is to stop; but not for ever."""
    attempt = asyncio.ensure_future(work)
    try:
        await asyncio.shield(attempt)
    except asyncio.CancelledError:
        await asyncio.wait([attempt], timeout=_GRACE)
        attempt.cancel()
        raise


async def _stored(write: Callable[[], Awaitable[None]]) -> None:
    """Write to the journal; while it cannot be written, try again."""
    while True:
        try:
            return await write()
        except GatewayError as error:
            if not error.retry:
                raise
            log.warning("the outbox cannot be written; trying again", error=str(error))
            await asyncio.sleep(_TRY_AGAIN)


def _receipt(answer: object) -> str:
    """Return what the other side said as text that can be stored, whatever a handler has made of it."""
    text = answer if isinstance(answer, str) else type(answer).__name__
    return text[:_LONGEST_RECEIPT].encode(errors="replace").decode()


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
