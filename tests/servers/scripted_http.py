"""A peer over HTTP that says what it is told to, right or wrong, in whatever time it is told to take."""

import gzip
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from tests.servers.ports import HOST


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


Part = bytes | float | None
"""Bytes to send, seconds to wait, or the end of the connection by a reset."""

Script = Callable[[Asked], Iterable[Part]]
"""What is asked -> what to answer."""


class ScriptedHttp:
    """Answers every request by `script`, and ends the connection unless it `keeps` it.

    `asked` holds all requests so far.
    """

    def __init__(self, script: Script, *, keeps: bool = False) -> None:
        self.script = script
        self.keeps = keeps
        self.asked: list[Asked] = []
        self.is_stopping = threading.Event()
        self._server = _Server((HOST, 0), _Connection)
        self._server.peer = self
        self.port = self._server.server_address[1]
        self.url = f"http://{HOST}:{self.port}"

    def start(self) -> None:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.is_stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64
    peer: ScriptedHttp


class _Connection(socketserver.StreamRequestHandler):
    server: ClassVar[_Server]  # type: ignore[misc] # each connection has it; the base says less of it
    timeout = 5  # seconds, for a client that connects and sends nothing
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with suppress(OSError):  # the client has had enough
            while (asked := self._read()) is not None:
                self.server.peer.asked.append(asked)
                self._answer(asked)
                if not self.server.peer.keeps:
                    self.connection.shutdown(socket.SHUT_WR)
                    return

    def _answer(self, asked: Asked) -> None:
        for part in self.server.peer.script(asked):
            if self.server.peer.is_stopping.is_set():
                return
            if isinstance(part, bytes):
                self.connection.sendall(part)
            elif part is None:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
            elif self.server.peer.is_stopping.wait(part):
                return

    def _read(self) -> Asked | None:
        line = self.rfile.readline(65536).decode("latin-1").split()
        if len(line) != 3:  # a health check, or a port scan
            return None
        headers: dict[str, str] = {}
        while (text := self.rfile.readline(65536).decode("latin-1").strip()) != "":
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return Asked(line[0], line[1], headers, body)


def answer(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """Return a well-formed answer."""
    lines = [f"HTTP/1.1 {status} As-told", f"Content-Length: {len(body)}"]
    if status in {204, 304} or 100 <= status < 200:
        lines.pop()
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
