"""What is watched: the machine with its site and area, and what it and its sensors say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from gateway.domain.model.events import DomainEvent, derived_id

MACHINE_STATE = "MachineStateChanged"


SENSOR_STATUS = "SensorStatusChanged"


AssetPath = tuple[str, str, str]
"""Site, area and machine; what the topics do not say is empty."""


class MachineState(Struct, frozen=True):
    """The operating state of a machine, in its own words; empty where it takes back what it has said."""

    place: AssetPath
    state: str


class SensorStatus(Struct, frozen=True):
    """Whether a sensor is connected, by its own account or its last will."""

    sensor_id: str
    status: Literal["online", "offline"]


def asset_of(tags: Mapping[str, str]) -> AssetPath:
    """Return the machine that a topic names."""
    return tags.get("site", ""), tags.get("area", ""), tags.get("machine", "")


def state_changed(machine: MachineState, before: str | None, time_ns: int) -> DomainEvent:
    """Return the fact that a machine is in another operating state now."""
    site, area, name = machine.place
    data = {"site": site, "area": area, "machine": name, "state": machine.state, "before": before}
    return _fact(MACHINE_STATE, name, time_ns, data, (site, area, machine.state))


def status_changed(sensor: SensorStatus, time_ns: int) -> DomainEvent:
    """Return the fact that a sensor says of itself that it is online, or that its last will says that it is not."""
    data = {"sensorId": sensor.sensor_id, "status": sensor.status}
    return _fact(SENSOR_STATUS, sensor.sensor_id, time_ns, data, (sensor.status,))


def _fact(type_: str, subject: str, time_ns: int, data: Mapping[str, str | None], parts: Sequence[str]) -> DomainEvent:
    id_ = derived_id(type_, subject, *parts, str(time_ns))
    return DomainEvent(id_, type_, time_ns, subject, id_, id_, dict(data))
