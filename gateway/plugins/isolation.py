"""A third party's handler at arm's length: in a thread and event loop of its own, so that it can block nobody else."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from gateway.api import Context, DeliveryError, Handler, Trend
from gateway.domain.notification.model import Notification

T = TypeVar("T")


class Isolated:
    """Passes notifications to `handler` in a thread of its own, which ends with this object or with the process."""

    def __init__(self, name: str, handler: Handler) -> None:
        self._name = name
        self._handler = handler
        self._busy = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context: Context | None = None  # until it has been handed on

    def attach(self, context: Context) -> None:
        """Keep what the gateway offers for the handler's own thread: its `attach` is foreign code too."""
        ours = asyncio.get_running_loop()

        async def trend(sensor_id: str, since_ns: int, until_ns: int) -> Trend:
            asked: Any = context.trend(sensor_id, since_ns, until_ns)
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked, ours))

        self._context = replace(context, trend=trend)

    async def send(self, notification: Notification) -> str:
        """Return what the handler returns, and raise what it raises; DeliveryError while it is stuck."""
        return await self._apart(self._handler.send, notification)

    async def preview(self, notification: Notification) -> Mapping[str, str]:
        """Return what the handler would send. Raises DeliveryError if it cannot say."""
        preview = getattr(self._handler, "preview", None)
        if preview is None:
            raise DeliveryError("a handler of this type cannot show what it would send", retry=False)
        return await self._apart(preview, notification)

    async def _apart(self, function: Callable[[Notification], Awaitable[T]], notification: Notification) -> T:
        if self._busy:
            raise DeliveryError("the handler is stuck in an earlier message: it blocks, or ignores its end")
        call = asyncio.run_coroutine_threadsafe(self._call(function, notification), self._running_loop())
        return await asyncio.wrap_future(call)

    async def _call(self, function: Callable[[Notification], Awaitable[T]], notification: Notification) -> T:
        self._busy = True
        try:
            self._hand_on_context()
            return await function(notification)
        except (SystemExit, KeyboardInterrupt) as error:  # they would end its event loop instead of this call
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        finally:
            self._busy = False

    def _hand_on_context(self) -> None:
        attach = getattr(self._handler, "attach", None)
        if attach is not None and self._context is not None:
            attach(self._context)
        self._context = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = loop = asyncio.new_event_loop()
            threading.Thread(target=_run, args=[loop], name=f"handler {self._name}", daemon=True).start()
            weakref.finalize(self, _end, loop)
        return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _end(loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
