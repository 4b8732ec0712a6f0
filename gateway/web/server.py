"""The HTTP server inside the gateway's own event loop: no signal handlers, no exit, no access log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.errors import GatewayError

MOST_CONNECTIONS = 256
"""File descriptors are few, and the broker and the journal need theirs."""

SEND_BUFFER = 256 * 1024
READER_TIMEOUT_MS = 30_000
"""A peer that has taken nothing for so long is cut off by the kernel, where it can (Linux)."""

PATIENCE = 10.0
"""Seconds that a peer has for the head of a request, and for its body, before it is cut off; at most twice as long."""

GRACE = 1.0
LAST_RESORT = 5


class _Connection(H11Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in its base
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        self._timer = self.loop.call_later(PATIENCE, self._abort_if_still, self._awaited())

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()  # or an ended gateway would be held by it, with all its sensors
        super().connection_lost(exc)

    def _awaited(self) -> tuple[object, object] | None:
        """Return which part of which request we wait for, or None if the peer waits for us."""
        state = self.conn.their_state
        return (state, getattr(self, "cycle", None)) if state in {h11.IDLE, h11.SEND_BODY} else None

    def _abort_if_still(self, before: tuple[object, object] | None) -> None:
        """Cut a peer off that we wait for as we did `before`: it only holds a place. An idle one uvicorn closes."""
        if self.transport.is_closing():
            return
        awaited = self._awaited()
        if awaited is not None and awaited == before:
            self.transport.abort()
        else:
            self._timer = self.loop.call_later(PATIENCE, self._abort_if_still, awaited)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals are the program's business

    def abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one, which its `getsockname()[1]` tells.

    Raises GatewayError if the address cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        both = host == "::" and socket.has_dualstack_ipv6()
        listener = socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=both)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise GatewayError(
            f"http: cannot listen on {host} port {port}: {reason}; choose another http.host or http.port"
        ) from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, READER_TIMEOUT_MS)
    return listener


async def serve(app: FastAPI, listener: socket.socket) -> None:
    """Serve `app` on `listener` until cancelled; then end the streams, let other answers finish, and close."""
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=LAST_RESORT,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        await asyncio.shield(running)
    finally:
        app.state.stream.close()
        server.should_exit = True
        abort = asyncio.get_running_loop().call_later(GRACE, server.abort_connections)
        await running
        abort.cancel()
