"""A message is acknowledged once what it holds is on disk, and no sooner: what each subscriber would send."""

# ruff: noqa: SLF001 - there is no socket, so the subscribers are put where connecting would have put them

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import mqtt5
import msgspec
import pytest

from gateway.config import MqttSection
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.model.events import Message
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
from tests.servers.waiting import until_async

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
        work = loop.IngestLoop(
            subscriber,
            journal=here.journal,
            pipeline=here.pipeline,
            stream=stream,
            metrics=metrics,
            health=health,
        )
        running = asyncio.create_task(work.run())
        receive()
        await done.wait()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    assert said == ["not written", "not written", "on disk", f"acknowledged {PACKET_ID}"]


async def _room() -> None:
    """Wait for nothing: there is room on the disk."""


class Told:
    """A subscriber whose messages come when the test says so."""

    most_under_way = 8
    problems = ()

    def __init__(self) -> None:
        self.coming: asyncio.Queue[list[Message]] = asyncio.Queue()
        self.acknowledged: list[int] = []

    async def batch(self) -> list[Message]:
        return await self.coming.get()

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.acknowledged.append(len(messages))


class TestWhenIsCommitted:
    """A commit has a reason: nothing here waits for time, which is an hour."""

    @pytest.fixture
    async def subscriber(self, here: Plant) -> AsyncIterator[Told]:
        told = Told()
        health = cast("Health", SimpleNamespace(room=_room, journal_problem=None))
        with closing(Stream(here.journal, here.path)) as stream:
            self.work = loop.IngestLoop(
                cast("Subscriber", told),
                journal=here.journal,
                pipeline=here.pipeline,
                stream=stream,
                metrics=Metrics(),
                health=health,
                within=3600,
            )
            running = asyncio.create_task(self.work.run())
            yield told
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def judged(self, count: int) -> None:
        await until_async(lambda: sum(batch.messages for batch in self.work.judged) == count, 10, "it to be judged")

    async def test_readings_that_tell_nobody_anything_wait(self, here: Plant, subscriber: Told) -> None:
        for number in range(3):
            subscriber.coming.put_nowait([reading(number)])
        await self.judged(3)
        assert subscriber.acknowledged == []
        assert here.journal.next_seq == 1

    async def test_half_of_what_may_be_under_way_is_enough(self, subscriber: Told) -> None:
        for number in range(4):
            subscriber.coming.put_nowait([reading(number)])
        await until_async(lambda: bool(subscriber.acknowledged), 10, "the acknowledgement")
        assert subscriber.acknowledged == [4]

    async def test_an_alert_waits_for_nothing(self, subscriber: Told) -> None:
        for number in range(3):
            subscriber.coming.put_nowait([reading(number, level=400.0)])
        await until_async(lambda: bool(subscriber.acknowledged), 10, "the acknowledgement")
        assert subscriber.acknowledged == [3]

    async def test_another_connection_finds_on_disk_what_came_on_the_first(self, subscriber: Told) -> None:
        first = msgspec.structs.replace(reading(0), generation=1, packet_id=7)
        subscriber.coming.put_nowait([first])
        subscriber.coming.put_nowait([msgspec.structs.replace(first, generation=2, duplicate=True)])
        await until_async(lambda: bool(subscriber.acknowledged), 10, "the acknowledgement")
        assert subscriber.acknowledged == [1]
        await self.judged(1)

    async def test_the_end_commits_and_acknowledges(self, subscriber: Told) -> None:
        subscriber.coming.put_nowait([reading(0)])
        await self.judged(1)
        await self.work.finish()
        assert subscriber.acknowledged == [1]


async def test_each_message_is_acknowledged_in_time_though_no_other_follows(here: Plant) -> None:
    told = Told()
    health = cast("Health", SimpleNamespace(room=_room, journal_problem=None))
    with closing(Stream(here.journal, here.path)) as stream:
        work = loop.IngestLoop(
            cast("Subscriber", told),
            journal=here.journal,
            pipeline=here.pipeline,
            stream=stream,
            metrics=Metrics(),
            health=health,
            within=0.02,
        )
        running = asyncio.create_task(work.run())
        for number in range(1, 6):
            told.coming.put_nowait([reading(number)])
            await until_async(lambda: len(told.acknowledged) == number, 10, "the acknowledgement")  # noqa: B023 - awaited
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert told.acknowledged == [1] * 5


async def test_what_comes_again_while_the_disk_refuses_is_known_all_the_same(
    here: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between taking and committing, time passes on a full disk; then the broker sends the same again."""
    write, full = here.journal.write, [True]

    def refused(batch: UnitOfWork) -> None:
        if full[0]:
            raise JournalUnavailableError("the journal cannot be written: disk full")
        write(batch)

    monkeypatch.setattr(here.journal, "write", refused)
    here.pipeline.take([reading(0)], 1)
    here.pipeline.snapshot()
    assert here.pipeline.take([reading(0)], 2).duplicates == 1
    full[0] = False
    here.pipeline.commit()
    assert len(here.contents()["readings"]) == 1
