"""What a format makes messages of: a machine's sensors at one moment, and what its gateway remembers."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from simulator.measurement import Measurement
from simulator.publishing import Message

STANDARD_GRAVITY = 9.80665  # m/s²
MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A sensor and where it is, as the fleet file says; `number` counts the machine's sensors from 1."""

    site: str
    area: str
    machine: str
    description: str
    sensor: str
    number: int
    position: str
    model: str
    calibration_date: str
    baseline: float | None  # m/s², if the sensor knows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One sensor's measurement: `axes` by name, the empty name for a sensor that has only one.

    `id` is what a gateway knows it by, without the axis. `sequence` counts its measurements from 0, also those that
    were not sent. `time` is what its clock says.
    """

    place: Place
    id: str
    time: datetime
    sequence: int
    state: str
    axes: dict[str, Measurement]

    @property
    def first(self) -> Measurement:
        """Its first axis, which also speaks for what has no direction: temperature and speed."""
        return next(iter(self.axes.values()))


@dataclass(slots=True)
class Memory:
    """What a machine's gateway remembers from one message to the next."""

    numbers: Counter[str] = field(default_factory=Counter)
    values: dict[str, Any] = field(default_factory=dict)
    waiting: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def number(self, name: str) -> int:
        """Count from 0, for each name."""
        self.numbers[name] += 1
        return self.numbers[name] - 1

    def changed(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return those values that are not as they were when they were last asked about."""
        found = {name: value for name, value in values.items() if self.values.get(name) != value}
        self.values |= found
        return found

    def batch(self, name: str, item: Any, size: int) -> list[Any]:
        """Keep the items until there are `size` of them; return them then, the oldest first, and else nothing."""
        self.waiting[name].append(item)
        return self.waiting.pop(name) if len(self.waiting[name]) >= size else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a machine's sensors send at one moment. `origin` tells one run from another."""

    devices: list[Device]
    memory: Memory
    origin: str

    @property
    def place(self) -> Place:
        """Where its first sensor is, and so the machine."""
        return self.devices[0].place


def json_message(topic: str, value: object, *, retain: bool = False) -> Message:
    """Make a message of what JSON can say."""
    return Message(topic, msgspec.json.encode(value), retain)


def in_g(acceleration: float) -> float:
    """Convert m/s² to g, as to thousandths as sensors say it."""
    return round(acceleration / STANDARD_GRAVITY, 3)


def epoch_ms(time: datetime) -> int:
    """Return Unix milliseconds."""
    return math.floor(time.timestamp() * MS)


def displacement(measurement: Measurement) -> float:
    """Return the RMS displacement in µm that the velocity is at the shaft speed; 0 at a standstill."""
    angular = 2 * math.pi * measurement.rpm / 60
    return MS * measurement.velocity_rms / angular if angular else 0.0


def hex_id(sensor: str, digits: int) -> str:
    """Derive a hardware address from a sensor's id, the same whenever it is asked for."""
    return sha256(sensor.encode()).hexdigest()[:digits]
