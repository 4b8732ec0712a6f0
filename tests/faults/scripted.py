"""A broker for MQTT 5 that says what it is told to, right or wrong."""

import socket
import socketserver
import threading
from contextlib import suppress
from typing import ClassVar

from simulator import wire
from tests.servers.ports import HOST, free_port

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ = 0x10, 0x30, 0x82, 0xC0
CONNACK = b"\x20\x03\x00\x00\x00"
PUBLISHERS_OWN = (b"$SYS/", b"vibration/alerts/", b"vibration/gateway/")
"""What the gateway's other connection listens to."""
PINGRESP = b"\xd0\x00"


class ScriptedBroker:
    """Takes every connection, answers its subscription with `granted`, then sends it the packets of `script`.

    `acknowledged` holds the packet ids of the PUBACKs it got, `subscriptions` counts subscribers' connections.
    """

    host = HOST

    def __init__(self, script: list[bytes], *, granted: int = 1) -> None:
        self.port = free_port()
        self.script = script
        self.granted = granted
        self.acknowledged: list[int] = []
        self.subscriptions = 0
        self._server = _Server((HOST, self.port), _Connection)
        self._server.broker = self

    def start(self) -> None:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, kind: int, body: bytes) -> list[bytes]:
        """Return the packets that follow one of a client's."""
        if kind == CONNECT:
            return [CONNACK]
        if kind == SUBSCRIBE:
            answer = b"\x90\x04" + body[:2] + bytes([0, self.granted])
            if any(topic in body for topic in PUBLISHERS_OWN):
                return [answer]
            self.subscriptions += 1
            return [answer, *self.script]
        if kind & 0xF0 == PUBLISH and kind & 0x02:
            start = 2 + int.from_bytes(body[:2], "big")
            return [b"\x40\x02" + body[start : start + 2]]
        if kind == wire.PUBACK:
            self.acknowledged.append(int.from_bytes(body[:2], "big"))
        return [PINGRESP] if kind == PINGREQ else []


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    broker: ScriptedBroker


class _Connection(socketserver.BaseRequestHandler):
    request: socket.socket
    server: ClassVar[_Server]  # type: ignore[misc] # each connection has it; the base says less of it

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError):
            self._converse()

    def _converse(self) -> None:
        buffer = bytearray()
        while received := self.request.recv(65536):
            buffer += received
            for kind, body in wire.split(buffer):
                for packet in self.server.broker.answer(kind, body):
                    self.request.sendall(packet)
