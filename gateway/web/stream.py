"""Server-sent events: everything once, then what changes, for a limited number of viewers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from gateway.config.values import is_loopback
from gateway.web.permission import hidden
from gateway.web.ports import LiveState

MOST_VIEWERS = 100
MOST_OF_ONE = 50
"""The same of one address that is not this device's, where a proxy may speak for many."""

TICK = 1.0
PING = 15.0
RETRY_MS = 3000
RETRY_AFTER = "30"

PING_EVENT = b": ping\nevent: ping\ndata: ping\n\n"
"""A comment keeps proxies content; a page sees only events, and must notice when they stop."""

_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]


@dataclass(frozen=True)
class Watcher:
    """Who watches: whether we know him, so that he sees people's addresses, and whether he still may see anything."""

    is_known: bool = False
    may_see: Callable[[], bool] = lambda: True


class Stream:
    """The stream of all viewers.

    Viewers wake on the same beat, every `tick` seconds at most, and those who have the same version get the same
    bytes, made once. There is no queue: who reads slowly skips versions and gets the newest state.
    """

    def __init__(
        self,
        live: LiveState,
        about: Mapping[str, Any],
        *,
        most: int = MOST_VIEWERS,
        tick: float = TICK,
        ping: float = PING,
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._refused = refused
        self._live = live
        self._about = about
        self._most = most
        self._tick = tick
        self._ping = ping
        self._frames: dict[tuple[int, bool], bytes] = {}  # since which version, for whom -> the event to the newest one
        self._frames_version = 0
        self._closing = asyncio.Event()
        self._of: Counter[str] = Counter()
        self.viewers = 0

    def close(self) -> None:
        """End every stream, and those to come."""
        self._closing.set()

    async def serve(self, scope: Scope, receive: Receive, send: Send, viewer: Watcher) -> None:
        """Serve one more viewer, or refuse."""
        host = client[0] if (client := scope.get("client")) else ""
        if self.viewers >= self._most or (self._of[host] >= MOST_OF_ONE and not is_loopback(host)):
            self._refused("viewers")
            refusal = JSONResponse(
                {"detail": f"{self.viewers} viewers are watching already: try again later"},
                status_code=503,
                headers={"Retry-After": RETRY_AFTER, "Connection": "close"},
            )
            await refusal(scope, receive, send)
            return
        self.viewers += 1
        self._of[host] += 1
        try:
            await self._admit(receive, send, viewer)
        finally:
            self.viewers -= 1
            self._of[host] -= 1
            self._of += Counter()  # without those who have none
            if not self.viewers:
                self._frames.clear()

    async def _admit(self, receive: Receive, send: Send, viewer: Watcher) -> None:
        """Send until the viewer has gone or may not see any more, or the gateway stops."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        sending = asyncio.create_task(self._send(send, viewer), name="stream")
        ends = [asyncio.create_task(_gone(receive), name="viewer"), asyncio.create_task(self._closing.wait())]
        try:
            await asyncio.wait([sending, *ends], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, *ends):
                task.cancel()
            await asyncio.gather(sending, *ends, return_exceptions=True)
        if not sending.cancelled():
            sending.result()  # it ends by itself only with an error
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send, viewer: Watcher) -> None:
        async for text in self._events(viewer):
            await send({"type": "http.response.body", "body": text, "more_body": True})

    async def _events(self, viewer: Watcher) -> AsyncIterator[bytes]:
        version = 0
        while viewer.may_see():
            version, frame = self._frame(version, viewer)
            yield frame
            while viewer.may_see() and not await self._changed(version):
                yield PING_EVENT
            loop = asyncio.get_running_loop()
            await asyncio.sleep(self._tick - loop.time() % self._tick)

    async def _changed(self, since: int) -> bool:
        try:
            async with asyncio.timeout(self._ping):
                await self._live.changed(since)
        except TimeoutError:
            return False
        return True

    def _frame(self, since: int, viewer: Watcher) -> tuple[int, bytes]:
        """Return the newest version, and the event that leads there from version `since`."""
        if self._frames_version != self._live.version:
            self._frames_version = self._live.version
            self._frames.clear()
        key = since, viewer.is_known
        if key not in self._frames:
            changes = self._live.changes(since)
            if not viewer.is_known and "alerts" in changes:
                changes = {**changes, "alerts": hidden(changes["alerts"])}
            name = "update" if since else "snapshot"
            data = msgspec.json.encode(changes if since else {**self._about, **changes})
            self._frames[key] = b"retry: %d\nevent: %s\ndata: %s\n\n" % (RETRY_MS, name.encode(), data)
        return self._frames_version, self._frames[key]


class StreamResponse(Response):
    """The answer to one viewer."""

    def __init__(self, stream: Stream, viewer: Watcher) -> None:
        super().__init__()
        self._stream = stream
        self._viewer = viewer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the viewer."""
        await self._stream.serve(scope, receive, send, self._viewer)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
