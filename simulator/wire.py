"""The few MQTT packets that a QoS 1 publisher needs, for MQTT 5 and 3.1.1.

The load generator writes many of them at once: paho-mqtt, one system call and several locks for each message, reaches
about 10,000 messages/s with one core; this leaves that core to the broker and the gateway.
"""

from collections.abc import Iterator

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from simulator.publishing import Message

CONNACK, PUBACK = 0x20, 0x40
SHORTEST_CONNACK = 2  # bytes of its body: flags and reason
DISCONNECT, PINGREQ = b"\xe0\x00", b"\xc0\x00"
CLEAN = 0x02  # flag of a CONNECT: no session from before
WILL, RETAINED_WILL = 0x0C, 0x20  # flags of a CONNECT: a will at QoS 1, and that it is retained
FAILED = 0x80  # reason codes from here on are refusals
CONTINUED = 0x80  # in a variable length: more bytes follow
MOST_IN_FLIGHT = 65535
RECEIVE_MAXIMUM, USER_PROPERTY = 0x21, 0x26
# Of an MQTT 5 CONNACK, in bytes; the others are texts or binary data that begin with their own length
PROPERTY_WIDTHS = {0x11: 4, 0x13: 2, 0x21: 2, 0x22: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
LEVELS = {"3.1.1": 4, "5": 5}
CONNECT_REFUSALS = {
    1: "unacceptable protocol version",
    2: "client identifier rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorized",
}


class ProtocolError(Exception):
    """The broker refused the connection, or answered something that is not MQTT."""


def connect(  # noqa: PLR0917 - as they stand in the packet
    client_id: str,
    protocol: str,
    username: str | None,
    password: str | None,
    will: Message | None = None,
    keepalive: int = 0,
    *,
    clean: bool = True,
) -> bytes:
    """Make the CONNECT packet: a clean session, or else a lasting one; without `keepalive` (s) we are never missed.

    The broker publishes the will at QoS 1 when it loses the connection.
    """
    flags = (CLEAN if clean else 0) | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    left = b""
    if will is not None:
        flags |= WILL | (RETAINED_WILL if will.retain else 0)
        left = no_properties(protocol) + text(will.topic) + _binary(will.payload)
    head = text("MQTT") + bytes([LEVELS[protocol], flags]) + keepalive.to_bytes(2, "big") + no_properties(protocol)
    login = (text(each) for each in (username, password) if each is not None)
    return _packet(0x10, head + text(client_id) + left + b"".join(login))


def publish(topic: bytes, packet_id: int, properties: bytes, payload: bytes) -> bytes:
    """Make the PUBLISH packet at QoS 1 from the topic as `text` and the `no_properties`, both made once."""
    return _packet(0x32, b"".join((topic, packet_id.to_bytes(2, "big"), properties, payload)))


def text(value: str) -> bytes:
    """Write a text as it stands in packets: two bytes of length and UTF-8."""
    return _binary(value.encode())


def _binary(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def no_properties(protocol: str) -> bytes:
    """Write the empty property list, which only MQTT 5 has."""
    return b"\0" if protocol == "5" else b""


def _packet(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + variable_length(len(body)) + body


def variable_length(number: int) -> bytes:
    """Write a number in as few bytes as it needs, seven bits in each, the lowest first."""
    written = bytearray()
    while number >= CONTINUED:
        written.append(number & 0x7F | CONTINUED)
        number >>= 7
    return bytes([*written, number])


def split(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the complete packets out of the buffer: each one's type and flags byte, and its body."""
    start = 0
    while (found := _body(buffer, start)) is not None:
        yield buffer[start], bytes(buffer[found])
        start = found.stop
    del buffer[:start]


def _body(buffer: bytearray, start: int) -> slice | None:
    """Find the body of the packet that begins at `start`; None while bytes of it are missing."""
    length = 0
    for position, byte in enumerate(buffer[start + 1 : start + 5]):
        length |= (byte & 0x7F) << 7 * position
        if byte < CONTINUED:
            first = start + 2 + position
            return slice(first, first + length) if first + length <= len(buffer) else None
    if len(buffer) >= start + 5:
        raise ProtocolError("the answer is not MQTT")
    return None


def receive_maximum(body: bytes, protocol: str) -> int:
    """Read from a CONNACK how many messages may be in flight; ProtocolError if the broker refuses us."""
    if body[1]:
        reason = _reason(body[1]) if protocol == "5" else CONNECT_REFUSALS.get(body[1], f"code {body[1]}")
        raise ProtocolError(f"the broker refused the connection: {reason}")
    return _receive_maximum(body) if protocol == "5" else MOST_IN_FLIGHT


def _reason(code: int) -> str:
    return ReasonCode(PacketTypes.CONNACK, identifier=code).getName().lower()


def _receive_maximum(body: bytes) -> int:
    """Walk through the properties of an MQTT 5 CONNACK up to this one."""
    position = 2
    while position < len(body) and body[position] & CONTINUED:  # the length of the properties
        position += 1
    position += 1
    while position < len(body) and body[position] != RECEIVE_MAXIMUM:
        position += 1 + _width(body, position)
    return int.from_bytes(body[position + 1 : position + 3], "big") or MOST_IN_FLIGHT


def _width(body: bytes, position: int) -> int:
    """Tell how many bytes the value of the property at `position` has."""
    identifier, start = body[position], position + 1
    if identifier in PROPERTY_WIDTHS:
        return PROPERTY_WIDTHS[identifier]
    first = 2 + int.from_bytes(body[start : start + 2], "big")
    if identifier != USER_PROPERTY:
        return first
    return first + 2 + int.from_bytes(body[start + first : start + first + 2], "big")


def acknowledged(body: bytes) -> tuple[int, bool]:
    """Read from a PUBACK the packet id and whether the broker took the message."""
    reason = body[2] if len(body) > 2 else 0  # noqa: PLR2004 - the reason follows the id, and is left out when it is 0
    return int.from_bytes(body[:2], "big"), reason < FAILED
