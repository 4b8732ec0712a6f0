"""What the journal knows of the state of things, for a start: the last snapshot, and everything that came since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from gateway.domain.alerts import Alert
from gateway.domain.sensors import Sensor
from gateway.domain.signals import Place

TailRow = tuple[int, int, int, int, str, bytes]
"""A reading since the snapshot: sensor key, event_us, received_ns, flags, event id, body. A fact: 0, 0, its time,
`FACT_ROW`, its type, its data in JSON."""

RecentRow = tuple[int, int, int, int, str]
"""A reading before the snapshot: the same without the body."""

FACT_ROW = -1


class Saved(Struct):
    """`sensors` and `machines` (the operating state of each) are as the snapshot has them, the open alerts as they are.

    `recent` are the last readings before the snapshot, the oldest first: what is looked back upon.
    """

    sensors: Sequence[Sensor] = ()
    open_alerts: Sequence[Alert] = ()
    tail: Iterable[TailRow] = ()
    recent: Iterable[RecentRow] = ()
    machines: Mapping[Place, str] = field(default_factory=dict)
