"""What is watched: the machine with its site and area, and what it and its sensors say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from gateway.domain.model.events import DomainEvent, derived_id

MACHINE_STATE = "MachineStateChanged"


SENSOR_STATUS = "SensorStatusChanged"

SENSOR_RENAMED = "SensorRenamed"

SENSOR_MOVED = "SensorMoved"


AssetPath = tuple[str, str, str]
"""Site, area and machine; what the topics do not say is empty."""


class MachineState(Struct, frozen=True):
    """The operating state of a machine, in its own words; empty where it takes back what it has said."""

    place: AssetPath
    state: str


class SensorStatus(Struct, frozen=True):
    """Whether a sensor is connected, by its own account or its last will; `place` is what is said of where it is."""

    sensor_id: str
    status: Literal["online", "offline"]
    place: AssetPath = ("", "", "")


def asset_of(tags: Mapping[str, str]) -> AssetPath:
    """Return the machine that a topic names."""
    return tags.get("site", ""), tags.get("area", ""), tags.get("machine", "")


def state_changed(machine: MachineState, before: str | None, time_ns: int) -> DomainEvent:
    """Return the fact that a machine is in another operating state now."""
    site, area, name = machine.place
    data = {"site": site, "area": area, "machine": name, "state": machine.state, "before": before}
    return _fact(MACHINE_STATE, name, time_ns, data, (site, area, machine.state))


def status_changed(name: str, status: str, time_ns: int) -> DomainEvent:
    """Return the fact that a sensor says of itself that it is online, or that its last will says that it is not."""
    return _fact(SENSOR_STATUS, name, time_ns, {"sensorId": name, "status": status}, (status,))


def sensor_renamed(before: str, name: str, published: str, time_ns: int) -> DomainEvent:
    """Return the fact that a sensor is called otherwise, since others publish its id, too, or do so no more."""
    reason = f"Several places publish the id {published!r}, and are several sensors; this one is {name!r} now."
    if name == published:
        reason = f"The id {published!r} is of this sensor alone again, which was {before!r}."
    data = {"sensorId": name, "before": before, "publishedId": published, "reason": reason}
    return _fact(SENSOR_RENAMED, name, time_ns, data, (before,))


def sensor_moved(
    name: str, published: str, before: Mapping[str, str], now: Mapping[str, str], time_ns: int
) -> DomainEvent:
    """Return the fact that a sensor is at another machine, as the tags of its topic `now` say."""
    reason = f"Moved from {in_words(asset_of(before))} to {in_words(asset_of(now))}."
    data = {"sensorId": name, "publishedId": published, "from": dict(before), "to": dict(now), "reason": reason}
    return _fact(SENSOR_MOVED, name, time_ns, data, asset_of(now))


def in_words(place: AssetPath) -> str:
    """Return a place in a word: `plant/hall/pump-3`."""
    return "/".join(filter(None, place)) or "no machine"


def _fact(type_: str, subject: str, time_ns: int, data: Mapping[str, Any], parts: Sequence[str]) -> DomainEvent:
    id_ = derived_id(type_, subject, *parts, str(time_ns))
    return DomainEvent(id_, type_, time_ns, subject, id_, id_, dict(data))
