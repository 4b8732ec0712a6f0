"""Answers that are made, compressed and sent without holding up the event loop, however large they are."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from fastapi import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

T = TypeVar("T")

SMALLEST, LARGE = 1024, 32 * 1024
"""Bytes of what is worth compressing, and of what a thread does it for."""

LEVEL = 5
PIECE = 64 * 1024
"""So much is given to a connection at once; the next only when it has taken that, whose memory it would fill else."""

GZIP = b"\x1f\x8b"
"""What gzip begins with, and no JSON."""

_THREAD = ThreadPoolExecutor(1, "http-encoding")
"""One for all: several would take the interpreter from the event loop at the same time."""


async def aside(work: Callable[[], T]) -> T:
    """Return what `work` returns, done in a thread."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, work)


async def as_json(make: Callable[[], Any]) -> Response:
    """Return what `make` makes as an answer in JSON."""
    return Response(await aside(lambda: msgspec.json.encode(make())), media_type="application/json")


class Compressed:
    """ASGI middleware: answers of a known length go compressed, where that is wanted, and in pieces.

    What does not say its length, the stream, passes as it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] == "http":
            is_wanted = "gzip" in Headers(scope=scope).get("accept-encoding", "")
            await self._app(scope, receive, _Sending(send, is_wanted=is_wanted))
        else:
            await self._app(scope, receive, send)


class _Sending:
    """Holds an answer until it is whole."""

    def __init__(self, send: Send, *, is_wanted: bool) -> None:
        self._send = send
        self._is_wanted = is_wanted
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and "content-length" in Headers(raw=message["headers"]):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        headers, body = MutableHeaders(raw=start["headers"]), bytes(self._body)
        self._body.clear()
        if len(body) >= SMALLEST and start["status"] == HTTPStatus.OK and "content-encoding" not in headers:
            headers.add_vary_header("Accept-Encoding")
            if self._is_wanted:
                body = await compressed(body)
                headers["Content-Encoding"], headers["Content-Length"] = "gzip", str(len(body))
        await self._send(start)
        for place in range(0, max(len(body), 1), PIECE):
            piece, more = body[place : place + PIECE], place + PIECE < len(body)
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})


async def compressed(body: bytes) -> bytes:
    """Return a body as gzip."""
    if len(body) < LARGE:
        return gzip.compress(body, LEVEL)
    return await aside(lambda: gzip.compress(body, LEVEL))
