"""Which machines and sensors are simulated: the fleet file's models, and the built-in fleet."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from simulator import machine
from simulator.times import parse_duration


def _duration(value: object) -> float:
    if not isinstance(value, str):
        raise ValueError('write a duration as text, such as "10s"')  # noqa: TRY004 - pydantic collects only ValueError
    return parse_duration(value)


Duration = Annotated[float, BeforeValidator(_duration)]
Name = Annotated[str, Field(pattern=r"^[^/+#\s\x00]+$", max_length=128)]  # one level of an MQTT topic
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=1, le=100)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Healthy(_Strict):
    """No wear."""

    kind: Literal["none"] = "none"


class Growth(_Strict):
    """Slow growth: `machine.growth`."""

    kind: Literal["growth"]
    after: Duration
    over: Duration
    to: Factor = 4.0


class Jump(_Strict):
    """A sudden rise: `machine.jump`."""

    kind: Literal["jump"]
    after: Duration
    over: Duration = 10.0
    to: Factor = 3.0


class Steps(_Strict):
    """Rise in steps: `machine.steps`."""

    kind: Literal["steps"]
    after: Duration
    every: Duration
    by: Positive = 0.5
    to: Factor = 4.0


Wear = Healthy | Growth | Jump | Steps


class Sensor(_Strict):
    """One sensor; `baseline` is its healthy level in m/s²."""

    id: Name
    position: str = "bearing"
    interval: Duration = 10.0
    baseline: Positive
    send_baseline: bool = True
    noise: Annotated[float, Field(ge=0, le=0.2)] = 0.04
    velocity: Positive = 1.5
    temperature: Annotated[float, Field(ge=-50, le=250)] = 45.0
    model: str = "VibroMonitor Pro X1"
    calibration_date: str = "2023-06-15"
    wear: Annotated[Wear, Field(discriminator="kind")] = Healthy()


class Machine(_Strict):
    """One machine with its sensors."""

    id: Name
    area: Name
    description: str
    rpm: Positive = 1480.0
    load: Annotated[float, Field(ge=0, le=1)] = 0.75
    state: str = "running"
    sensors: Annotated[list[Sensor], Field(min_length=1)]


class Fleet(_Strict):
    """A site's machines."""

    site: Name
    machines: Annotated[list[Machine], Field(min_length=1)]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Fleet":
        for what, ids in (
            ("sensor", [sensor.id for each in self.machines for sensor in each.sensors]),
            ("machine", [f"{each.area}/{each.id}" for each in self.machines]),
        ):
            repeated = sorted({name for name in ids if ids.count(name) > 1})
            if repeated:
                raise ValueError(f"the {what} {', '.join(repeated)} is there more than once")
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


def wear_factor(wear: Wear, elapsed: float) -> float:
    """Compute the wear's factor `elapsed` seconds after the start."""
    match wear:
        case Growth():
            return machine.growth(elapsed, after=wear.after, over=wear.over, to=wear.to)
        case Jump():
            return machine.jump(elapsed, after=wear.after, over=wear.over, to=wear.to)
        case Steps():
            return machine.steps(elapsed, after=wear.after, every=wear.every, by=wear.by, to=wear.to)
        case Healthy():
            return 1.0


def demo_fleet() -> Fleet:
    """Make the built-in fleet: six sensors on four machines, one of which fails while you watch.

    The level of pump-1's drive-end bearing passes 1.6 x its baseline after 40 s, 2.5 x after 73 s, and ends near 4 x.
    """
    failing = {"kind": "growth", "after": "15s", "over": "36s", "to": 4.0}
    return Fleet.model_validate(
        {
            "site": "demo-plant",
            "machines": [
                {
                    "id": "pump-1",
                    "area": "pump-house",
                    "description": "Cooling Water Pump 1",
                    "sensors": [
                        _demo_sensor("VB-PUMP1-DE", "drive-end bearing", 2.4, noise=0.03) | {"wear": failing},
                        _demo_sensor("VB-PUMP1-NDE", "non-drive-end bearing", 1.9),
                    ],
                },
                {
                    "id": "fan-2",
                    "area": "pump-house",
                    "description": "Cooling Tower Fan 2",
                    "rpm": 980.0,
                    "sensors": [_demo_sensor("VB-FAN2-DE", "drive-end bearing", 3.1, noise=0.05)],
                },
                {
                    "id": "conveyor-4",
                    "area": "assembly",
                    "description": "Motor Assembly Line B, Conveyor Unit 4",
                    "rpm": 1450.0,
                    "sensors": [
                        _demo_sensor("VB-42345", "gearbox input", 4.0),
                        _demo_sensor("VB-42346", "gearbox output", 3.6),
                    ],
                },
                {
                    "id": "compressor-1",
                    "area": "assembly",
                    "description": "Screw Compressor 1",
                    "rpm": 2960.0,
                    "sensors": [_demo_sensor("VB-COMP1-MAIN", "main bearing", 5.2, noise=0.05)],
                },
            ],
        }
    )


def _demo_sensor(sensor_id: str, position: str, baseline: float, *, noise: float = 0.04) -> dict[str, object]:
    return {"id": sensor_id, "position": position, "baseline": baseline, "noise": noise, "interval": "1s"}
