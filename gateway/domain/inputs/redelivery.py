"""Mapped messages that the broker delivers again: known by DUP, packet id and content, since most carry no id."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from gateway.domain.model.events import Message


def digest_of(message: Message) -> bytes:
    """Return what tells a message from every other: 16 bytes of its topic and payload."""
    return blake2b(message.topic.encode(errors="replace") + b"\x00" + message.payload, digest_size=16).digest()


class RedeliveryWindow:
    """The last `window` messages stored, by packet id. One with the same id and content, marked DUP, is the same one.

    The broker sends again what has not been acknowledged: its receive maximum at most, and one batch of as many may
    have been stored without an acknowledgement.
    """

    def __init__(self, stored: Iterable[tuple[int, bytes]], window: int) -> None:
        self._window = window
        self._number = 0
        self._newest: dict[int, tuple[int, bytes]] = {}
        for packet_id, digest in stored:
            self.add(packet_id, digest)

    def add(self, packet_id: int, digest: bytes) -> None:
        """Take in a message that is being stored. What came at QoS 0 has no packet id, and does not come again."""
        self._number += 1
        if packet_id:
            self._newest[packet_id] = self._number, digest

    def has(self, message: Message, digest: bytes) -> bool:
        """Tell whether a message is one that was stored already."""
        if not message.duplicate:
            return False
        number, known = self._newest.get(message.packet_id, (0, b""))
        return known == digest and self._number - number < self._window
