"""What the pipeline takes from the journal at a start, the last snapshot and what came since, and asks of it later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from gateway.domain.alerting.alert import Alert
from gateway.domain.detection.state import Sensor
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.model.assets import AssetPath

TailRow = tuple[int, int, int, int, str, bytes]
"""A reading since the snapshot: sensor key, event_us, received_ns, flags, event id, body. A fact: 0, 0, its time,
`FACT_ROW`, its type, its data in JSON."""

RecentRow = tuple[int, int, int, int, str]
"""A reading before the snapshot: the same without the body."""

FACT_ROW = -1


class Checkpoint(Struct):
    """`sensors` and `machines` (the operating state of each) are as the snapshot has them, the alerts as they are now.

    `alerts` are the open ones, and those that have cleared and are still shelved. `recent` are the last readings before
    the snapshot, the oldest first: what is looked back upon. `memory` is what inputs remember, `messages` are packet id
    and digest of those that were stored last, the oldest first.
    """

    sensors: Sequence[Sensor] = ()
    alerts: Sequence[Alert] = ()
    tail: Iterable[TailRow] = ()
    recent: Iterable[RecentRow] = ()
    machines: Mapping[AssetPath, str] = field(default_factory=dict)
    memory: Mapping[str, bytes] = field(default_factory=dict)
    messages: Sequence[tuple[int, bytes]] = ()


class Store(Protocol):
    """What the pipeline asks of the journal."""

    next_seq: int

    def find_reading(self, event_us: int, sensor: int, event_id: str) -> bytes | None:
        """Return the body of the reading with this key, or None."""

    def count_same_time(self, event_us: int, sensor: int) -> int:
        """Return how many readings of a sensor have the same time."""

    def has_dead_letter(self, digest: bytes, packet_id: int) -> bool:
        """Tell whether this very message is a dead letter already."""

    def write(self, batch: UnitOfWork) -> None:
        """Write a batch in one transaction."""

    def save_detector(self, sensors: Iterable[Sensor], machines: Mapping[AssetPath, str], seq: int) -> None:
        """Save the state of `sensors`, and those of all machines, as they are after `seq`."""
