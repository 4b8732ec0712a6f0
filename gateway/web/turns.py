"""Whose turn it is: what is asked over HTTP waits for ingest, however much there is, and only while its asker does."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

AT_ONCE = 32
"""Requests that are being answered at once; further ones wait. Each may hold an answer of some megabytes."""

AT_ONCE_OF_ONE = 4
"""The same of one address: there is one thread for questions, and nobody is to fill it."""

LONGEST = 60.0
"""Seconds in which an answer is made and taken."""

PROBES_ONLY = "probes only"
"""Set in the state of a connection that only probes are answered on, since all other places are taken."""

STREAM = "/api/v1/stream"
_PROBES = ("/-/", "/metrics")


class Turns:
    """ASGI middleware: at every turn of the event loop one request begins, and one of a probe.

    Between two of them everything else that is ready has its turn: the broker's messages, and who is told. Streams
    have limits of their own.
    """

    def __init__(self, app: ASGIApp, refused: Callable[[str], None] = lambda _: None) -> None:
        self._app = app
        self._refused = refused
        self._gates = {True: asyncio.Lock(), False: asyncio.Lock()}
        self._places = asyncio.Semaphore(AT_ONCE)
        self._of_one: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE_OF_ONE))
        self._asking: defaultdict[str, int] = defaultdict(int)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer once it is this request's turn."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_probe = scope["path"].startswith(_PROBES)
        if scope.get("state", {}).get(PROBES_ONLY) and not is_probe:
            self._refused("connections")
            await _refuse(scope, receive, send)
        elif is_probe or scope["path"] == STREAM:
            await self._turn(is_probe=is_probe)
            await self._app(scope, receive, send)
        elif scope["method"] in {"GET", "HEAD"}:
            await _as_long_as_asked(self._answer, scope, receive, send)
        else:  # a change is short, needs the token, and is not to wait for those who only look
            await self._turn(is_probe=False)
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        async with self._place(client[0] if client else ""):
            await self._turn(is_probe=False)
            try:
                async with asyncio.timeout(LONGEST) as limit:
                    await self._app(scope, receive, send)
            except TimeoutError:
                if not limit.expired():
                    raise
                self._refused("slow")

    @asynccontextmanager
    async def _place(self, address: str) -> AsyncIterator[None]:
        """Wait for a place among those of the address, then for one among all."""
        self._asking[address] += 1
        try:
            async with self._of_one[address], self._places:
                yield
        finally:
            self._asking[address] -= 1
            if not self._asking[address]:
                del self._asking[address], self._of_one[address]

    async def _turn(self, *, is_probe: bool) -> None:
        async with self._gates[is_probe]:
            await asyncio.sleep(0)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    detail = "too many connections: try again later"
    headers = {"Retry-After": "5", "Connection": "close"}
    await JSONResponse({"detail": detail}, status_code=503, headers=headers)(scope, receive, send)


async def _as_long_as_asked(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Have a question answered that has no body, and end that when the asker hangs up: nobody waits for it."""
    first: list[Message] = [await receive()]
    if first[0]["type"] == "http.disconnect":
        return
    gone = asyncio.get_running_loop().create_future()

    async def receive_once() -> Message:
        return first.pop() if first else await asyncio.shield(gone)

    async def watch() -> None:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        gone.set_result(message)

    answering: asyncio.Task[Any] = asyncio.ensure_future(app(scope, receive_once, send))
    watching = asyncio.ensure_future(watch())
    try:
        await asyncio.wait([answering, watching], return_when=asyncio.FIRST_COMPLETED)
    finally:
        is_done = answering.done()
        answering.cancel()
        watching.cancel()
        await asyncio.gather(answering, watching, return_exceptions=True)
    if is_done:
        answering.result()
