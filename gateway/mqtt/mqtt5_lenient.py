"""Packets that the mqtt5 package refuses and a broker may pass on all the same.

A message whose topic is empty or no UTF-8, or whose properties are wrong, is to become one dead letter; it must not end
the connection, or the broker would send it again for ever. Everything else that is refused does end it.
"""

from __future__ import annotations

from gateway.domain.inputs.native import KEPT_BYTES, MAX_MESSAGE_BYTES
from gateway.domain.model.events import Message

LARGEST_PACKET = MAX_MESSAGE_BYTES + 256 * 1024
"""Bytes. A message that is larger is no reading whatever it holds: it is not kept in memory while it comes."""

HEAD = 65535 + KEPT_BYTES + 64 * 1024
"""Bytes of such a message that are kept: the longest topic, usual properties, and the beginning of its payload."""

_CONNACK, _PUBLISH = 2, 3  # kinds of packets: the upper half of their first byte
_DUPLICATE, _QOS, _RETAINED = 0x08, 0x06, 0x01  # flags of a PUBLISH: the lower half
_CONTINUED = 0x80  # in a length: more bytes follow
_LONGEST = 4  # bytes of a length
_ID = 2  # bytes of a packet id, and of the length of a topic


class MalformedError(Exception):
    """The broker has sent something that is not MQTT 5; the text says what."""


def reason_of(refusal: BaseException) -> str:
    """Return why the codec refused a packet, in its words; none if the packet is not whole yet.

    It panics on a text that is not UTF-8. An exception that is no refusal is raised again.
    """
    if isinstance(refusal, IndexError):
        return ""
    if isinstance(refusal, ValueError):
        return str(refusal)
    if type(refusal).__name__ == "PanicException":
        return "a text is not UTF-8"
    raise refusal


def packet_length(packet: memoryview) -> int:
    """Return how many bytes the packet has from its first one on; if not even that is there, how many tell it."""
    found = _number(packet[1 : 1 + _LONGEST])
    if found is None:
        if len(packet) > _LONGEST:
            raise MalformedError("a packet whose length is no number")
        return len(packet) + 1
    length, width = found
    return 1 + width + length


def read_publish(packet: bytes, reason: str, received_ns: int, generation: int) -> Message:
    """Read a whole packet that the codec refused for `reason`, as a message. Raises MalformedError if it is none."""
    kind, flags = packet[0] >> 4, packet[0] & 0x0F
    if kind == _CONNACK:
        raise MalformedError(f"{reason}; a broker that knows MQTT 3.1.1 only needs mqtt.protocol = '3.1.1'")
    length = _number(packet[1:])
    if kind != _PUBLISH or flags & _QOS == _QOS or length is None:
        raise MalformedError(reason)
    topic_at = 1 + length[1] + _ID
    id_at = topic_at + int.from_bytes(packet[topic_at - _ID : topic_at], "big")
    properties_at = id_at + (_ID if flags & _QOS else 0)
    properties = _number(packet[properties_at:])
    if properties is None or (payload_at := properties_at + sum(properties)) > len(packet):
        raise MalformedError(reason)
    return Message(
        packet[topic_at:id_at].decode(errors="backslashreplace"),
        packet[payload_at:],
        received_ns,
        int.from_bytes(packet[id_at:properties_at], "big"),
        bool(flags & _DUPLICATE),
        bool(flags & _RETAINED),
        generation,
    )


def read_beginning(head: bytes, size: int, received_ns: int, generation: int) -> Message:
    """Read the first bytes of a message of `size` bytes altogether. Raises MalformedError if it is none.

    The topic must be whole. What comes before the payload may be longer than the rest; then nothing is kept of that.
    """
    flags, length = head[0] & 0x0F, _number(head[1:])
    if head[0] >> 4 != _PUBLISH or flags & _QOS == _QOS or length is None:
        raise MalformedError(f"a packet of {size} bytes that is no message")
    topic_at = 1 + length[1] + _ID
    id_at = topic_at + int.from_bytes(head[topic_at - _ID : topic_at], "big")
    properties_at = id_at + (_ID if flags & _QOS else 0)
    properties = _number(head[properties_at:])
    if properties is None or (payload_at := properties_at + sum(properties)) > size:
        raise MalformedError(f"a message of {size} bytes whose properties are longer")
    return Message(
        head[topic_at:id_at].decode(errors="backslashreplace"),
        head[payload_at : payload_at + KEPT_BYTES],
        received_ns,
        int.from_bytes(head[id_at:properties_at], "big"),
        bool(flags & _DUPLICATE),
        bool(flags & _RETAINED),
        generation,
        cut_from=size - payload_at,
    )


def _number(data: bytes | memoryview) -> tuple[int, int] | None:
    """Return a number of variable length and its width in bytes, or None if it is not whole."""
    value = 0
    for position, byte in enumerate(data[:_LONGEST]):
        value |= (byte & 0x7F) << 7 * position
        if byte < _CONTINUED:
            return value, position + 1
    return None
