import pytest

from simulator import wire
from simulator.publishing import Message


def test_connect_of_both_versions() -> None:
    assert wire.connect("c", "3.1.1", None, None) == b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01c"
    assert wire.connect("c", "5", "u", "p") == b"\x10\x14\x00\x04MQTT\x05\xc2\x00\x00\x00\x00\x01c\x00\x01u\x00\x01p"


def test_a_connect_with_a_will_has_it_between_the_name_and_the_login() -> None:
    will = Message("t", b"w", retain=True)
    assert wire.connect("c", "3.1.1", None, None, will, 30) == (
        b"\x10\x13\x00\x04MQTT\x04\x2e\x00\x1e\x00\x01c\x00\x01t\x00\x01w"
    )
    assert wire.connect("c", "5", "u", "p", will) == (
        b"\x10\x1b\x00\x04MQTT\x05\xee\x00\x00\x00\x00\x01c\x00\x00\x01t\x00\x01w\x00\x01u\x00\x01p"
    )


def test_publish_of_both_versions() -> None:
    topic = wire.text("t")
    assert wire.publish(topic, 258, wire.no_properties("3.1.1"), b"xy") == b"\x32\x07\x00\x01t\x01\x02xy"
    assert wire.publish(topic, 258, wire.no_properties("5"), b"xy") == b"\x32\x08\x00\x01t\x01\x02\x00xy"


def test_a_long_packet_has_a_long_length() -> None:
    packet = wire.publish(wire.text("t"), 1, b"", bytes(300))
    assert packet[:3] == b"\x32\xb1\x02"
    ((kind, body),) = wire.split(bytearray(packet))
    assert (kind, len(body)) == (0x32, 305)


def test_packets_are_taken_out_only_when_they_are_complete() -> None:
    buffer = bytearray()
    taken: list[tuple[int, bytes]] = []
    for byte in b"\x40\x02\x00\x01\x40\x04\x00\x02\x10\x00\x40":
        buffer.append(byte)
        taken += wire.split(buffer)
    assert taken == [(0x40, b"\x00\x01"), (0x40, b"\x00\x02\x10\x00")]
    assert buffer == b"\x40"


def test_what_is_not_mqtt_is_refused() -> None:
    with pytest.raises(wire.ProtocolError, match="not MQTT"):
        list(wire.split(bytearray(b"\x20\xff\xff\xff\xff\xff")))


@pytest.mark.parametrize(
    ("body", "protocol", "most"),
    [
        (b"\x00\x00", "3.1.1", 65535),
        (b"\x00\x00\x00", "5", 65535),
        (b"\x00\x00", "5", 65535),
        (b"\x00\x00\x03\x26\x00", "5", 65535),
        (b"\x00\x00\x03\x21\x00\x14", "5", 20),
        (b"\x00\x00\x06\x22\x00\x0a\x21\x00\x14", "5", 20),
        (b"\x00\x00\x0e\x12\x00\x03abc\x26\x00\x01k\x00\x01v\x21\x03\xe8", "5", 1000),
    ],
)
def test_the_receive_maximum(body: bytes, protocol: str, most: int) -> None:
    assert wire.receive_maximum(body, protocol) == most


@pytest.mark.parametrize(
    ("body", "protocol", "reason"),
    [
        (b"\x00\x05", "3.1.1", "not authorized"),
        (b"\x00\x63", "3.1.1", "code 99"),
        (b"\x00\x87\x00", "5", "not authorized"),
    ],
)
def test_a_refused_connection_says_why(body: bytes, protocol: str, reason: str) -> None:
    with pytest.raises(wire.ProtocolError, match=reason):
        wire.receive_maximum(body, protocol)


@pytest.mark.parametrize(
    ("body", "taken"),
    [(b"\x01\x02", True), (b"\x01\x02\x00", True), (b"\x01\x02\x10\x00", True), (b"\x01\x02\x87", False)],
)
def test_acknowledgements(body: bytes, taken: bool) -> None:  # noqa: FBT001 - a parametrised test's arguments come by name
    assert wire.acknowledged(body) == (258, taken)
