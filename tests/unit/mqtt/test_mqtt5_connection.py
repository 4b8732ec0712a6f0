"""Bytes in, messages out: however the network cuts them, and whatever they are."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mqtt5 import PublishPacket, QoS

from gateway.domain.model.events import Message
from gateway.mqtt.mqtt5_connection import Connection
from gateway.mqtt.mqtt5_lenient import MalformedError, packet_length, read_publish

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the codec's own panics


class Transport(asyncio.Transport):
    """Remembers what becomes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def is_closing(self) -> bool:
        return self.aborted

    def write(self, _data: object) -> None: ...

    def close(self) -> None:
        self.aborted = True

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def receive(loop: asyncio.AbstractEventLoop, *pieces: bytes) -> tuple[list[Message], bool]:
    """Feed a connection; return the messages and whether it gave up."""

    async def feed() -> tuple[list[Message], bool]:
        found: list[Message] = []
        connection = Connection(7, lambda messages, _: found.extend(messages))
        transport = Transport()
        connection.connection_made(transport)
        for piece in pieces:
            if not transport.aborted:
                connection.data_received(piece)
        return found, transport.aborted

    return loop.run_until_complete(feed())


messages = st.builds(
    lambda topic, payload, qos, retain, number: PublishPacket(
        topic, payload, qos=QoS(qos), retain=retain, packet_id=number if qos else None
    ),
    st.text("ab/ä", min_size=1, max_size=20),
    st.binary(max_size=300),
    st.integers(0, 1),
    st.booleans(),
    st.integers(1, 65535),
)
fixtures_stay = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@fixtures_stay
@given(st.lists(messages, max_size=20), st.data())
def test_however_the_stream_is_cut(
    loop: asyncio.AbstractEventLoop, packets: list[PublishPacket], data: st.DataObject
) -> None:
    stream = b"".join(packet.write() for packet in packets)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])]
    found, aborted = receive(loop, *pieces)
    assert not aborted
    assert [(each.topic, each.payload, each.packet_id, each.retained, each.generation) for each in found] == [
        (packet.topic, packet.payload, packet.packet_id or 0, packet.retain, 7) for packet in packets
    ]


@fixtures_stay
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_no_bytes_raise(loop: asyncio.AbstractEventLoop, pieces: list[bytes]) -> None:
    receive(loop, *pieces)


@given(messages, st.integers(0, 400), st.integers(0, 255))
def test_a_message_with_a_wrong_byte_is_read_or_refused(packet: PublishPacket, position: int, byte: int) -> None:
    damaged = bytearray(packet.write())
    damaged[position % len(damaged)] = byte
    try:
        length = packet_length(memoryview(damaged))
        if length <= len(damaged):
            read_publish(bytes(damaged[:length]), "damaged", 0, 1)
    except MalformedError:
        pass


@given(messages)
def test_a_message_that_is_right_is_read_the_same(packet: PublishPacket) -> None:
    found = read_publish(packet.write(), "", 5, 3)
    expected = Message(packet.topic, packet.payload, 5, packet.packet_id or 0, retained=packet.retain, generation=3)
    assert found == expected


def test_a_traceparent_beside_the_message_is_taken(loop: asyncio.AbstractEventLoop) -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    properties = [[], [("traceparent", parent)], [("traceparent", "none")], [("other", parent)]]
    packets = [PublishPacket("a", b"", user_properties=each).write() for each in properties]
    found, _ = receive(loop, b"".join(packets))
    assert [message.traceparent for message in found] == ["", parent, "", ""]


def test_a_large_packet_is_looked_at_only_when_it_is_whole(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    original = Connection._read  # noqa: SLF001 - how often it is called is what is tested

    def read(self: Connection) -> tuple[list[Message], int]:
        nonlocal looked
        looked += 1
        return original(self)

    monkeypatch.setattr(Connection, "_read", read)
    packet = PublishPacket("a", b"x" * 1_000_000).write()
    found, _ = receive(loop, *(packet[start : start + 1000] for start in range(0, len(packet), 1000)))
    assert len(found) == 1
    assert looked == 2


def test_another_exception_is_not_taken_for_a_refusal(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mqtt5.read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        receive(loop, b"\x00")
