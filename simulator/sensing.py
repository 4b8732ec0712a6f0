"""What each sensor of a fleet reads, one reading after the other: the machine, the wear, the sensor and its faults.

Readings are worked out in blocks, many moments at once, and handed on one by one. A sensor draws its random numbers
from a sequence of its own, so it reads the same whichever others there are.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from operator import attrgetter
from typing import Any
from zlib import crc32

import numpy as np

from simulator import faults
from simulator.features import Samples
from simulator.fleet import Fleet, Machine, Sensor
from simulator.machine import DRAWS, WANDERING, Measurements, Worn, measure, wander
from simulator.measurement import Measurement
from simulator.profile import Profile
from simulator.scenario import Clock, Drift, Dropout, Floor, Healthy, SensorFault, Spike, Stuck, wear_factor

BLOCK = 256  # readings; part of what a seed means
DECIMALS = {
    "level": 4,
    "velocity_rms": 4,
    "peak": 4,
    "crest_factor": 3,
    "kurtosis": 3,
    "temperature": 2,
    "rpm": 1,
    "load": 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measurement of one sensor, `elapsed` simulated seconds after the start, by a clock `clock` seconds ahead.

    One that is not `sent` is there all the same: who waits for the next moment must not wait for the end of a dropout.
    """

    machine: Machine
    sensor: Sensor
    sequence: int
    elapsed: float
    clock: float
    state: str
    sent: bool
    measurement: Measurement


def profiles(fleet: Fleet, seed: int) -> dict[str, Profile]:
    """Return what each machine does, by its place."""
    return {machine.place: _profile(machine, seed) for machine in fleet.machines}


def _profile(machine: Machine, seed: int) -> Profile:
    shifts = [(shift.after, shift.to) for shift in machine.shifts]
    return Profile(machine.steps(), _random(f"{seed}/{machine.place}"), shifts)


def _random(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


def readings(fleet: Fleet, seed: int, doing: Mapping[str, Profile]) -> Iterator[Reading]:
    """Yield all readings in the order of the time they are taken, without end."""
    streams = (machine_readings(machine, seed, doing[machine.place]) for machine in fleet.machines)
    return heapq.merge(*streams, key=attrgetter("elapsed"))


def machine_readings(machine: Machine, seed: int, profile: Profile) -> Iterator[Reading]:
    """Yield the readings of one machine's sensors in the order of time, without end; one interval, one moment."""
    streams = (_readings(machine, sensor, seed, profile) for sensor in machine.sensors)
    return heapq.merge(*streams, key=attrgetter("elapsed"))


@dataclass(frozen=True, slots=True)
class _Moments:
    """A block's moments, with two random numbers each for what may be wrong: standard normal, and between 0 and 1."""

    elapsed: Samples
    drawn: Samples
    chance: Samples


def _readings(machine: Machine, sensor: Sensor, seed: int, profile: Profile) -> Iterator[Reading]:
    mounting, random = machine.mounting(sensor), _random(f"{seed}/{sensor.id}")
    waves = random.uniform(0, 2 * np.pi, len(WANDERING))
    offset = sensor.interval * crc32(machine.place.encode()) / 2**32
    held: dict[SensorFault, Measurements] = {}
    for first in count(0, BLOCK):
        elapsed = offset + np.arange(first, first + BLOCK, dtype=np.float64) * sensor.interval
        drawn, moments = random.standard_normal((BLOCK, DRAWS)), _moments(elapsed, random)
        operation = profile.at(elapsed)
        wandering = wander(elapsed, sensor.wander, waves)
        measured = measure(mounting, _worn(sensor, elapsed), operation, drawn, wandering)
        made = faults.Sent(measured, np.ones(BLOCK, dtype=np.bool_), np.zeros(BLOCK))
        for fault in sensor.faults:
            made = _faulty(made, fault, moments, held)
        for each in _one_by_one(made, moments.elapsed, operation.states, first):
            yield Reading(machine=machine, sensor=sensor, **each)


def _moments(elapsed: Samples, random: np.random.Generator) -> _Moments:
    return _Moments(elapsed, random.standard_normal(BLOCK), random.random(BLOCK))


def _worn(sensor: Sensor, elapsed: Samples) -> Worn:
    wear = sensor.wear
    return Worn("outer-race" if isinstance(wear, Healthy) else wear.fault, wear_factor(wear, elapsed))


def _faulty(
    made: faults.Sent, fault: SensorFault, moments: _Moments, held: dict[SensorFault, Measurements]
) -> faults.Sent:
    """Apply a fault where its window covers the block; `held` keeps what a stuck sensor repeats."""
    inside = fault.inside(moments.elapsed)
    if not inside.any():
        return made
    match fault:
        case Dropout():
            made = faults.dropout(made, inside)
        case Stuck():
            repeated = held.setdefault(fault, _at(made.measurements, int(inside.argmax())))
            made = faults.stuck(made, inside, repeated)
        case Drift():
            made = faults.drift(made, inside, fault.gain(moments.elapsed))
        case Spike():
            made = faults.spikes(made, inside, moments.chance < fault.share, fault.to)
        case Floor():
            made = faults.floor(made, inside, moments.drawn)
        case Clock():
            made = faults.wrong_clock(made, inside, fault.by)
    return made


def _at(measured: Measurements, place: int) -> Measurements:
    return Measurements(**{name: array[place : place + 1] for name, array in faults.columns(measured)})


def _one_by_one(made: faults.Sent, elapsed: Samples, states: list[str], first: int) -> Iterator[dict[str, Any]]:
    """Yield what a Reading says of each moment."""
    rounded = [np.round(array, DECIMALS[name]).tolist() for name, array in faults.columns(made.measurements)]
    moments = zip(
        elapsed.tolist(), made.clock.tolist(), states, made.sent.tolist(), zip(*rounded, strict=True), strict=True
    )
    for sequence, (moment, clock, state, sent, values) in enumerate(moments, first):
        yield {
            "sequence": sequence,
            "elapsed": moment,
            "clock": clock,
            "state": state,
            "sent": sent,
            "measurement": Measurement(*values),
        }
