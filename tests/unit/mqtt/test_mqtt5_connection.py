"""Bytes in, messages out: however the network cuts them, and whatever they are."""

import asyncio
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mqtt5 import PublishPacket, QoS

from gateway.domain.inputs.native import KEPT_BYTES
from gateway.domain.model.events import Message
from gateway.mqtt import mqtt5_connection, mqtt5_lenient
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


LIMIT, HEAD, KEPT = 1000, 600, 100
sized = st.builds(
    lambda topic, size, qos, number, extra: PublishPacket(
        topic,
        number.to_bytes(2, "big") * size,
        qos=QoS(qos),
        packet_id=number if qos else None,
        user_properties=[("p", "v" * extra)] if extra else None,
    ),
    st.text("ab/ä", min_size=1, max_size=20),
    st.integers(0, 4000),
    st.integers(0, 1),
    st.integers(1, 65535),
    st.sampled_from([0, 0, 300, 700]),
)


@fixtures_stay
@given(st.lists(sized, max_size=8), st.integers(1, 400))
def test_what_is_too_large_goes_by_and_its_beginning_stays(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, packets: list[PublishPacket], step: int
) -> None:
    monkeypatch.setattr(mqtt5_connection, "LARGEST_PACKET", LIMIT)
    monkeypatch.setattr(mqtt5_connection, "HEAD", HEAD)
    monkeypatch.setattr(mqtt5_lenient, "KEPT_BYTES", KEPT)
    stream = b"".join(packet.write() for packet in packets)
    found, aborted = receive(loop, *(stream[start : start + step] for start in range(0, len(stream), step)))
    assert not aborted
    assert [(each.topic, each.packet_id) for each in found] == [(each.topic, each.packet_id or 0) for each in packets]
    for message, packet in zip(found, packets, strict=True):
        if len(packet.write()) > LIMIT + step:  # one that is there whole before it is looked at is as well taken
            assert message.cut_from == len(packet.payload)
        if message.cut_from:
            assert len(message.payload) == KEPT or sum(len(value) for _, value in packet.user_properties) > HEAD - 200
            assert packet.payload.startswith(message.payload)
        else:
            assert message.payload == packet.payload


def test_of_a_large_message_little_is_held_while_it_comes(loop: asyncio.AbstractEventLoop) -> None:
    size = 50 * 1024 * 1024
    packet = PublishPacket("a", bytes(size), qos=QoS.AT_LEAST_ONCE, packet_id=7).write()
    chunk = 256 * 1024
    pieces = [packet[start : start + chunk] for start in range(0, len(packet), chunk)]
    tracemalloc.start()
    found, _ = receive(loop, *pieces)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (message,) = found
    assert (message.cut_from, message.packet_id, len(message.payload)) == (size, 7, KEPT_BYTES)
    assert peak < 2 * 1024 * 1024


def test_a_large_packet_that_is_no_message_ends_the_connection(loop: asyncio.AbstractEventLoop) -> None:
    size = 9 * 1024 * 1024
    length = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 21])
    found, aborted = receive(loop, b"\x90" + length, bytes(size // 2), bytes(size - size // 2))
    assert aborted
    assert found == []


def test_another_exception_is_not_taken_for_a_refusal(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mqtt5.read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        receive(loop, b"\x00")


@pytest.mark.parametrize("cut", [1000, 7], ids=["at once", "in pieces"])
def test_messages_alike_differ_by_when_they_came(loop: asyncio.AbstractEventLoop, *, cut: int) -> None:
    stream = b"".join(PublishPacket("bare/S-1", b"1.5").write() for _ in range(50))
    found, _ = receive(loop, *(stream[at : at + cut] for at in range(0, len(stream), cut)))
    times_us = [message.received_ns // 1000 for message in found]
    assert times_us == sorted(set(times_us))
    assert len(times_us) == 50


def test_a_clock_that_is_set_back_is_followed(loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([5 * 10**18, 4 * 10**18])
    monkeypatch.setattr("gateway.mqtt.mqtt5_connection.time.time_ns", lambda: next(times))
    packet = PublishPacket("bare/S-1", b"1.5").write()
    found, _ = receive(loop, packet, packet)
    assert [message.received_ns // 10**15 for message in found] == [5000, 4000]
