"""A fleet as a gateway hears it: each sensor, or each of its axes, under the id by which the format makes it known.

So the truth of a run names what the gateway's alerts name.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from simulator.fleet import Fleet, FleetError, Machine, Sensor
from simulator.formats import Format
from simulator.formats.sample import Place
from simulator.machine import Direction
from simulator.scenario import Transport

AXES: dict[str, tuple[float, Direction]] = {"x": (1.0, "radial"), "y": (0.8, "radial"), "z": (0.6, "axial")}
"""Where the axes of a sensor look, and the share of the healthy level that each of them measures."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A sensor at its place, or one axis of it; `id` is what the gateway knows it by, without the axis."""

    place: Place
    id: str
    axis: str
    sensor: Sensor

    @property
    def name(self) -> str:
        """The id by which the gateway knows it."""
        return f"{self.id}-{self.axis}" if self.axis else self.id


def hear(fleet: Fleet, form: Format) -> list[tuple[Machine, dict[str, Heard]]]:
    """Return each machine with its sensors under the ids that the gateway hears, and what these are.

    FleetError if the format gives two sensors one id.
    """
    heard = [(machine, list(_sensors(fleet, machine, form))) for machine in fleet.machines]
    counted = Counter(each.name for _, sensors in heard for each in sensors)
    repeated = [name for name, times in counted.items() if times > 1]
    if repeated:
        raise FleetError(f"in this format more than one sensor would be {', '.join(repeated)}: rename them")
    return [
        (
            machine.model_copy(update={"sensors": [each.sensor for each in sensors]}),
            {each.name: each for each in sensors},
        )
        for machine, sensors in heard
    ]


def _sensors(fleet: Fleet, machine: Machine, form: Format) -> Iterator[Heard]:
    for place, sensor in zip(places_of(fleet, machine), machine.sensors, strict=True):
        known = form.sensor_id(place)
        if not form.axes:
            yield Heard(place, known, "", sensor.model_copy(update={"id": known}))
        for axis in form.axes:
            yield Heard(place, known, axis, _axis(sensor, f"{known}-{axis}", *AXES[axis]))


def _axis(sensor: Sensor, name: str, share: float, direction: Direction) -> Sensor:
    velocity = None if sensor.velocity is None else share * sensor.velocity
    level = share * sensor.baseline
    return sensor.model_copy(update={"id": name, "baseline": level, "velocity": velocity, "direction": direction})


def places_of(fleet: Fleet, machine: Machine) -> list[Place]:
    """Return where the machine's sensors are."""
    return [
        Place(
            site=fleet.site,
            area=machine.area,
            machine=machine.id,
            description=machine.description,
            sensor=sensor.id,
            number=number,
            position=sensor.position,
            model=sensor.model,
            calibration_date=sensor.calibration_date,
            baseline=sensor.baseline if sensor.send_baseline else None,
        )
        for number, sensor in enumerate(machine.sensors, 1)
    ]


def places(fleet: Fleet) -> list[Place]:
    """Return where all of the fleet's sensors are."""
    return [place for machine in fleet.machines for place in places_of(fleet, machine)]


def as_heard(fleet: Fleet, form: Format) -> Fleet:
    """Return the fleet with the ids that the gateway hears, also in what happens to messages; FleetError."""
    heard = hear(fleet, form)
    names: dict[str, list[str]] = {}
    for _, named in heard:
        for name, each in named.items():
            names.setdefault(each.place.sensor, []).append(name)
    transport = tuple(_renamed(fault, names) for fault in fleet.transport)
    return fleet.model_copy(update={"machines": [machine for machine, _ in heard], "transport": transport})


def _renamed(fault: Transport, names: dict[str, list[str]]) -> Transport:
    renamed = frozenset(name for sensor in fault.sensors for name in names[sensor])
    return fault.model_copy(update={"sensors": renamed})
