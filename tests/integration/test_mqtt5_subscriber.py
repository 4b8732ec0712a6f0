"""What only the subscriber of our own, for MQTT 5, can do wrong."""

import time

import pytest

from gateway.config import MqttSection
from gateway.mqtt import inbox, window
from gateway.mqtt.mqtt5_subscriber import Mqtt5Subscriber
from simulator import wire
from tests.faults.proxy import FaultProxy
from tests.faults.scripted import ScriptedBroker
from tests.integration.subscribing import (
    CLIENT,
    FILTER,
    KINDS,
    PATIENCE,
    numbered,
    publish,
    publishing,
    settings,
    taking,
)
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST
from tests.servers.waiting import until_async


class FewAtOnce(ScriptedBroker):
    """Has at most 32 messages under way, as EMQX does, whatever the client would take."""

    LIMIT, ALL = 32, 4000

    def __init__(self) -> None:
        super().__init__([self._packet(number) for number in range(1, self.LIMIT + 1)])
        self._sent = self.LIMIT

    def answer(self, kind: int, body: bytes) -> list[bytes]:
        answers = super().answer(kind, body)
        if kind == wire.PUBACK and self._sent < self.ALL:
            self._sent += 1
            answers.append(self._packet(self._sent))
        return answers

    @staticmethod
    def _packet(number: int) -> bytes:
        return publishing(b"plant/S-1/reading", number, b"4.0")


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

    async def test_batches_keep_their_distance(self, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(window, "_LONGEST_PACE", 0.1)
        async with taking(self.KIND, mosquitto.port, receive_maximum=40_000) as taker:
            times = []
            for number in range(1, 4):
                await publish(mosquitto, numbered(1))
                await taker.until(number)
                times.append(time.monotonic())
        assert times[2] - times[0] >= 0.1, "5 us for each of 40,000 messages, 0.1 s at most"

    async def test_a_broker_with_a_limit_of_its_own_is_not_kept_waiting(self) -> None:
        broker = FewAtOnce()
        broker.start()
        async with taking(self.KIND, broker.port) as taker:
            window = taker.subscriber._window  # type: ignore[attr-defined] # noqa: SLF001 - how long it waits
            await until_async(lambda: window.pace <= 5e-6 * broker.LIMIT, PATIENCE, "the limit to be noticed")
            await taker.until(broker.ALL)
        broker.stop()

    async def test_not_reading_is_no_silence(
        self, mosquitto: Mosquitto, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """While the journal cannot be written nothing is read, for hours if need be: the connection stays."""
        monkeypatch.setattr(inbox, "FULL_BYTES", 0)
        section = MqttSection.model_validate({**settings(self.KIND, proxy.port), "keepalive": "1s"})
        async with Mqtt5Subscriber(section, CLIENT, [FILTER]) as made:
            await made.subscribed.wait()
            await publish(mosquitto, numbered(1))
            before = proxy.pings
            await until_async(lambda: proxy.pings >= before + 8, PATIENCE, "pings for longer than twice the keep-alive")
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
        broker = ScriptedBroker([b"\xe0\x02\x8b\x00"])
        broker.start()
        async with taking(self.KIND, broker.port, connected=False) as taker:
            await taker.problem("has ended: Server shutting down; connecting again")
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
