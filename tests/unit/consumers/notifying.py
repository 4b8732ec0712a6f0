"""A notifier at work, and handlers that do as they are told."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from gateway.api import Handler
from gateway.consumers.delivery import Notifier
from gateway.domain.engine.event_log import EventRecord
from gateway.domain.notification.model import Notification
from gateway.domain.notification.routing import Route, RouteTable
from tests.plant import alert_entry, alert_of
from tests.unit.consumers.journal import MemoryJournal

SECOND = 10**9
ROUTES = (Route("warning", ("mail",), group_by="none"), Route("critical", ("sms", "mail"), group_by="none"))


class Scripted:
    """A handler that does one thing after the other; when there is nothing left it keeps the contract."""

    def __init__(self, *actions: Any) -> None:
        self.actions = list(actions)
        self.sent: list[Notification] = []

    async def send(self, notification: Notification) -> Any:
        self.sent.append(notification)
        action = self.actions.pop(0) if self.actions else "ok"
        if isinstance(action, BaseException):
            raise action
        return await action() if callable(action) else action


def fresh(entry: EventRecord) -> EventRecord:
    """Return an entry that was recorded just now."""
    return replace(entry, recorded_ns=time.time_ns())


def warning(number: int = 1, **more: Any) -> EventRecord:
    return fresh(alert_entry(alert_of(number=number, **more)))


def critical(number: int = 1) -> EventRecord:
    return fresh(alert_entry(alert_of(severity="critical", number=number)))


@asynccontextmanager
async def running(
    journal: MemoryJournal,
    answer_within: float = 5,
    routes: tuple[Route, ...] = ROUTES,
    in_the_log: Collection[str] = (),
    **handlers: Handler,
) -> AsyncIterator[list[tuple[str, str]]]:
    """Run a notifier; yield the (handler, outcome) that it counts, and stop it as the gateway does."""
    told: list[tuple[str, str]] = []
    made = Notifier(
        journal,
        RouteTable(routes),
        gateway_id="edge-1",
        page_url="http://x/",
        in_the_log=in_the_log,
        told=lambda name, state, _: told.append((name, state)),
    )
    tasks = [asyncio.create_task(made.plan(journal))]
    tasks += [
        asyncio.create_task(made.deliver(name, handler, int(answer_within * SECOND)))
        for name, handler in handlers.items()
    ]
    try:
        yield told
        assert not [task for task in tasks if task.done()], "a part of the notifier has ended"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
