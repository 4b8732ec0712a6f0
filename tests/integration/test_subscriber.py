"""Both subscribers, over both protocols, do the same at a real broker and on a network that fails."""

import asyncio
import ssl
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.config import MqttSection
from gateway.domain.events import Message
from gateway.errors import DeliveryError
from gateway.mqtt import inbox, subscriber
from gateway.mqtt.mqtt5_subscriber import Mqtt5Subscriber
from gateway.mqtt.paho_subscriber import PahoSubscriber
from gateway.mqtt.publisher import Publisher
from gateway.mqtt.subscriber import Subscriber
from simulator import wire
from tests.faults.proxy import FaultProxy
from tests.faults.scripted import ScriptedBroker
from tests.servers.certificates import issue
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST, free_port
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


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def proxy(mosquitto: Mosquitto) -> Iterator[FaultProxy]:
    server = FaultProxy(mosquitto.port)
    server.start()
    yield server
    server.stop()


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


class TestAtTheBroker:
    async def test_messages_come_in_order_with_what_is_known_of_them(self, kind: Kind, mosquitto: Mosquitto) -> None:
        async with taking(kind, mosquitto.port) as taker:
            before = time.time_ns()
            await publish(mosquitto, numbered(300))
            taken = await taker.until(300)
        assert [message.payload for message in taken] == numbered(300)
        assert {(message.topic, message.duplicate, message.retained) for message in taken} == {(TOPIC, False, False)}
        assert all(message.packet_id for message in taken)
        assert len({message.generation for message in taken}) == 1
        assert all(before <= message.received_ns <= time.time_ns() for message in taken)

    async def test_an_announced_traceparent_comes_along(self, kind: Kind, mosquitto: Mosquitto) -> None:
        parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        publisher = Publisher(MqttSection.model_validate(settings(kind, mosquitto.port)), "out", "status")
        task = asyncio.create_task(publisher.run())
        async with taking(kind, mosquitto.port) as taker:
            for traceparent in (parent, ""):
                await published(publisher, TOPIC, traceparent)
            taken = await taker.until(2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [message.traceparent for message in taken] == [parent if kind.protocol == "5" else "", ""]

    async def test_what_was_not_acknowledged_comes_again_and_is_marked(self, kind: Kind, mosquitto: Mosquitto) -> None:
        async with taking(kind, mosquitto.port, acknowledges=False) as taker:
            await publish(mosquitto, numbered(15))
            first = await taker.until(15)
            taker.subscriber.acknowledge(first[:5])
            await publish(mosquitto, [b"15"])
            await taker.until(16)
        async with taking(kind, mosquitto.port) as taker:
            again = await taker.until(11)
            await publish(mosquitto, [b"last"])
            await taker.until(12)
        assert [message.payload for message in again] == [*numbered(16)[5:], b"last"]
        assert [message.duplicate for message in again] == [True] * 11 + [False]
        assert [message.packet_id for message in again[:11]] == [message.packet_id for message in first[5:]]
        async with taking(kind, mosquitto.port) as taker:
            await publish(mosquitto, [b"new"])
            await taker.until_different({b"new"})
            assert len(taker.taken) < 12, "nothing was acknowledged; the last ones may not have got there"

    async def test_retained_and_unconfirmed_messages(self, kind: Kind, mosquitto: Mosquitto) -> None:
        await publish(mosquitto, [b"old"], retain=True)
        async with taking(kind, mosquitto.port) as taker:
            (old,) = await taker.until(1)
            await publish(mosquitto, [b"live"], retain=True)
            await publish(mosquitto, [b"unconfirmed"], qos=0)
            _, live, unconfirmed = await taker.until(3)
        assert old.retained
        assert not live.retained
        assert (unconfirmed.payload, unconfirmed.packet_id) == (b"unconfirmed", 0)

    async def test_a_subscription_that_has_left_the_configuration_is_removed(
        self, kind: Kind, mosquitto: Mosquitto
    ) -> None:
        async with taking(kind, mosquitto.port, filters=(FILTER, "other/#")):
            pass
        async with taking(kind, mosquitto.port, obsolete=("other/#",)) as taker:
            await asyncio.to_thread(mosquitto.publish_all, [("other/reading", b"no"), (TOPIC, b"yes")])
            assert [message.payload for message in await taker.until(1)] == [b"yes"]

    async def test_a_large_message_and_the_small_ones_after_it(self, kind: Kind, mosquitto: Mosquitto) -> None:
        large = b"x" * 20_000_000
        async with taking(kind, mosquitto.port) as taker:
            await publish(mosquitto, [large, *numbered(50)])
            taken = await taker.until(51)
        assert [message.payload for message in taken] == [large, *numbered(50)]

    async def test_what_nobody_takes_is_left_to_the_broker(
        self, kind: Kind, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbox, "FULL_BYTES", 2_000_000)
        held: list[int] = []
        original = inbox.Inbox.put

        def put(self: inbox.Inbox, chunk: list[Message], size: int) -> None:
            original(self, chunk, size)
            held.append(self._bytes)

        monkeypatch.setattr(inbox.Inbox, "put", put)
        payloads = [b"%06d" % number + b"x" * 100_000 for number in range(200)]
        section = MqttSection.model_validate(settings(kind, mosquitto.port))
        async with kind.build(section, CLIENT, [FILTER]) as made:
            await made.subscribed.wait()
            await publish(mosquitto, payloads)
            await until_async(lambda: held and held[-1] > 2_000_000, PATIENCE, "the inbox to be full")
            taken: list[Message] = []
            async with asyncio.timeout(PATIENCE):
                while len(taken) < len(payloads):
                    messages = await made.batch()
                    assert sum(len(message.payload) for message in messages) <= 4_500_000
                    made.acknowledge(messages)
                    taken += messages
        assert [message.payload for message in taken] == payloads
        assert max(held) < 3_000_000

    async def test_with_tls_and_a_certificate_of_ones_own(self, kind: Kind, tmp_path: Path) -> None:
        files = issue(tmp_path / "certificates")
        broker = Mosquitto(tmp_path, tls=files, password="right", config_lines=["require_certificate true"])
        broker.start()
        tls = {"ca": str(files.ca), "cert": str(files.client_cert), "key": str(files.client_key)}
        login: dict[str, Any] = {"username": broker.username, "password": "right"}
        async with taking(kind, broker.port, tls=tls, **login) as taker:
            await publish(broker, [b"x" * 1000] * 1000)
            await taker.until(1000)
        broker.stop()

    async def test_leaving_is_quick(self, kind: Kind, mosquitto: Mosquitto) -> None:
        async with taking(kind, mosquitto.port):
            began = time.monotonic()
        assert time.monotonic() - began < 2


class TestRefused:
    async def test_by_a_broker_that_knows_the_password(self, kind: Kind, tmp_path: Path) -> None:
        broker = Mosquitto(tmp_path, password="right")
        broker.start()
        login: dict[str, Any] = {"username": broker.username, "password": "wrong"}
        async with taking(kind, broker.port, connected=False, **login) as taker:
            problem = await taker.problem("refused the connection")
        broker.stop()
        assert problem == "the broker refused the connection: Not authorized; check [mqtt] in the configuration"

    async def test_where_nobody_listens(self, kind: Kind) -> None:
        port = free_port()
        async with taking(kind, port, connected=False) as taker:
            problem = await taker.problem("no connection")
        assert problem == f"no connection to the broker at {HOST}:{port} (Connection refused); trying again"

    async def test_under_a_name_that_does_not_exist(self, kind: Kind) -> None:
        async with taking(kind, 1883, host="no-such-host.invalid", connected=False) as taker:
            problem = await taker.problem("no connection")
        assert "Name or service not known" in problem or "Temporary failure in name resolution" in problem

    @pytest.mark.filterwarnings(PAHO_LEAVES_OPEN)
    async def test_by_a_broker_with_somebody_elses_certificate(self, kind: Kind, tmp_path: Path) -> None:
        broker = Mosquitto(tmp_path, tls=issue(tmp_path / "theirs"))
        broker.start()
        tls = {"ca": str(issue(tmp_path / "ours").ca)}
        async with taking(kind, broker.port, tls=tls, connected=False) as taker:
            problem = await taker.problem("no connection")
        broker.stop()
        assert "its certificate is not to be trusted" in problem
        assert "check mqtt.tls.ca and mqtt.host" in problem

    @pytest.mark.filterwarnings(PAHO_LEAVES_OPEN)
    async def test_by_a_broker_that_wants_no_tls(self, kind: Kind, mosquitto: Mosquitto, tmp_path: Path) -> None:
        tls = {"ca": str(issue(tmp_path / "ours").ca)}
        async with taking(kind, mosquitto.port, tls=tls, connected=False) as taker:
            problem = await taker.problem("no connection")
        assert problem.startswith(f"no connection to the broker at {HOST}:{mosquitto.port} (")


class TestOnABadNetwork:
    async def test_a_connection_that_is_cut(self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy) -> None:
        async with taking(kind, proxy.port, acknowledges=False) as taker:
            await publish(mosquitto, numbered(10))
            before = list(await taker.until(10))
            proxy.cut()
            await taker.problem("the connection to the broker has ended")
            taker.subscriber.acknowledge(before)  # of a connection that is no more
            await publish(mosquitto, numbered(10, "later "))
            await taker.until(30)
            again = taker.taken[10:30]
            taker.subscriber.acknowledge(again)
            await taker.until_connected()
        assert [message.payload for message in again] == numbered(10) + numbered(10, "later ")
        assert [message.duplicate for message in again] == [True] * 10 + [False] * 10
        assert {message.generation for message in before}.isdisjoint(message.generation for message in again)

    async def test_one_whose_server_has_nothing_more_to_say(
        self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy
    ) -> None:
        async with taking(kind, proxy.port) as taker:
            proxy.half_close()
            await taker.problem("the connection to the broker has ended", within=5)
            await publish(mosquitto, numbered(10))
            await taker.until(10, within=40)

    async def test_one_that_swallows_everything(self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy) -> None:
        async with taking(kind, proxy.port, keepalive="2s") as taker:
            proxy.black_hole = True
            await taker.problem("Keep alive timeout", within=2 * 2 + 1)  # and a second for the test itself
            proxy.black_hole = False
            await publish(mosquitto, numbered(10))
            await taker.until(10, within=60)

    async def test_one_that_ends_in_the_middle_of_a_packet(
        self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy
    ) -> None:
        payloads = [b"%d " % number + b"x" * 1000 for number in range(100)]
        async with taking(kind, proxy.port) as taker:
            proxy.truncate_after = 30_500
            proxy.cut()
            await taker.problem("the connection to the broker has ended")
            await publish(mosquitto, payloads)
            await taker.until(20, within=40)
            proxy.truncate_after = None
            await taker.until_different(set(payloads), within=60)
        first = {message.payload: message for message in taker.taken[::-1]}
        assert list(dict.fromkeys(message.payload for message in taker.taken)) == payloads
        assert all(len(message.payload) == len(payload) for payload, message in first.items())

    async def test_one_that_ends_at_once_again_and_again(
        self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy
    ) -> None:
        proxy.close_after_connack = True
        async with taking(kind, proxy.port, connected=False) as taker:
            await taker.problem("does another program use our client id 'gateway-under-test'", within=40)
            pauses = [later - earlier for earlier, later in pairwise(proxy.accepted)]
            assert pauses[1] > 1.5 * pauses[0], pauses
            proxy.close_after_connack = False
            await taker.until_connected()
            await publish(mosquitto, numbered(10))
            await taker.until(10)

    async def test_quiet_is_no_fault(self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy) -> None:
        async with taking(kind, proxy.port, keepalive="1s") as taker:
            await asyncio.sleep(3)  # longer than any limit; nothing happens that one could wait for
            assert taker.subscriber.problems == []
            assert len(proxy.accepted) == 1
            await publish(mosquitto, numbered(1))
            await taker.until(1)


class TestMqtt5:
    """What only the subscriber of our own can do wrong."""

    KIND = KINDS["mqtt5"]

    async def test_a_batch_is_acknowledged_by_one_write(
        self, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with taking(self.KIND, mosquitto.port, acknowledges=False) as taker:
            await publish(mosquitto, numbered(1000))
            taken = await taker.until(1000)
            written: list[bytes] = []
            connection = taker.subscriber._connection  # type: ignore[attr-defined] # noqa: SLF001 - to count its writes
            monkeypatch.setattr(connection, "send", written.append)
            taker.subscriber.acknowledge(taken)
        assert [len(data) for data in written if data.startswith(b"@")] == [4000]

    async def test_what_was_acknowledged_before_leaving_does_not_come_again(self, mosquitto: Mosquitto) -> None:
        async with taking(self.KIND, mosquitto.port) as taker:
            await publish(mosquitto, numbered(1000))
            await taker.until(1000)
        async with taking(self.KIND, mosquitto.port) as taker:
            await publish(mosquitto, [b"new"])
            assert [message.payload for message in await taker.until(1)] == [b"new"]

    async def test_batches_keep_their_distance(self, mosquitto: Mosquitto) -> None:
        async with taking(self.KIND, mosquitto.port, receive_maximum=40_000) as taker:
            times = []
            for number in range(1, 4):
                await publish(mosquitto, numbered(1))
                await taker.until(number)
                times.append(time.monotonic())
        assert times[2] - times[0] >= 0.1, "2.5 us for each of 40,000 messages"

    async def test_not_reading_is_no_silence(self, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
        """While the journal cannot be written nothing is read, for hours if need be: the connection stays."""
        monkeypatch.setattr(inbox, "FULL_BYTES", 0)
        section = MqttSection.model_validate({**settings(self.KIND, mosquitto.port), "keepalive": "1s"})
        async with Mqtt5Subscriber(section, CLIENT, [FILTER]) as made:
            await made.subscribed.wait()
            await publish(mosquitto, numbered(1))
            await asyncio.sleep(3.5)  # beyond twice the keep-alive
            assert made.problems == []
            messages = await made.batch()
            made.acknowledge(messages)
            await publish(mosquitto, numbered(1))
            again = await made.batch()
        assert [message.generation for message in [*messages, *again]] == [1, 1]

    @pytest.mark.parametrize(
        ("packet", "reason"),
        [
            (b"\x00\x00", "Invalid PacketType value: 0"),
            (b"\x36\x04\x00\x01a\x00", "Invalid QoS value: 3"),
            (b"\x32\xff\xff\xff\xff\x01", "a packet whose length is no number"),
            (b"\x32\x03\x00\x09a", "Invalid remaining length"),
            (b"HTTP/1.1 400 Bad Request\r\n" + b"x" * 100, "the broker has sent what is not MQTT 5"),
        ],
        ids=["kind", "qos", "length", "cut off", "http"],
    )
    async def test_what_is_no_packet_ends_the_connection(self, packet: bytes, reason: str) -> None:
        broker = ScriptedBroker([packet])
        broker.start()
        async with taking(self.KIND, broker.port, connected=False) as taker:
            problem = await taker.problem(reason)
            await until_async(lambda: broker.subscriptions >= 2, PATIENCE, "another connection")
        broker.stop()
        assert problem.startswith("the connection to the broker has ended: the broker has sent what is not MQTT 5: ")

    async def test_a_broker_for_the_older_protocol_is_recognised(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.faults.scripted.CONNACK", b"\x20\x02\x00\x01")  # unacceptable protocol version
        broker = ScriptedBroker([])
        broker.start()
        async with taking(self.KIND, broker.port, connected=False) as taker:
            problem = await taker.problem("mqtt.protocol = '3.1.1'")
        broker.stop()
        assert problem.startswith(f"no connection to the broker at {HOST}:{broker.port} (")

    async def test_a_broker_that_says_nothing(self, monkeypatch: pytest.MonkeyPatch, proxy: FaultProxy) -> None:
        monkeypatch.setattr("gateway.mqtt.mqtt5_subscriber._PATIENCE", 0.5)
        proxy.black_hole = True
        async with taking(self.KIND, proxy.port, connected=False) as taker:
            problem = await taker.problem("no connection")
        assert "(no answer in 0.5 s); trying again" in problem

    async def test_the_brokers_reason_for_leaving_is_told(self) -> None:
        broker = ScriptedBroker([b"\xe0\x02\x8e\x00"])
        broker.start()
        async with taking(self.KIND, broker.port, connected=False) as taker:
            await taker.problem("has ended: Session taken over; connecting again")
        broker.stop()

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of its panic
    async def test_messages_that_the_codec_refuses_are_messages(self) -> None:
        payload = b"4.0"
        topics = [b"\xff\xfe/hall", b"", b"plant/+/reading", b"a\x00b"]
        packets = [publishing(topic, number, payload) for number, topic in enumerate(topics, start=1)]
        packets.append(publishing(b"plant/S-1/reading", 5, payload, b"\x05\x03\x00\x02\xc3\x28"))  # no UTF-8 either
        broker = ScriptedBroker([b"".join(packets)])
        broker.start()
        async with taking(self.KIND, broker.port, connected=False) as taker:
            taken = await taker.until(5)
            await until_async(lambda: broker.acknowledged == [1, 2, 3, 4, 5], PATIENCE, "every acknowledgement")
        broker.stop()
        assert [message.topic for message in taken] == [
            "\\xff\\xfe/hall",
            "",
            "plant/+/reading",
            "a\x00b",
            "plant/S-1/reading",
        ]
        assert {message.payload for message in taken} == {payload}
        assert broker.subscriptions == 1

    async def test_an_own_defect_is_raised_where_batches_are_awaited(
        self, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("gateway.mqtt.mqtt5_subscriber.ConnectPacket", broken)
        section = MqttSection(host=HOST, port=mosquitto.port, topics=("plant/{sensor}/reading",))
        async with Mqtt5Subscriber(section, CLIENT, [FILTER]) as made:
            with pytest.raises(ZeroDivisionError):
                await made.batch()


def test_without_the_package_paho_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    section = MqttSection(topics=("plant/{sensor}/reading",))
    assert isinstance(subscriber.make_subscriber(section, CLIENT, [FILTER]), Mqtt5Subscriber)
    said: list[str] = []
    monkeypatch.setattr(subscriber.log, "warning", lambda event, **_: said.append(event))
    monkeypatch.setitem(sys.modules, "gateway.mqtt.mqtt5_subscriber", None)
    assert isinstance(subscriber.make_subscriber(section, CLIENT, [FILTER]), PahoSubscriber)
    assert said == ["the mqtt5 package cannot be used here, so the slower paho-mqtt is"]


def test_the_context_is_one_that_verifies(tmp_path: Path) -> None:
    section = MqttSection.model_validate(
        {"topics": ["a/{sensor}"], "tls": {"ca": str(issue(tmp_path / "certificates").ca)}}
    )
    assert section.tls is not None
    context = section.tls.context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
