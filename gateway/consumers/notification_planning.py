"""Dispatch: facts and the time become messages in the outbox, by what the planner decides.

The decisions, the planner's memory and its cursor are one transaction, so that an alert change leads to its messages
exactly once, whatever ends the gateway in between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

import structlog

from gateway.consumers.cursor import STEP_SIZE, Cursor, Source, patiently
from gateway.consumers.outbox_port import Outbox, stored
from gateway.domain.engine.event_log import EventRecord, LogSlice
from gateway.domain.notification.model import Item, Notification, Planned, fact_of
from gateway.domain.notification.outbox import OutboxItem, Planning
from gateway.domain.notification.planner import Planner

log = structlog.get_logger(__name__)

NAME = "notifier"

_SLICE = 200
"""So many facts are planned in one go; the event loop turns in between."""

_LONGEST_SLEEP = 60.0
_SECOND_NS = 10**9
_JUMP_NS = 2 * _SECOND_NS


class Dispatcher:
    """Follows the journal with a planner. `wake` is called with a handler for which there is something new."""

    def __init__(
        self,
        outbox: Outbox,
        planner: Planner,
        *,
        gateway_id: str,
        page_url: str = "",
        wake: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._outbox = outbox
        self._planner = planner
        self._gateway_id = gateway_id
        self._page_url = page_url
        self._wake = wake
        self._ahead_ns = time.time_ns() - time.monotonic_ns()

    async def run(self, source: Source) -> None:
        """Follow the journal and the time, for ever."""
        cursor = Cursor(source, NAME, await patiently(partial(source.cursor, NAME)))
        records, silences = await self._outbox.remembered()
        if unreadable := self._planner.restore(records, silences, time.time_ns()):
            log.warning("some of what was remembered of alerts was made by another version; left out", count=unreadable)
        await self._write(cursor, cursor.seq, self._planning(time.time_ns()))
        try:
            while True:
                await self._pass_time(cursor)
                await self._wait(cursor)
                step = await patiently(partial(source.step, cursor.seq, STEP_SIZE, readings=False))
                await self._take(cursor, step)
        finally:
            await asyncio.shield(cursor.save())

    async def _take(self, cursor: Cursor, step: LogSlice) -> None:
        for begin in range(0, len(step.entries), _SLICE):
            entries = step.entries[begin : begin + _SLICE]
            planning = await asyncio.to_thread(self._decide, entries)
            await self._write(cursor, entries[-1].seq, planning)
        await cursor.move(step.until)

    def _decide(self, entries: Sequence[EventRecord]) -> Planning | None:
        """Decide what follows from facts; in a thread, since a flood's digest takes a while."""
        for entry in entries:
            self._planner.take(entry.fact, entry.recorded_ns)
        return self._planning(entries[-1].recorded_ns)

    async def _pass_time(self, cursor: Cursor) -> None:
        now_ns = time.time_ns()
        ahead_ns = now_ns - time.monotonic_ns()
        if abs(ahead_ns - self._ahead_ns) > _JUMP_NS:  # somebody has set our clock: nothing is put off or hurried by it
            self._planner.shift(ahead_ns - self._ahead_ns)
        self._ahead_ns = ahead_ns
        due_ns = self._planner.due_ns()
        if due_ns is not None and due_ns <= now_ns:
            await self._write(cursor, cursor.seq, await asyncio.to_thread(self._decide_by_time, now_ns))

    def _decide_by_time(self, now_ns: int) -> Planning | None:
        self._planner.pass_time(now_ns)
        return self._planning(now_ns)

    async def _wait(self, cursor: Cursor) -> None:
        """Wait until there is something new, or something has come due."""
        due_ns = self._planner.due_ns()
        seconds = _LONGEST_SLEEP if due_ns is None else max(0.0, (due_ns - time.time_ns()) / _SECOND_NS)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, _LONGEST_SLEEP)):
                await cursor.wait()

    async def _write(self, cursor: Cursor, seq: int, planning: Planning | None) -> None:
        if planning is None:
            return
        await stored(partial(self._outbox.plan, NAME, planning, seq))
        cursor.saved(seq)
        for handler in {item.handler for item in planning.items}:
            self._wake(handler)

    def _planning(self, now_ns: int) -> Planning | None:
        plan = self._planner.plan(now_ns)
        if not (plan.records or plan.messages or plan.withheld or plan.withdrawals):
            return None
        return Planning(
            time_ns=now_ns,
            items=[self._item(planned) for planned in plan.messages],
            facts=[fact_of(withheld) for withheld in plan.withheld],
            withdrawals=plan.withdrawals,
            records=plan.records,
        )

    def _item(self, planned: Planned) -> OutboxItem:
        return OutboxItem(
            id=planned.id,
            handler=planned.handler,
            attempts=0,
            created_ns=planned.created_ns,
            cause=planned.cause,
            correlation=planned.correlation,
            notification=notification_of(planned, self._gateway_id, self._page_url),
            route=planned.route,
            changes=planned.changes,
        )


def notification_of(planned: Planned, gateway_id: str, page_url: str) -> Notification:
    """Return a planned message as a handler is given it: of several alerts, the worst comes first."""
    if not planned.items:
        return Notification(
            id=planned.id,
            kind=planned.kind,
            alert_id="",
            alert_kind="gateway",
            severity="warning",
            sensor_id="",
            reason=planned.reason,
            occurred_ns=planned.created_ns,
            opened_ns=planned.created_ns,
            gateway_id=gateway_id,
            page_url=page_url,
            count=0,
        )
    first = planned.items[0]
    alone = planned.count == 1
    return Notification(
        id=planned.id,
        kind=planned.kind,
        alert_id=first.alert_id,
        alert_kind=first.alert_kind,
        severity=first.severity,
        sensor_id=first.sensor_id,
        reason=planned.reason,
        occurred_ns=first.occurred_ns if planned.kind in {"raised", "escalated", "cleared"} else planned.created_ns,
        opened_ns=first.opened_ns,
        gateway_id=gateway_id,
        site=_common(item.site for item in planned.items),
        area=_common(item.area for item in planned.items),
        machine=_common(item.machine for item in planned.items),
        location=first.location if alone else "",
        level=first.level if alone else None,
        baseline=first.baseline if alone else None,
        ratio=first.ratio if alone else None,
        unit=first.unit,
        page_url=f"{page_url}#alert={first.alert_id}" if page_url and alone else page_url,
        grouped=() if alone else planned.items,
        count=planned.count,
        figure=first.figure if alone else "",
    )


def items_of(item: OutboxItem) -> tuple[Item, ...]:
    """Return what a message tells of, one by one."""
    one = item.notification
    if one.grouped or not one.count:
        return one.grouped
    return (
        Item(
            change=item.cause,
            kind=one.kind if one.kind in {"escalated", "cleared"} else "raised",
            alert_id=one.alert_id,
            alert_kind=one.alert_kind,
            severity=one.severity,
            sensor_id=one.sensor_id,
            reason=one.reason,
            occurred_ns=one.occurred_ns,
            opened_ns=one.opened_ns,
            site=one.site,
            area=one.area,
            machine=one.machine,
            location=one.location,
            level=one.level,
            baseline=one.baseline,
            ratio=one.ratio,
            unit=one.unit,
            over=one.kind == "cleared",
            figure=one.figure,
        ),
    )


def _common(names: Iterable[str]) -> str:
    found = set(names)
    return found.pop() if len(found) == 1 else ""
