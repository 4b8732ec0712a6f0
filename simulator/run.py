"""A fleet's readings as the messages of a format, and their publication in time.

`messages` is pure: the same fleet, format, seed and start give the same bytes. What happens to messages on their way
(`transport.disturb`) comes between it and `publish_fleet`.
"""

import asyncio
import heapq
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from simulator.fleet import Fleet, Machine
from simulator.formats import EVENT, Format
from simulator.formats.event import state_message
from simulator.formats.sample import Device, Memory, Sample
from simulator.heard import Heard, hear, places
from simulator.presence import Presence, keep_presence
from simulator.profile import Profile
from simulator.publishing import Message, Publisher, published, wait_until
from simulator.sensing import Reading, machine_readings
from simulator.times import rfc3339
from simulator.transport import Due, Moment

MOST_PRESENT = 100  # sensors with a connection of their own for their last will; beyond that only those that lose it


def messages(
    fleet: Fleet,
    doing: Mapping[str, Profile],
    form: Format = EVENT,
    memories: Mapping[str, Memory] | None = None,
    *,
    seed: int,
    start: datetime,
    speed: float = 1.0,
) -> Iterator[Moment]:
    """Yield what is published, in the order of time: readings, and states of machines and sensors as they change.

    Moments at which nothing is published are among them, so that none takes long to come. The time stamps pass in real
    time, so `speed` times as slowly as the simulation. `doing` and `memories` are by the machines' places.
    """
    streams: list[Iterator[Moment]] = [iter(_returns(fleet, form, speed))]
    for machine, heard in hear(fleet, form):
        memory = memories[machine.place] if memories else Memory()
        measured = _together(machine_readings(machine, seed, doing[machine.place]), heard, start, speed)
        streams.append(_formatted(measured, form, memory, f"seed {seed}"))
    if form.states:
        streams += [_changes(fleet, machine, doing[machine.place], start, speed) for machine in fleet.machines]
    return heapq.merge(*streams, key=attrgetter("after"))


def _together(
    readings: Iterator[Reading], heard: Mapping[str, Heard], start: datetime, speed: float
) -> Iterator[tuple[float, list[Device]]]:
    """Yield what a machine's sensors measure at one moment and send, with that moment in real seconds."""
    for elapsed, together in groupby(readings, key=attrgetter("elapsed")):
        after = elapsed / speed
        devices: dict[str, Device] = {}
        for reading in together:
            if reading.sent:
                each = heard[reading.sensor.id]
                moment = start + timedelta(seconds=after + reading.clock)
                devices.setdefault(each.id, _device(each, reading, moment)).axes[each.axis] = reading.measurement
        yield after, list(devices.values())


def _device(heard: Heard, reading: Reading, moment: datetime) -> Device:
    return Device(place=heard.place, id=heard.id, time=moment, sequence=reading.sequence, state=reading.state, axes={})


def _formatted(
    measured: Iterator[tuple[float, list[Device]]], form: Format, memory: Memory, origin: str
) -> Iterator[Moment]:
    for after, devices in measured:
        yield Moment(after)
        for part in [devices] if form.together and devices else [[device] for device in devices]:
            sensors = frozenset(device.place.sensor for device in part)
            for message in form.messages(Sample(devices=part, memory=memory, origin=origin)):
                yield Due(after, message, sensors)


def _changes(fleet: Fleet, machine: Machine, profile: Profile, start: datetime, speed: float) -> Iterator[Moment]:
    """Yield the changes of a machine's state; the first one is announced with the connection."""
    before = profile.phase(0.0).step.state
    for phase in profile.changes():
        after = phase.begin / speed
        yield Moment(after)
        if phase.step.state != before:
            before = phase.step.state
            yield Due(after, _machine_state(fleet, machine, before, start + timedelta(seconds=after)))


def _returns(fleet: Fleet, form: Format, speed: float) -> list[Due]:
    """Return what sensors say that have lost their connection, when they are back."""
    back = [
        Due(fault.until / speed, message)
        for fault in fleet.transport
        if fault.kind == "last-will"
        for place in places(fleet)
        if not fault.sensors or place.sensor in fault.sensors
        for message in form.online(place)
    ]
    return sorted(back, key=attrgetter("after"))


def first_states(fleet: Fleet, doing: Mapping[str, Profile], start: datetime, form: Format = EVENT) -> list[Message]:
    """Make what is published with each connection: machines' operating states, and what sensors say of themselves."""
    machines = fleet.machines if form.states else []
    states = [_machine_state(fleet, each, doing[each.place].phase(0.0).step.state, start) for each in machines]
    return states + _once(message for place in places(fleet) for message in form.online(place))


def _machine_state(fleet: Fleet, machine: Machine, state: str, moment: datetime) -> Message:
    return state_message(f"vibration/{fleet.site}/{machine.area}/{machine.id}/state", state, rfc3339(moment))


def farewells(fleet: Fleet, form: Format = EVENT) -> list[Message]:
    """Make what says at an orderly end that the sensors are gone."""
    return _once(form.offline(place) for place in places(fleet)) if form.offline else []


def _once(said: Iterable[Message]) -> list[Message]:
    """Leave out what several sensors say on one topic."""
    return list({message.topic: message for message in said}.values())


def presences(fleet: Fleet, speed: float, form: Format = EVENT) -> list[Presence]:
    """Return the connections whose loss makes the broker publish that a sensor, or a machine's gateway, is gone."""
    if form.offline is None:
        return []
    found: dict[str, Presence] = {}
    faults = sorted((fault for fault in fleet.transport if fault.kind == "last-will"), key=attrgetter("after"))
    for place in places(fleet):
        losses = tuple(
            (fault.after / speed, fault.until / speed)
            for fault in faults
            if not fault.sensors or place.sensor in fault.sensors
        )
        will = form.offline(place)
        if will.topic not in found or losses:
            found[will.topic] = Presence(will, tuple(form.online(place)), losses)
    present = list(found.values())
    return present if len(present) <= MOST_PRESENT else [each for each in present if each.losses]


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
