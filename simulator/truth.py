"""The ground truth of a run: what is wrong with which sensor, from when to when. It is what `score` compares with."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Literal

import msgspec
import numpy as np

from simulator.fleet import Fleet, Machine, Sensor
from simulator.machine import SHAFT, Mounting, seen
from simulator.profile import Profile
from simulator.scenario import Growth, Healthy, Jump, SensorFault, Steps, wear_factor
from simulator.times import rfc3339

BAND = 5.0  # standard deviations of the healthy readings, of noise and wandering together: what none of them leaves

Scope = Literal["machine", "sensor", "transport", "benign"]


class Fault(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that is wrong, or with the scope `benign` only looks so; times are RFC 3339.

    `sensor_id` is empty where it concerns the messages of all sensors. `leaves_band` is when the figure in which it
    shows leaves the band of the healthy readings on a turning machine, if it ever does. Without `to` it lasts.
    """

    scope: Scope
    kind: str
    sensor_id: str
    machine: str
    detail: str
    growing: bool
    from_: str = msgspec.field(name="from")
    to: str | None
    leaves_band: str | None


class Watched(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A sensor of the run and the seconds between two of its readings, in the time of the events."""

    sensor_id: str
    site: str
    area: str
    machine: str
    interval: float


class Truth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The whole file. `end` is missing as long as the run goes on."""

    seed: int
    start: str
    end: str | None
    sensors: list[Watched]
    faults: list[Fault]


def encode_truth(truth: Truth) -> bytes:
    """Return the file's content."""
    return msgspec.json.format(msgspec.json.encode(truth), indent=1) + b"\n"


def truth_of(
    fleet: Fleet,
    doing: dict[str, Profile],
    *,
    seed: int,
    start: datetime,
    speed: float = 1.0,
    until: float | None = None,
) -> Truth:
    """Work out the truth of a run up to `until` simulated seconds; None while nobody knows when it ends."""

    def moment(elapsed: float) -> str:
        return rfc3339(start + timedelta(seconds=elapsed / speed))

    limit = math.inf if until is None else until
    placed = [(machine, sensor) for machine in fleet.machines for sensor in machine.sensors]
    found = [fault for machine, sensor in placed for fault in _of_sensor(machine, sensor, doing[machine.place])]
    found += [fault for machine in fleet.machines for fault in _shifts(machine, doing[machine.place])]
    found += list(_on_the_way(fleet))
    return Truth(
        seed=seed,
        start=moment(0.0),
        end=None if until is None else moment(until),
        sensors=[_watched(fleet, machine, sensor, speed) for machine, sensor in placed],
        faults=[_stamped(fault, moment, limit) for fault in found if fault.begin < limit],
    )


def _watched(fleet: Fleet, machine: Machine, sensor: Sensor, speed: float) -> Watched:
    interval = sensor.interval / speed
    return Watched(sensor_id=sensor.id, site=fleet.site, area=machine.area, machine=machine.id, interval=interval)


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """A fault in simulated seconds."""

    scope: Scope
    kind: str
    sensor: str = ""
    machine: str = ""
    detail: str = ""
    growing: bool = False
    begin: float
    end: float = math.inf
    leaves: float = math.inf


def _stamped(found: _Found, moment: Callable[[float], str], limit: float) -> Fault:
    return Fault(
        scope=found.scope,
        kind=found.kind,
        sensor_id=found.sensor,
        machine=found.machine,
        detail=found.detail,
        growing=found.growing,
        from_=moment(found.begin),
        to=moment(found.end) if found.end < limit else None,
        leaves_band=moment(found.leaves) if found.leaves < min(limit, found.end) else None,
    )


def _of_sensor(machine: Machine, sensor: Sensor, profile: Profile) -> Iterator[_Found]:
    if not isinstance(sensor.wear, Healthy):
        yield _wear(machine, sensor, sensor.wear, profile)
    for fault in sensor.faults:
        yield _Found(
            scope="sensor",
            kind=fault.kind,
            sensor=sensor.id,
            machine=machine.id,
            detail=_described(fault),
            begin=fault.after,
            end=fault.until,
            leaves=fault.after,
        )


def _described(fault: SensorFault) -> str:
    said = fault.model_dump(exclude={"kind", "after", "lasts"})
    return ", ".join(f"{name} {value:g}" for name, value in said.items())


def _wear(machine: Machine, sensor: Sensor, wear: Growth | Jump | Steps, profile: Profile) -> _Found:
    mounting = machine.mounting(sensor)
    left = leaves_band(mounting, wear)
    return _Found(
        scope="machine",
        kind=wear.kind,
        sensor=sensor.id,
        machine=machine.id,
        detail=f"{wear.fault}, shows in the {'velocity' if wear.fault in SHAFT else 'acceleration'}",
        growing=True,
        begin=wear.after,
        end=math.inf if wear.repaired is None else wear.repaired,
        leaves=math.inf if left is None else profile.running_from(left),
    )


def leaves_band(mounting: Mounting, wear: Growth | Jump | Steps) -> float | None:
    """Return the simulated second at which what the sensor sees of the wear leaves the healthy band, if it does."""
    edge = 1 + BAND * math.hypot(mounting.noise, mounting.wander)

    def is_beyond(elapsed: float) -> bool:
        factor = wear_factor(wear.model_copy(update={"repaired": None}), np.array([elapsed]))
        return bool(seen(mounting, wear.fault, factor)[0] > edge)

    low, high = wear.after, wear.after + 1.0
    while not is_beyond(high):
        low, high = high, wear.after + 2 * (high - wear.after)
        if high > wear.after + FOREVER:
            return None
    while high - low > RESOLUTION:
        middle = (low + high) / 2
        low, high = (low, middle) if is_beyond(middle) else (middle, high)
    return high


FOREVER = 1e9  # s; what has not left its band by then never does
RESOLUTION = 0.1  # s


def _shifts(machine: Machine, profile: Profile) -> Iterator[_Found]:
    for shift in machine.shifts:
        begin = profile.shifted_from(shift.after)
        for sensor in machine.sensors:
            detail = f"all levels of the machine times {shift.to:g} since a start"
            yield _Found(scope="benign", kind="shift", sensor=sensor.id, machine=machine.id, detail=detail, begin=begin)


def _on_the_way(fleet: Fleet) -> Iterator[_Found]:
    for fault in fleet.transport:
        for sensor in sorted(fault.sensors) or [""]:
            yield _Found(
                scope="transport",
                kind=fault.kind,
                sensor=sensor,
                detail=f"{fault.share:.0%} of the messages",
                begin=fault.after,
                end=fault.until,
            )
