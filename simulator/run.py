"""The fleet's readings as messages, and their publication in time.

`readings` and `messages` are pure: the same fleet, seed and start give the same bytes. What is to happen to messages on
their way belongs between `messages` and `publish_fleet`.
"""

import asyncio
import heapq
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from operator import attrgetter
from random import Random

import msgspec

from simulator import events
from simulator.fleet import Fleet, Machine, Sensor, wear_factor
from simulator.machine import Measurement, Mounting, measure
from simulator.publishing import Message, Publisher, published, wait_until
from simulator.times import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measurement of one sensor; `elapsed` is in simulated seconds since the start."""

    machine: Machine
    sensor: Sensor
    sequence: int
    elapsed: float
    measurement: Measurement


@dataclass(frozen=True, slots=True)
class Due:
    """A message and when it is sent, in real seconds since the start."""

    after: float
    message: Message


def readings(fleet: Fleet, seed: int) -> Iterator[Reading]:
    """Yield all readings in the order of time, without end; each sensor draws from a random sequence of its own."""
    placed = [(machine, sensor) for machine in fleet.machines for sensor in machine.sensors]
    offsets = [sensor.interval * place / len(placed) for place, (_, sensor) in enumerate(placed)]
    streams = (_readings(*pair, offset, seed) for pair, offset in zip(placed, offsets, strict=True))
    return heapq.merge(*streams, key=attrgetter("elapsed"))


def _readings(machine: Machine, sensor: Sensor, offset: float, seed: int) -> Iterator[Reading]:
    random = Random(f"{seed}/{sensor.id}")
    mounting = Mounting(
        level=sensor.baseline,
        noise=sensor.noise,
        velocity=sensor.velocity,
        temperature=sensor.temperature,
        rpm=machine.rpm,
        load=machine.load,
    )
    for sequence in count():
        elapsed = offset + sequence * sensor.interval
        measurement = measure(mounting, wear_factor(sensor.wear, elapsed), random)
        yield Reading(machine=machine, sensor=sensor, sequence=sequence, elapsed=elapsed, measurement=measurement)


def messages(fleet: Fleet, *, seed: int, start: datetime, speed: float = 1.0) -> Iterator[Due]:
    """Yield each reading's message; the time stamps pass in real time, so `speed` times as slowly as the simulation."""
    for reading in readings(fleet, seed):
        after = reading.elapsed / speed
        topic = f"{_sensor_topic(fleet, reading.machine, reading.sensor)}/reading"
        event = _event(reading, start + timedelta(seconds=after))
        yield Due(after, Message(topic, events.encode(event, f"seed {seed}")))


def _sensor_topic(fleet: Fleet, machine: Machine, sensor: Sensor) -> str:
    return f"vibration/{fleet.site}/{machine.area}/{machine.id}/{sensor.id}"


def _event(reading: Reading, timestamp: datetime) -> events.Event:
    sensor, measured = reading.sensor, reading.measurement
    data = events.Data(
        sensor_id=sensor.id,
        vibration_level=measured.level,
        velocity_rms=measured.velocity_rms,
        peak=measured.peak,
        crest_factor=measured.crest_factor,
        kurtosis=measured.kurtosis,
        temperature=measured.temperature,
        rpm=measured.rpm,
        load=measured.load,
        operating_state=reading.machine.state,
        sequence=reading.sequence,
    )
    event = events.Event(
        timestamp=rfc3339(timestamp),
        source="VibrationSensor",
        sensor_location=f"{reading.machine.description}, {sensor.position}",
        data=data,
        metadata=events.Metadata(model=sensor.model, calibration_date=sensor.calibration_date),
    )
    return events.compare(event, sensor.baseline) if sensor.send_baseline else event


def first_states(fleet: Fleet, start: datetime) -> list[Message]:
    """Make what is retained from the start on: each machine's operating state, each sensor's `online`."""
    return [_machine_state(fleet, machine, start) for machine in fleet.machines] + statuses(fleet, "online")


def _machine_state(fleet: Fleet, machine: Machine, start: datetime) -> Message:
    payload = msgspec.json.encode({"state": machine.state, "timestamp": rfc3339(start)})
    return Message(f"vibration/{fleet.site}/{machine.area}/{machine.id}/state", payload, retain=True)


def statuses(fleet: Fleet, status: str) -> list[Message]:
    """Make each sensor's retained status message, `online` or `offline`."""
    return [
        Message(f"{_sensor_topic(fleet, machine, sensor)}/status", status.encode(), retain=True)
        for machine in fleet.machines
        for sensor in machine.sensors
    ]


async def publish_fleet(
    publisher: Publisher,
    due: Iterable[Due],
    farewells: Iterable[Message],
    *,
    duration: float | None,
    stop: asyncio.Event,
) -> None:
    """Publish each message when it is due, until `duration` (s, real time) is over or `stop` is set; then farewells."""
    began = time.monotonic()
    limit = math.inf if duration is None else duration
    async with published(publisher, stop):
        for each in due:
            if not await wait_until(began + min(each.after, limit), stop) or each.after >= limit:
                break
            await publisher.put(each.message)
        for message in farewells:
            await publisher.put(message)
