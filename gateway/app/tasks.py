"""The tasks of a running gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Self

import structlog

from gateway.errors import GatewayError

log = structlog.get_logger(__name__)

_STOP_WITHIN = 5.0


class Tasks:
    """The named tasks of a running gateway. Should one end, the gateway says which and stops."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Awaitable[None]) -> None:
        """Start a task that is to run for as long as the gateway does."""
        self._tasks.add(asyncio.ensure_future(_named(name, work)))

    async def until(self, event: asyncio.Event) -> None:
        """Wait for something; raise what a task raises that ends before."""
        waiting = asyncio.ensure_future(event.wait())
        failing = asyncio.ensure_future(self.failure())
        try:
            await asyncio.wait([waiting, failing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            failing.cancel()
            (error, _) = await asyncio.gather(failing, waiting, return_exceptions=True)
        if isinstance(error, Exception):
            raise error

    async def failure(self) -> None:
        """Wait until a task ends, which it should not, and raise what it raised."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        for task in self._tasks:
            task.cancel()
        if not self._tasks:  # the start has failed before there was one
            return
        _, pending = await asyncio.wait(self._tasks, timeout=_STOP_WITHIN)
        for task in pending:
            log.warning("a part of the gateway did not stop in time and is left behind", part=task.get_name())


async def _named(name: str, work: Awaitable[None]) -> None:
    task = asyncio.current_task()
    if task is not None:
        task.set_name(name)
    try:
        await _sole(work)
    except GatewayError:
        raise
    except Exception:
        log.exception("a part of the gateway has failed; the gateway stops", part=name)
        raise
    raise GatewayError(f"{name} has ended by itself; the gateway stops")


async def _sole(work: Awaitable[None]) -> None:
    """Do the work; if one task of a group in it fails, raise what that raised, as if there were no group."""
    try:
        await work
    except ExceptionGroup as group:
        error: Exception = group
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        raise error from error.__cause__  # which says whether the journal is damaged
