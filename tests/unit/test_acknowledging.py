"""A message is acknowledged once what it holds is on disk, and no sooner: what each subscriber would send."""

# ruff: noqa: SLF001 - there is no socket, so the subscribers are put where connecting would have put them

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import mqtt5
import pytest

from gateway.config import MqttSection
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.errors import JournalUnavailableError
from gateway.ingest import loop
from gateway.journal import Stream
from gateway.mqtt.mqtt5_connection import Connection
from gateway.mqtt.mqtt5_subscriber import Mqtt5Subscriber
from gateway.mqtt.paho_subscriber import PahoSubscriber
from gateway.mqtt.subscriber import Subscriber
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.readiness import Health
from tests.readings import Plant, plant, reading

PACKET_ID = 7
READING = reading(0)

Receive = Callable[[], None]
Made = tuple[Subscriber, Receive]


def paho(protocol: Literal["5", "3.1.1"], said: list[str]) -> Made:
    """Return paho's subscriber; what it would send is noted, and what it receives are the bytes of a packet."""
    made = PahoSubscriber(MqttSection(topics=("{sensor}",), protocol=protocol), "test", ["#"])
    client: Any = made._client
    made._loop = asyncio.get_running_loop()
    client._send_command_with_mid = lambda _command, mid, _dup: said.append(f"acknowledged {mid}")
    topic = READING.topic.encode()
    properties = b"\x00" if protocol == "5" else b""
    body = len(topic).to_bytes(2) + topic + PACKET_ID.to_bytes(2) + properties + READING.payload

    def receive() -> None:
        client._in_packet = {"command": 0x32, "packet": bytearray(body), "remaining_length": len(body)}
        client._handle_publish()

    return made, receive


def own(said: list[str]) -> Made:
    """Return our own subscriber for MQTT 5, with a connection that goes nowhere."""
    made = Mqtt5Subscriber(MqttSection(topics=("{sensor}",)), "test", ["#"])
    made._generation = 1
    connection = made._connection = Connection(1, made._take_in)

    def write(data: bytes) -> None:
        packet, _ = mqtt5.read(memoryview(data))
        assert isinstance(packet, mqtt5.PubAckPacket)
        said.append(f"acknowledged {packet.packet_id}")

    nothing = lambda: None  # noqa: E731 - three times the same
    transport = SimpleNamespace(
        write=write, is_closing=lambda: False, pause_reading=nothing, resume_reading=nothing, abort=nothing
    )
    connection.connection_made(cast("asyncio.Transport", transport))
    packet = mqtt5.PublishPacket(READING.topic, READING.payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=PACKET_ID)
    return made, lambda: connection.data_received(packet.write())


SUBSCRIBERS: dict[str, Callable[[list[str]], Made]] = {
    "3.1.1": lambda said: paho("3.1.1", said),
    "5": own,
    "5 without the mqtt5 package": lambda said: paho("5", said),
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


@pytest.mark.parametrize("name", SUBSCRIBERS)
async def test_it_is_acknowledged_after_the_commit_and_not_while_that_fails(
    here: Plant, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = list[str]()
    done = asyncio.Event()
    write = here.journal.write

    def written(batch: UnitOfWork) -> None:
        """Note the commit in its own thread, so that an acknowledgement before it comes first."""
        if len(said) < 2:
            said.append("not written")
            raise JournalUnavailableError("the journal cannot be written: disk full")
        write(batch)
        said.append("on disk")

    monkeypatch.setattr(here.journal, "write", written)
    monkeypatch.setattr(loop, "_TRY_AGAIN", 0)
    metrics = Metrics()
    monkeypatch.setattr(metrics, "count_batch", lambda *_: done.set())
    subscriber, receive = SUBSCRIBERS[name](said)
    health = cast("Health", SimpleNamespace(room=_room, journal_problem=None))
    with closing(Stream(here.journal, here.path)) as stream:
        work = loop.ingest(
            subscriber,
            journal=here.journal,
            pipeline=here.pipeline,
            stream=stream,
            metrics=metrics,
            health=health,
        )
        running = asyncio.create_task(work)
        receive()
        await done.wait()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    assert said == ["not written", "not written", "on disk", f"acknowledged {PACKET_ID}"]


async def _room() -> None:
    """Wait for nothing: there is room on the disk."""
