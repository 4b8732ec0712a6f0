"""A third party's handler at arm's length: in a thread and event loop of its own, so that it can block nobody else."""

from __future__ import annotations

import asyncio
import threading
import weakref

from gateway.api import DeliveryError, Handler, Notification


class Isolated:
    """Passes notifications to `handler` in a thread of its own, which ends with this object or with the process."""

    def __init__(self, name: str, handler: Handler) -> None:
        self._name = name
        self._handler = handler
        self._busy = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def send(self, notification: Notification) -> str:
        """Return what the handler returns, and raise what it raises; DeliveryError while it is stuck."""
        if self._busy:
            raise DeliveryError("the handler is stuck in an earlier message: it blocks, or ignores its end")
        call = asyncio.run_coroutine_threadsafe(self._send(notification), self._running_loop())
        return await asyncio.wrap_future(call)

    async def _send(self, notification: Notification) -> str:
        self._busy = True
        try:
            return await self._handler.send(notification)
        except (SystemExit, KeyboardInterrupt) as error:  # they would end its event loop instead of this call
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        finally:
            self._busy = False

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
