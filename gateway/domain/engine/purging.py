"""Which sensors people want removed, and the fact that says so."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from re import escape, fullmatch

from msgspec import Struct

from gateway.domain.detection.baseline_events import by_a_person
from gateway.domain.detection.state import Sensor
from gateway.domain.model.events import DomainEvent

SENSORS_PURGED = "SensorsPurged"
"""The fact that somebody has had sensors removed; its data names them."""


class Selection(Struct, frozen=True):
    """Those of which all of this is true, as far as it is asked.

    They have one of `ids` for a name, and a name or an id like `pattern`, in which a `*` stands for anything; nothing
    in order has come of them since `heard_before_ns`; nothing has been learned of them.
    """

    ids: Sequence[str] = ()
    pattern: str | None = None
    heard_before_ns: int | None = None
    unlearned: bool = False

    @property
    def is_everything(self) -> bool:
        """Tell whether nothing is asked of a sensor."""
        return self == Selection()


def selected(sensors: Iterable[Sensor], wanted: Selection) -> list[str]:
    """Return the ids of the sensors that are wanted."""
    ids = frozenset(wanted.ids)
    likeness = None if wanted.pattern is None else ".*".join(map(escape, wanted.pattern.split("*")))
    return [sensor.id for sensor in sensors if _is_one(sensor, wanted, ids, likeness)]


def _is_one(sensor: Sensor, wanted: Selection, ids: Collection[str], likeness: str | None) -> bool:
    state = sensor.state
    return not (
        (ids and sensor.id not in ids)
        or (likeness is not None and not any(fullmatch(likeness, name) for name in (sensor.id, sensor.published_id)))
        or (wanted.heard_before_ns is not None and max(state.heard_ns, sensor.first_seen_ns) >= wanted.heard_before_ns)
        or (wanted.unlearned and (state.learned is not None or bool(state.others)))
    )


def purged(sensors: Sequence[Sensor], by: str, reason: str, time_ns: int) -> DomainEvent:
    """Return the fact that sensors have been removed."""
    names = [sensor.id for sensor in sensors]
    return by_a_person(SENSORS_PURGED, "sensors", time_ns, {"sensors": names, "by": by, "comment": reason})
