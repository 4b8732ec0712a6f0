"""A subscriber that acknowledges every message and does nothing else: what broker and client can do at most.

`python -m bench.null_subscriber HOST PORT COUNT` takes up a session and prints the seconds from its first
message to its COUNTth acknowledgement. With a COUNT of 0 it makes the session and leaves.
"""

import sys
import threading
import time
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TOPIC = "vibration/+/+/+/+/reading"
PATIENCE = 300.0  # seconds
RECEIVE_MAXIMUM = 2000  # as the gateway's default
QOS = 1


class NullSubscriber:
    """Counts and acknowledges."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._received = 0
        self._first = 0.0
        self.seconds = 0.0
        self.ready, self.done = threading.Event(), threading.Event()
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id="null-subscriber",
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
        )
        self.client.on_connect = lambda client, *_: client.subscribe(TOPIC, QOS)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self._take

    def _take(self, client: Client, _data: Any, message: MQTTMessage) -> None:
        client.ack(message.mid, QOS)
        self._received += 1
        if self._received == 1:
            self._first = time.perf_counter()
        if self._received == self._count:
            self.seconds = time.perf_counter() - self._first
            self.done.set()


def main() -> None:
    """Connect, take what there is, and say how long it took."""
    host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    subscriber = NullSubscriber(count)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own lack
    properties.SessionExpiryInterval = 3600
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    subscriber.client.connect(host, port, clean_start=False, properties=properties)
    subscriber.client.loop_start()
    waiting = subscriber.done if count else subscriber.ready
    finished = waiting.wait(PATIENCE)
    subscriber.client.disconnect()
    subscriber.client.loop_stop()
    if not finished:
        sys.exit(f"waited {PATIENCE:g} s in vain")
    print(subscriber.seconds)


if __name__ == "__main__":
    main()
