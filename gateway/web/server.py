"""The HTTP server inside the gateway's own event loop: no signal handlers, no exit, no access log."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway.config.values import is_loopback
from gateway.errors import GatewayError
from gateway.web.turns import PROBES_ONLY

MOST_CONNECTIONS = 256
"""File descriptors are few, and the broker and the journal need theirs."""

MOST_OF_ONE = 64
"""The same of one address that is not this device's, where a proxy may speak for many."""

FOR_PROBES = 16
"""More connections, on which only probes are answered."""

OF_DEVICE = 16
"""More on top of those, for this device's own addresses: its command line, and what watches its container."""

SEND_BUFFER = 256 * 1024
READER_TIMEOUT_MS = 30_000
"""A peer that has taken nothing for so long is cut off by the kernel, where it can (Linux)."""

PATIENCE = 10.0
"""Seconds that a peer has for the head of a request, and for its body, before it is cut off; at most twice as long."""

GRACE = 1.0
LAST_RESORT = 5


_PEERS_TURN = (h11.IDLE, h11.SEND_BODY)
_LOOK_EVERY = 0.1
"""Seconds before idle connections are looked for again, where all were busy: looking takes longer than answering."""


class _Place(Enum):
    FULL, FOR_PROBES, NONE = range(3)


class _Places:
    """Who is connected, by address. A new connection takes the place of an idle one, if there is no other."""

    def __init__(self, speaks_for_many: Callable[[str], bool]) -> None:
        self._speaks_for_many = speaks_for_many
        self._of: Counter[str] = Counter()
        self._look_at = 0.0

    def take(self, new: _Connection, now: float) -> _Place:
        """Return what a new connection is good for."""
        host = new.host
        self._of[host] += 1
        if self._of[host] > MOST_OF_ONE and not is_loopback(host) and not self._speaks_for_many(host):
            return self._instead(new, host, now)
        return _Place.FULL if self._of.total() <= MOST_CONNECTIONS else self._instead(new, None, now)

    def free(self, host: str) -> None:
        """Take note that a connection has ended."""
        self._of[host] -= 1
        if not self._of[host]:
            del self._of[host]

    def _instead(self, new: _Connection, host: str | None, now: float) -> _Place:
        idle = self._idle(new, host) if now >= self._look_at else []
        if idle:
            max(idle, key=lambda each: (self._of[each.host], -each.since)).transport.abort()
            return _Place.FULL
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
        further = self._of.total() - MOST_CONNECTIONS
        if is_loopback(new.host):
            return _Place.FULL if further <= FOR_PROBES + OF_DEVICE else _Place.NONE
        return _Place.FOR_PROBES if further <= FOR_PROBES else _Place.NONE

    @staticmethod
    def _idle(new: _Connection, host: str | None) -> list[_Connection]:
        others = (each for each in new.connections if isinstance(each, _Connection) and each is not new)
        return [each for each in others if host in {None, each.host} and each.is_idle()]


class _Connection(H11Protocol):
    places: _Places

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in its base
        super().connection_made(transport)
        self.host = self.client[0] if self.client else ""
        self.since = self.loop.time()
        place = self.places.take(self, self.since)
        if place is _Place.NONE:
            transport.abort()
        elif place is _Place.FOR_PROBES:
            self.app_state = {**self.app_state, PROBES_ONLY: True}
        self._timer = self.loop.call_later(PATIENCE, self._abort_if_still, self._awaited())

    def connection_lost(self, exc: Exception | None) -> None:
        self.places.free(self.host)
        self._timer.cancel()  # or an ended gateway would be held by it, with all its sensors
        super().connection_lost(exc)

    def is_idle(self) -> bool:
        """Return whether this peer has nothing to wait for."""
        return self.conn.their_state in _PEERS_TURN and not self.transport.is_closing()

    def _awaited(self) -> tuple[object, object] | None:
        """Return which part of which request we wait for, or None if the peer waits for us."""
        state = self.conn.their_state
        return (state, getattr(self, "cycle", None)) if state in _PEERS_TURN else None

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


async def serve(
    app: FastAPI, listener: socket.socket, speaks_for_many: Callable[[str], bool] = lambda _: False
) -> None:
    """Serve `app` on `listener` until cancelled; then end the streams, let other answers finish, and close.

    `speaks_for_many` says of an address that it is a trusted proxy's, whose connections are those of many.
    """
    config = uvicorn.Config(
        app,
        http=type("_Connected", (_Connection,), {"places": _Places(speaks_for_many)}),
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
