"""What tests of the subscribers share: each kind, and somebody who takes what comes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from gateway.config import MqttSection
from gateway.domain.model.events import Message
from gateway.errors import DeliveryError
from gateway.mqtt.incidents import Incidents
from gateway.mqtt.losses import Dropped
from gateway.mqtt.mqtt5_subscriber import Mqtt5Subscriber
from gateway.mqtt.paho_subscriber import PahoSubscriber
from gateway.mqtt.publisher import Publisher
from gateway.mqtt.subscriber import Subscriber
from gateway.mqtt.twins import Twins
from simulator import wire
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST
from tests.servers.waiting import until_async

CLIENT = "gateway-under-test"
FILTER = "plant/+/reading"
TOPIC = "plant/S-1/reading"
PATIENCE = 20.0
PAHO_LEAVES_OPEN = "ignore:.*SSLSocket:pytest.PytestUnraisableExceptionWarning"  # a socket whose handshake failed


@dataclass(frozen=True)
class Kind:
    """One of the subscribers, and the protocol it is to speak."""

    build: Callable[..., Subscriber]
    protocol: str


KINDS = {
    "mqtt5": Kind(Mqtt5Subscriber, "5"),
    "paho-5": Kind(PahoSubscriber, "5"),
    "paho-3.1.1": Kind(PahoSubscriber, "3.1.1"),
}


@dataclass
class Taker:
    """Takes batches as the gateway does; acknowledges them unless told not to."""

    subscriber: Subscriber
    acknowledges: bool = True
    taken: list[Message] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            messages = await self.subscriber.batch()
            self.taken += messages
            if self.acknowledges:
                self.subscriber.acknowledge(messages)

    async def until(self, count: int, within: float = PATIENCE) -> list[Message]:
        await until_async(lambda: len(self.taken) >= count, within, f"{count} messages; there are {len(self.taken)}")
        return self.taken

    async def until_different(self, payloads: set[bytes], within: float = PATIENCE) -> None:
        await until_async(lambda: {each.payload for each in self.taken} >= payloads, within, "every message")

    async def problem(self, words: str, within: float = PATIENCE) -> str:
        """Wait until something is wrong that has these words."""
        found: list[str] = []

        def said() -> bool:
            found[:] = [problem for problem in self.subscriber.problems if words in problem]
            return bool(found)

        await until_async(said, within, f"a problem with {words!r}; there is {self.subscriber.problems}")
        return found[0]

    async def until_connected(self, within: float = 40) -> None:
        await until_async(lambda: not self.subscriber.problems, within, "the connection")


def settings(kind: Kind, port: int) -> dict[str, Any]:
    return {"host": HOST, "port": port, "topics": ["plant/{sensor}/reading"], "protocol": kind.protocol}


@asynccontextmanager
async def taking(
    kind: Kind,
    port: int,
    *,
    filters: tuple[str, ...] = (FILTER,),
    obsolete: tuple[str, ...] = (),
    acknowledges: bool = True,
    connected: bool = True,
    **changes: Any,
) -> AsyncIterator[Taker]:
    section = MqttSection.model_validate({**settings(kind, port), **changes})
    async with kind.build(section, CLIENT, filters, obsolete) as made:
        taker = Taker(made, acknowledges)
        task = asyncio.create_task(taker.run())
        try:
            if connected:
                waiting = asyncio.create_task(made.subscribed.wait())
                await asyncio.wait([task, waiting], timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                assert made.subscribed.is_set(), f"{made.problems}, {task}"
            yield taker
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def publish(mosquitto: Mosquitto, payloads: list[bytes], **options: Any) -> None:
    await asyncio.to_thread(mosquitto.publish_all, [(TOPIC, payload) for payload in payloads], **options)


def publisher_of(section: MqttSection) -> Publisher:
    incidents = Incidents()
    return Publisher(section, "out", "edge-1", incidents, dropped=Dropped(incidents), twins=Twins(incidents))


async def published(publisher: Publisher, topic: str, traceparent: str) -> None:
    """Publish as soon as there is a connection."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await publisher.publish(topic, "{}", traceparent)
            except DeliveryError:
                await asyncio.sleep(0.05)


def publishing(topic: bytes, packet_id: int, payload: bytes, properties: bytes = b"\0") -> bytes:
    return wire.publish(len(topic).to_bytes(2, "big") + topic, packet_id, properties, payload)


def numbered(count: int, prefix: str = "") -> list[bytes]:
    return [f"{prefix}{number}".encode() for number in range(count)]
