"""The fleet's readings as messages, and their publication in time.

`messages` is pure: the same fleet, seed and start give the same bytes. What happens to messages on their way
(`transport.disturb`) comes between it and `publish_fleet`.
"""

import asyncio
import heapq
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from operator import attrgetter

import msgspec

from simulator import events
from simulator.fleet import Fleet, Machine, Sensor
from simulator.presence import Presence, keep_presence
from simulator.profile import Profile
from simulator.publishing import Message, Publisher, published, wait_until
from simulator.sensing import Reading, readings
from simulator.times import rfc3339
from simulator.transport import Due, Moment

MOST_PRESENT = 100  # sensors with a connection of their own for their last will; beyond that only those that lose it


def messages(
    fleet: Fleet, doing: Mapping[str, Profile], *, seed: int, start: datetime, speed: float = 1.0
) -> Iterator[Moment]:
    """Yield what is published, in the order of time: readings, and states of machines and sensors as they change.

    Moments at which nothing is published are among them, so that none takes long to come.
    The time stamps pass in real time, so `speed` times as slowly as the simulation.
    """
    streams: list[Iterator[Moment]] = [_readings(fleet, doing, seed, start, speed)]
    streams += _states(fleet, doing, start, speed)
    return heapq.merge(*streams, _returns(fleet, speed), key=attrgetter("after"))


def _readings(fleet: Fleet, doing: Mapping[str, Profile], seed: int, start: datetime, speed: float) -> Iterator[Moment]:
    for reading in readings(fleet, seed, doing):
        after = reading.elapsed / speed
        if not reading.sent:
            yield Moment(after)
            continue
        topic = f"{_sensor_topic(fleet, reading.machine, reading.sensor)}/reading"
        event = _event(reading, start + timedelta(seconds=after + reading.clock))
        yield Due(after, Message(topic, events.encode(event, f"seed {seed}")))


def _states(fleet: Fleet, doing: Mapping[str, Profile], start: datetime, speed: float) -> list[Iterator[Moment]]:
    """Return for each machine the changes of its state; the first one is announced with the connection."""
    return [_changes(fleet, machine, doing[machine.place], start, speed) for machine in fleet.machines]


def _changes(fleet: Fleet, machine: Machine, profile: Profile, start: datetime, speed: float) -> Iterator[Moment]:
    before = profile.phase(0.0).step.state
    for phase in profile.changes():
        after = phase.begin / speed
        if phase.step.state == before:
            yield Moment(after)
            continue
        before = phase.step.state
        yield Due(after, _machine_state(fleet, machine, before, start + timedelta(seconds=after)))


def _returns(fleet: Fleet, speed: float) -> list[Due]:
    """Return the `online` of sensors that have lost their connection, when they are back."""
    topics = {sensor.id: _sensor_topic(fleet, machine, sensor) for machine, sensor in _placed(fleet)}
    back = [
        Due(fault.until / speed, Message(f"{topics[sensor]}/status", b"online", retain=True))
        for fault in fleet.transport
        if fault.kind == "last-will"
        for sensor in sorted(fault.sensors or topics)
    ]
    return sorted(back, key=attrgetter("after"))


def _placed(fleet: Fleet) -> list[tuple[Machine, Sensor]]:
    return [(machine, sensor) for machine in fleet.machines for sensor in machine.sensors]


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
        operating_state=reading.state,
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


def first_states(fleet: Fleet, doing: Mapping[str, Profile], start: datetime) -> list[Message]:
    """Make what is retained from the start on: each machine's operating state, each sensor's `online`."""
    states = [
        _machine_state(fleet, machine, doing[machine.place].phase(0.0).step.state, start) for machine in fleet.machines
    ]
    return states + statuses(fleet, "online")


def _machine_state(fleet: Fleet, machine: Machine, state: str, moment: datetime) -> Message:
    payload = msgspec.json.encode({"state": state, "timestamp": rfc3339(moment)})
    return Message(f"vibration/{fleet.site}/{machine.area}/{machine.id}/state", payload, retain=True)


def statuses(fleet: Fleet, status: str) -> list[Message]:
    """Make each sensor's retained status message, `online` or `offline`."""
    topics = [_sensor_topic(fleet, machine, sensor) for machine, sensor in _placed(fleet)]
    return [Message(f"{topic}/status", status.encode(), retain=True) for topic in topics]


def presences(fleet: Fleet, speed: float) -> list[Presence]:
    """Return the connections whose loss makes the broker publish a sensor's `offline`."""
    placed = _placed(fleet)
    found = []
    for machine, sensor in placed:
        windows = tuple(
            (fault.after / speed, fault.until / speed)
            for fault in sorted(fleet.transport, key=attrgetter("after"))
            if fault.kind == "last-will" and (not fault.sensors or sensor.id in fault.sensors)
        )
        if windows or len(placed) <= MOST_PRESENT:
            found.append(Presence(f"{_sensor_topic(fleet, machine, sensor)}/status", windows))
    return found


async def publish_fleet(
    publisher: Publisher,
    due: Iterable[Moment],
    present: Iterable[Presence],
    farewells: Iterable[Message],
    *,
    duration: float | None,
    stop: asyncio.Event,
) -> None:
    """Publish each message when it is due, until `duration` (s, real time) is over or `stop` is set; then farewells."""
    began = time.monotonic()
    limit = math.inf if duration is None else duration
    async with published(publisher, stop), keep_presence(publisher, present, began):
        for each in due:
            if not await wait_until(began + min(each.after, limit), stop) or each.after >= limit:
                break
            if isinstance(each, Due):
                await publisher.put(each.message)
        for message in farewells:
            await publisher.put(message)
