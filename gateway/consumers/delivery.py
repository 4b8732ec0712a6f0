"""The notifier: facts become messages in the outbox, and these become calls of handlers.

What is to be said is `dispatch`'s part. Delivering is one task per handler. Between a handler's success and the note of
it lies the one gap in which a crash repeats a message; it then has the same id.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from msgspec.structs import replace

from gateway.api import DeliveryError, Handler
from gateway.consumers.cursor import Source
from gateway.consumers.notification_planning import Dispatcher, items_of, notification_of
from gateway.consumers.outbox_port import Outbox, stored
from gateway.domain.model.events import derived_id
from gateway.domain.notification.flood import Noise
from gateway.domain.notification.model import FAILED, MOST_ITEMS, SENT, Planned, in_a_sentence, worst_first
from gateway.domain.notification.outbox import OutboxItem, OutboxState
from gateway.domain.notification.planner import Planner
from gateway.domain.notification.routing import RouteTable
from gateway.domain.notification.silences import Silence
from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

EXPIRY_NS, EXPIRY_ATTEMPTS = 24 * 3600 * 10**9, 20
"""A message is given up when it is so old and has been tried so often: if only our clock was set, it has not."""

_MAYBE = "an earlier attempt may have reached its goal all the same"

_SECOND_NS = 10**9
_LONGEST_RECEIPT = 1000
_GRACE = 4.0

BREAK_AFTER = 5
BREAK_SECONDS = 30.0
"""After so many failures in a row a handler is tried only so often, whatever is waiting for it."""
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_REQUEST = 1.0, 300.0, 3600.0


async def _nothing(_handler: str, _problem: str | None) -> None:
    """Report to nobody."""


class Notifier:
    """Plans and delivers.

    Of the handlers `in_the_log`, what they send is a line of the log already, and no second one says that it was sent.
    `told` is called with handler, outcome and seconds since the alert change was recorded; `report` with the subject of
    a handler and what is wrong with it when several attempts in a row have failed, with None when one has succeeded.
    """

    def __init__(
        self,
        outbox: Outbox,
        table: RouteTable,
        *,
        noise: Noise | None = None,
        silences: Sequence[Silence] = (),
        gateway_id: str,
        page_url: str = "",
        in_the_log: Collection[str] = (),
        told: Callable[[str, str, float], None] = lambda *_: None,
        report: Callable[[str, str | None], Awaitable[None]] = _nothing,
    ) -> None:
        self._outbox = outbox
        self._table = table
        self._planner = Planner(table, noise or Noise(), silences)
        self._gateway_id = gateway_id
        self._page_url = page_url
        self._in_the_log = in_the_log
        self._told = told
        self._report = report
        self._failures: dict[str, int] = {}
        self._limited: dict[str, bool] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._clocks_ns: dict[str, int] = {}

    async def plan(self, source: Source) -> None:
        """Follow the journal and fill the outbox, for ever."""
        dispatcher = Dispatcher(
            self._outbox,
            self._planner,
            gateway_id=self._gateway_id,
            page_url=self._page_url,
            wake=lambda handler: self._event(handler).set(),
        )
        await dispatcher.run(source)

    async def deliver(self, name: str, handler: Handler, timeout_ns: int, rate: tuple[int, int] | None = None) -> None:
        """Send what is in the outbox for one handler, for ever; what waits from before the start is due now.

        With a `rate`, so many in so many ns, what is too much waits, and then goes as one message.
        """
        self._clocks_ns[name] = _our_clock_ns()
        await stored(partial(self._outbox.hurry, name))
        while True:
            self._event(name).clear()
            if self._failures.get(name, 0) >= BREAK_AFTER:
                await asyncio.sleep(BREAK_SECONDS * random.uniform(0.8, 1.2))
            try:
                allowed_ns = await self._allowed(name, rate) if rate else 0
                item = await self._outbox.take(name) if allowed_ns <= time.time_ns() else None
                if item is not None:
                    await _finish(self._attempt(item, handler, timeout_ns))
                    continue
                due_ns = await self._outbox.next_due(name)
                due_ns = due_ns if due_ns is None else max(due_ns, allowed_ns)
            except GatewayError as error:
                log.warning(
                    "messages cannot be taken from the journal right now; trying again", handler=name, error=str(error)
                )
                due_ns = time.time_ns() + _SECOND_NS
            await self._until(name, due_ns)

    async def _allowed(self, name: str, rate: tuple[int, int]) -> int:
        """Return from when on a handler may be called, in ns. What has waited for that becomes one message."""
        many, span_ns = rate
        before_ns, now_ns = await self._outbox.nth_sent(name, many - 1), time.time_ns()
        if before_ns is None or before_ns > now_ns:  # never so many, or our clock has gone back since
            return 0
        waiting = await self._outbox.waiting(name)
        if before_ns + span_ns > now_ns:
            self._limited[name] = bool(waiting)
        elif self._limited.pop(name, False) and len(waiting) > 1:
            await self._outbox.merge(waiting, self._digest(waiting))
        return before_ns + span_ns

    def _digest(self, waiting: Sequence[OutboxItem]) -> OutboxItem:
        """Return one message instead of several."""
        items = worst_first([item for message in waiting for item in items_of(message)])
        first = waiting[0]
        planned = Planned(
            id=derived_id(first.id, "merged", str(len(waiting))),
            handler=first.handler,
            route=first.route,
            kind="digest",
            items=tuple(items[:MOST_ITEMS]),
            count=sum(message.notification.count for message in waiting),
            reason=in_a_sentence(items),
            cause=first.cause,
            correlation=first.correlation,
            created_ns=first.created_ns,
        )
        return replace(first, id=planned.id, notification=notification_of(planned, self._gateway_id, self._page_url))

    async def _attempt(self, item: OutboxItem, handler: Handler, timeout_ns: int) -> None:
        now_ns = time.time_ns()
        state, answer, pause, lasts = await self._send(item, handler, timeout_ns)
        said = _receipt(answer)
        if item.is_uncertain and state in {"pending", "failed"}:
            state, said = ("uncertain" if state == "pending" else "failed"), f"{said}; {_MAYBE}"
        expired = now_ns - item.created_ns > EXPIRY_NS and item.attempts >= EXPIRY_ATTEMPTS
        if state in {"pending", "uncertain"} and expired:
            state, said = "failed", f"given up after a day: {said}"
        done_ns = time.time_ns()
        facts = (
            [item.outcome(SENT if state == "sent" else FAILED, said, done_ns)] if state in {"sent", "failed"} else []
        )
        due_ns = done_ns + round(pause * _SECOND_NS)
        # What lasts until somebody mends it is tried again, but whoever comes next need not wait for that.
        instead = self._instead(item, done_ns) if state == "failed" or (lasts and item.attempts == 1) else []
        await stored(partial(self._outbox.settle, item, state, due_ns, said, facts, instead))
        for other in instead:
            self._event(other.handler).set()
        await self._count(item.handler, state, said)
        self._told(item.handler, state, (done_ns - item.created_ns) / _SECOND_NS)
        if state != "sent" or item.handler not in self._in_the_log:
            level = log.info if state == "sent" else log.warning
            level("notification", handler=item.handler, outcome=state, alert=item.notification.alert_id, said=said)

    def _instead(self, item: OutboxItem, now_ns: int) -> list[OutboxItem]:
        """Return the same message for whoever is to be told instead; who has been told of the change is not again."""
        one = item.notification
        change = one.count == 1 and one.kind in {"raised", "escalated", "cleared"}
        found = []
        for handler in self._table.next_after(item.route, item.handler, now_ns):
            id_ = derived_id(item.cause, handler) if change else derived_id(item.id, "instead", handler)
            found.append(
                replace(
                    item,
                    id=id_,
                    handler=handler,
                    attempts=0,
                    created_ns=now_ns,
                    is_uncertain=False,
                    notification=replace(one, id=id_),
                )
            )
        return found

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

    async def _send(
        self, item: OutboxItem, handler: Handler, timeout_ns: int
    ) -> tuple[OutboxState, object, float, bool]:
        """Call the handler once; return the state that follows, what was said, and the pause before another try.

        The last says whether it goes on so until a person does something about it.
        """
        pause = min(_FIRST_PAUSE * 2 ** min(item.attempts - 1, 30), _LONGEST_PAUSE) * random.uniform(0.8, 1.2)
        try:
            async with asyncio.timeout(timeout_ns / _SECOND_NS):
                said = await handler.send(item.notification)
        except DeliveryError as error:
            if error.needs_person:
                await self._report(handler_subject(item.handler), str(error))
            if not error.retry:
                return "failed", str(error), 0.0, False
            pause = max(pause, min(error.retry_after or 0.0, _LONGEST_REQUEST))
            lasts = error.needs_person and error.retry_after is None  # else it begins anew by itself, as a process does
            return ("uncertain" if error.delivered_maybe else "pending"), str(error), pause, lasts
        except TimeoutError:
            return "uncertain", f"no answer within {timeout_ns / _SECOND_NS:g} s", pause, False
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            # A handler is foreign code: whatever it raises, the others go on. Only who stops the gateway may cancel.
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            log.exception("a handler failed with a mistake of its own", handler=item.handler)
            return "pending", traceback.format_exception_only(error)[-1].strip(), pause, False
        return "sent", said, 0.0, False

    async def _until(self, name: str, due_ns: int | None) -> None:
        """Wait until something is due or new for a handler.

        If our clock has gone back since the last time, what is due by it is due now: an hour back must not be an hour's
        wait. A jump during the wait is noticed after it, which takes as long as was meant to.
        """
        before_ns, self._clocks_ns[name] = self._clocks_ns[name], _our_clock_ns()
        if self._clocks_ns[name] < before_ns - _SECOND_NS:
            await stored(partial(self._outbox.hurry, name))
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


def _receipt(answer: object) -> str:
    """Return what the other side said as text that can be stored, whatever a handler has made of it."""
    text = answer if isinstance(answer, str) else type(answer).__name__
    return text[:_LONGEST_RECEIPT].encode(errors="replace").decode()
