"""What one batch of messages leads to, ready to be written in one transaction."""

from __future__ import annotations

from msgspec import Struct, field

from gateway.domain.alerts import Alert
from gateway.domain.events import Fact, Rejected
from gateway.domain.sensors import Sensor

ReadingRow = tuple[int, int, int, str, int, int, float, float | None, int, bytes]
"""seq, event_us, sensor key, event id, time_ns, received_ns, level, baseline, flags, body."""


class DeadLetter(Struct, frozen=True):
    """A rejected message on its way into the journal; `digest` and `packet_id` recognise it when redelivered."""

    seq: int
    received_ns: int
    topic: str
    packet_id: int
    digest: bytes
    rejected: Rejected


class Batch(Struct):
    """New rows in the order of their sequence numbers, and how many readings were known already or came late.

    `bodies` finds the new readings by (event_us, sensor key) and event id.
    """

    next_seq: int
    recorded_ns: int = 0
    messages: int = 0
    sensors: dict[int, Sensor] = field(default_factory=dict)
    readings: list[ReadingRow] = field(default_factory=list)
    facts: list[tuple[int, Fact]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    alerts: dict[str, Alert] = field(default_factory=dict)
    bodies: dict[tuple[int, int], dict[str, bytes]] = field(default_factory=dict)
    duplicates: int = 0
    late: int = 0
    clock_replaced: int = 0

    def take_seq(self) -> int:
        """Return the next sequence number."""
        seq = self.next_seq
        self.next_seq += 1
        return seq
