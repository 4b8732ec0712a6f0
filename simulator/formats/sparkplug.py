"""Sparkplug B 3.0: a machine is an edge node, a sensor one of its devices.

Its payload is a protobuf message of which a publisher needs few fields; they are written here, by the numbers that the
specification's schema gives them.
"""

import struct
from dataclasses import dataclass
from datetime import datetime

from simulator.formats.sample import Device, Memory, Place, Sample, epoch_ms, in_g
from simulator.publishing import Message
from simulator.wire import variable_length

INT64, FLOAT, BOOLEAN, STRING = 4, 9, 11, 12  # data types
VARINT, BYTES, FIXED32 = 0, 2, 5  # protobuf's wire types
SEQUENCES = 256
REBIRTH = "Node Control/Rebirth"
AXIS = {"x": "X", "z": "Z"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: with its name where it is born, with its alias afterwards. `unit` is a property of its birth."""

    name: str
    alias: int | None
    kind: int
    value: float
    unit: str = ""


def sparkplug_b(sample: Sample) -> list[Message]:
    """Send births first, each with names and aliases; then by alias what has changed."""
    memory = sample.memory
    said = [] if "born" in memory.values else [_node_birth(sample)]
    return said + [message for device in sample.devices for message in _device(sample, device)]


def _node_birth(sample: Sample) -> Message:
    memory = sample.memory
    memory.values["born"] = True
    metrics = [Metric("bdSeq", None, INT64, 0), Metric(REBIRTH, None, BOOLEAN, 0)]
    return _message(sample, "NBIRTH", "", metrics, sample.devices[0].time)


def _device(sample: Sample, device: Device) -> list[Message]:
    memory, metrics = sample.memory, _metrics(device)
    changed = memory.changed({f"{device.id} {each.name}": each.value for each in metrics})
    if memory.changed({f"{device.id} born": True}):
        return [_message(sample, "DBIRTH", device.place.sensor, metrics, device.time)]
    told = [Metric("", each.alias, each.kind, each.value) for each in metrics if f"{device.id} {each.name}" in changed]
    return [_message(sample, "DDATA", device.place.sensor, told, device.time)] if told else []


def _metrics(device: Device) -> list[Metric]:
    """Make a device's metrics; an alias is used once in a node."""
    found = [(f"Accel RMS {AXIS[axis]}", in_g(each.level), "g") for axis, each in device.axes.items()]
    found += [(f"Velocity RMS {AXIS[axis]}", round(each.velocity_rms, 2), "mm/s") for axis, each in device.axes.items()]
    found.append(("Temperature", round(device.first.temperature, 1), "°C"))
    first = device.place.number * len(found)
    return [Metric(name, first + place, FLOAT, value, unit) for place, (name, value, unit) in enumerate(found)]


def _message(sample: Sample, kind: str, device: str, metrics: list[Metric], time: datetime) -> Message:
    sequence = sample.memory.number("seq") % SEQUENCES
    topic = "/".join(filter(None, ("spBv1.0", sample.place.site, kind, sample.place.machine, device)))
    return Message(topic, payload(metrics, epoch_ms(time), sequence))


def node_and_device(place: Place) -> str:
    """Name a sensor after the edge node and the device, which are its machine and itself."""
    return f"{place.machine}/{place.sensor}"


def node_death(place: Place) -> Message:
    """Say that the node is gone, with the number of the birth that this ends."""
    return Message(f"spBv1.0/{place.site}/NDEATH/{place.machine}", payload([Metric("bdSeq", None, INT64, 0)]))


def command_topic(place: Place) -> str:
    """Tell where a host application asks the node for something."""
    return f"spBv1.0/{place.site}/NCMD/{place.machine}"


def obey(memory: Memory, command: bytes) -> None:
    """Begin again with the births if the command asks for that; there is no other one."""
    if REBIRTH.encode() in command:
        memory.values.clear()
        memory.numbers["seq"] = 0


def payload(metrics: list[Metric], time: int | None = None, sequence: int | None = None) -> bytes:
    """Write a Payload: time in Unix ms, metrics, sequence number."""
    head = b"" if time is None else _number(1, time)
    tail = b"" if sequence is None else _number(3, sequence)
    return head + b"".join(_bytes(2, _metric(each, time)) for each in metrics) + tail


def _metric(metric: Metric, time: int | None) -> bytes:
    name = _bytes(1, metric.name.encode()) if metric.name else b""
    alias = b"" if metric.alias is None else _number(2, metric.alias)
    stamp = b"" if time is None else _number(3, time)
    unit = _bytes(9, _property("engUnit", metric.unit)) if metric.unit else b""
    return name + alias + stamp + _number(4, metric.kind) + unit + _value(metric)


def _property(key: str, value: str) -> bytes:
    return _bytes(1, key.encode()) + _bytes(2, _number(1, STRING) + _bytes(8, value.encode()))


def _value(metric: Metric) -> bytes:
    if metric.kind == FLOAT:
        return bytes([12 << 3 | FIXED32]) + struct.pack("<f", metric.value)
    return _number(14 if metric.kind == BOOLEAN else 11, int(metric.value))


def _number(number: int, value: int) -> bytes:
    return bytes([number << 3 | VARINT]) + variable_length(value)


def _bytes(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | BYTES]) + variable_length(len(content)) + content
