"""Which machines and sensors are simulated: the fleet file's models."""

import math
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from simulator.bearing import ZA_2115, Bearing
from simulator.machine import Direction, Mounting, healthy
from simulator.profile import Step
from simulator.scenario import Duration, Healthy, Name, Positive, SensorFault, Strict, Transport, Wear

DEFAULT_VELOCITY = 1.5  # mm/s
MOST_OF_THE_LEVEL = 0.5  # that the shaft's velocity may account for where none is given
STANDING = frozenset({"stopped", "off"})  # states without speed


class Sensor(Strict):
    """One sensor; `baseline` is its healthy level in m/s², at the machine's rated speed and load."""

    id: Name
    position: str = "bearing"
    direction: Direction = "radial"
    interval: Duration = 10.0
    baseline: Positive
    send_baseline: bool = True
    noise: Annotated[float, Field(ge=0, le=0.2)] = 0.04
    wander: Annotated[float, Field(ge=0, le=0.2)] = 0.02
    velocity: Positive | None = None
    temperature: Annotated[float, Field(ge=-50, le=250)] = 45.0
    model: str = "VibroMonitor Pro X1"
    calibration_date: str = "2023-06-15"
    wear: Annotated[Wear, Field(discriminator="kind")] = Healthy()
    faults: tuple[SensorFault, ...] = ()


class Part(Strict):
    """One step of what a machine does again and again; speed and load are shares of the machine's own."""

    state: str = "running"
    lasts: Duration
    speed: Annotated[float, Field(ge=0, le=1.5)] = 1.0
    load: Annotated[float, Field(ge=0, le=1.5)] = 1.0


class Shift(Strict):
    """All levels of the machine change by a factor at its first start after this time, and nothing is wrong."""

    after: Duration
    to: Annotated[float, Field(gt=0.1, le=10)]


class Ball(Strict):
    """A bearing's geometry; both diameters in one unit, the contact angle in degrees."""

    balls: Annotated[int, Field(ge=3, le=100)]
    ball_diameter: Positive
    pitch_diameter: Positive
    contact_angle: Annotated[float, Field(ge=0, lt=90)] = 0.0


class Machine(Strict):
    """One machine with its sensors. Without `cycle` it stays as `state` says."""

    id: Name
    area: Name
    description: str
    rpm: Positive = 1480.0
    load: Annotated[float, Field(ge=0, le=1)] = 0.75
    state: str = "running"
    cycle: tuple[Part, ...] = ()
    shifts: tuple[Shift, ...] = ()
    bearing: Ball | None = None
    sensors: Annotated[list[Sensor], Field(min_length=1)]

    @property
    def place(self) -> str:
        """Its area and id: what no other machine of the site has."""
        return f"{self.area}/{self.id}"

    def steps(self) -> list[Step]:
        """Return what it does, one after the other and again."""
        if not self.cycle:
            speed = 0.0 if self.state.casefold() in STANDING else 1.0
            return [Step(state=self.state, lasts=float("inf"), speed=speed, load=speed)]
        return [Step(state=each.state, lasts=each.lasts, speed=each.speed, load=each.load) for each in self.cycle]

    def mounting(self, sensor: Sensor) -> Mounting:
        """Return where one of its sensors sits. A velocity that is not given is one that fits the level."""
        bearing = Bearing(**self.bearing.model_dump()) if self.bearing else ZA_2115
        fitting = MOST_OF_THE_LEVEL * sensor.baseline * 1000 / (2 * math.pi * self.rpm / 60)
        return Mounting(
            level=sensor.baseline,
            noise=sensor.noise,
            wander=sensor.wander,
            velocity=sensor.velocity or min(DEFAULT_VELOCITY, fitting),
            temperature=sensor.temperature,
            rpm=self.rpm,
            load=self.load,
            direction=sensor.direction,
            bearing=bearing,
        )

    @model_validator(mode="after")
    def _is_possible(self) -> "Machine":
        for sensor in self.sensors:
            try:
                healthy(self.mounting(sensor))
            except ValueError as error:
                raise ValueError(f"the sensor {sensor.id}: {error}") from error
        return self


class Fleet(Strict):
    """A site's machines, and what happens to their messages."""

    site: Name
    machines: Annotated[list[Machine], Field(min_length=1)]
    transport: tuple[Transport, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Fleet":
        for what, ids in (
            ("sensor", [sensor.id for each in self.machines for sensor in each.sensors]),
            ("machine", [each.place for each in self.machines]),
        ):
            repeated = sorted({name for name in ids if ids.count(name) > 1})
            if repeated:
                raise ValueError(f"the {what} {', '.join(repeated)} is there more than once")
        return self

    @model_validator(mode="after")
    def _sensors_are_known(self) -> "Fleet":
        known = {sensor.id for each in self.machines for sensor in each.sensors}
        unknown = sorted({name for each in self.transport for name in each.sensors} - known)
        if unknown:
            raise ValueError(f"transport: there is no sensor {', '.join(unknown)}")
        return self


class FleetError(Exception):
    """A fleet file that cannot be used; the message names the file and each bad key."""


def load_fleet(path: Path) -> Fleet:
    """Read a fleet file; FleetError if it is not TOML or not a fleet."""
    try:
        return Fleet.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise FleetError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FleetError(f"{path}: not a TOML file: {error}") from error
    except ValidationError as error:
        problems = (f"{path}: {_key(each['loc'])}: {each['msg']}" for each in error.errors())
        raise FleetError("\n".join(problems)) from error


def _key(location: tuple[int | str, ...]) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".") or "the file"
