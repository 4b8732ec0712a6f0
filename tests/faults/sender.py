"""A sender that cannot get stuck: what the broker has not acknowledged it sends again, over a new connection."""

import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from simulator import wire
from tests.servers.ports import HOST

PROTOCOL = "3.1.1"
PUBLISH_AGAIN = 0x08  # the DUP flag
IN_FLIGHT = 1000  # messages
TICK = 0.02  # seconds
PAUSE = 0.5  # seconds between a connection that was lost and the next
CATCHING_UP = 300.0  # seconds

Make = Callable[[int, float], tuple[str, str]]


class Sender:
    """Publishes at a rate, at QoS 1 and in order, for as long as it is open, and gives up on nothing.

    `make` returns topic and payload from a message's number and the seconds since the start. `sent` counts the messages
    that were made, also those that wait for a broker that is away; `acknowledged` those that the broker has had. Where
    one is in flight and nothing is heard for `patience` seconds, the connection is given up.
    """

    def __init__(self, port: int, rate: float, make: Make, patience: float = 10.0) -> None:
        self.sent = 0
        self.acknowledged = 0
        self._port, self._rate, self._make, self._patience = port, rate, make, patience
        self._window = 0
        self._waiting: deque[tuple[int, bytes]] = deque()  # packet ids and packets that this connection has not had
        self._in_flight: dict[int, bytes] = {}  # the same of those that it has had, in the order of sending
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Make nothing new, and wait until the broker has had everything."""
        self._stopping.set()
        self._thread.join(CATCHING_UP)
        assert self.acknowledged == self.sent, f"the broker has had {self.acknowledged} of {self.sent} messages"

    @property
    def _done(self) -> bool:
        return self._stopping.is_set() and not self._waiting and not self._in_flight

    def _run(self) -> None:
        while not self._done:
            try:
                with socket.create_connection((HOST, self._port), self._patience) as connection:
                    self._serve(connection)
            except (OSError, wire.ProtocolError):
                self._make_due()
                time.sleep(PAUSE)

    def _serve(self, connection: socket.socket) -> None:
        """Send and hear until all is done; OSError when the connection is lost or nothing is heard."""
        self._take_back()
        connection.sendall(wire.connect("soak", PROTOCOL, None, None, clean=False))
        buffer, heard = bytearray(), time.monotonic()
        while not self._done:
            self._make_due()
            self._fill(connection)
            if select.select([connection], [], [], TICK)[0]:
                self._hear(connection, buffer)
                heard = time.monotonic()
            elif self._window and not self._in_flight:
                heard = time.monotonic()  # there is nothing to be heard
            elif time.monotonic() - heard > self._patience:
                raise TimeoutError("the broker is silent")
        connection.sendall(wire.DISCONNECT)

    def _take_back(self) -> None:
        """Put what is in flight before everything else, to be sent again."""
        again = [(id_, bytes([packet[0] | PUBLISH_AGAIN]) + packet[1:]) for id_, packet in self._in_flight.items()]
        self._waiting.extendleft(reversed(again))
        self._in_flight.clear()
        self._window = 0  # until the broker has taken the connection

    def _make_due(self) -> None:
        seconds = time.monotonic() - self._began
        due = self.sent if self._stopping.is_set() else int(seconds * self._rate)
        for number in range(self.sent, due):
            topic, payload = self._make(number, seconds)
            id_ = number % wire.MOST_IN_FLIGHT + 1
            self._waiting.append((id_, wire.publish(wire.text(topic), id_, b"", payload.encode())))
            self.sent += 1

    def _fill(self, connection: socket.socket) -> None:
        while self._waiting and len(self._in_flight) < self._window:
            id_, packet = self._waiting.popleft()
            self._in_flight[id_] = packet  # before it is sent: half a packet is to be sent again, too
            connection.sendall(packet)

    def _hear(self, connection: socket.socket, buffer: bytearray) -> None:
        received = connection.recv(65536)
        if not received:
            raise ConnectionError("the broker has closed the connection")
        buffer += received
        for kind, body in wire.split(buffer):
            if kind == wire.CONNACK:
                self._window = min(IN_FLIGHT, wire.receive_maximum(body, PROTOCOL))
            elif kind == wire.PUBACK and self._in_flight.pop(wire.acknowledged(body)[0], None) is not None:
                self.acknowledged += 1
