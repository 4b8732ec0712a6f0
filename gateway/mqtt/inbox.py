"""What a subscriber has received and nobody has taken yet."""

from __future__ import annotations

from collections import deque

from gateway.domain.model.events import Message

FULL_BYTES = 16 * 1024 * 1024
"""Four batches at least. What is held beyond the next one only takes memory: the broker keeps the rest."""

MESSAGE_BYTES = 400
"""What a message takes up beside its payload and its topic."""

_BATCH_BYTES, _BATCH_MESSAGES = 4 * 1024 * 1024, 2000
"""What one transaction holds at most. While it is made, some 25 ms of 2000 readings, alerts wait for the journal."""


class Inbox:
    """Messages in the order of their arrival, in chunks as they came. For one thread at a time."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[list[Message], int]] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._chunks)

    @property
    def is_full(self) -> bool:
        """Whether no more should be received: not reading the socket is what bounds the memory in bytes."""
        return self._bytes > FULL_BYTES

    def put(self, chunk: list[Message], size: int) -> None:
        """Take in messages whose topics and payloads have `size` bytes altogether."""
        size += MESSAGE_BYTES * len(chunk)
        self._chunks.append((chunk, size))
        self._bytes += size

    def take(self) -> list[Message]:
        """Take out the oldest messages: as many chunks as one transaction may well hold, one at least."""
        taken: list[Message] = []
        weight = 0
        while self._chunks:
            chunk, size = self._chunks[0]
            if taken and (weight + size > _BATCH_BYTES or len(taken) + len(chunk) > _BATCH_MESSAGES):
                break
            taken += chunk
            weight += size
            self._chunks.popleft()
        self._bytes -= weight
        return taken
