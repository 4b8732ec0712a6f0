"""Gateways of the plant floor: Kepware, Neuron, Telegraf, OPC UA PubSub, an IO-Link master."""

import math
from datetime import UTC, datetime
from typing import Any

from simulator.formats.sample import Device, Memory, Place, Sample, epoch_ms, in_g, json_message
from simulator.measurement import Measurement
from simulator.publishing import Message

BAD_EVERY = 12  # messages, of which one has a value of bad quality
KEYFRAME_EVERY = 10  # messages
NS = 1_000_000
TAG_NOT_READY = 2014  # an error code of Neuron's
BAD_NO_COMMUNICATION = 2150694912  # 0x80310000, of OPC UA
NO_DEVICE = 503  # an IO-Link master's code for a port without a sensor
OVERFLOW = 32760  # what stands there for a value beyond the range
STATUS_OK = 0


def tag_name(place: Place) -> str:
    """Write the sensor's id as a Kepware device is named: dots part the levels of a tag."""
    return place.sensor.replace(".", "_")


def kepware(sample: Sample) -> list[Message]:
    """Send the tags of all of a machine's sensors in one message; now and then one is of bad quality, and 0."""
    bad = sample.memory.number("kepware") % BAD_EVERY == BAD_EVERY - 1
    tags = [tag for device in sample.devices for tag in _tags(device)]
    if bad:
        tags[-1] |= {"v": 0, "q": False}
    return [json_message("iotgateway", {"timestamp": epoch_ms(sample.devices[0].time), "values": tags})]


def _tags(device: Device) -> list[dict[str, Any]]:
    named = {f"{axis.upper()}_RMS_Velocity_mms": round(each.velocity_rms, 3) for axis, each in device.axes.items()}
    named |= {f"{axis.upper()}_RMS_Acceleration_G": in_g(each.level) for axis, each in device.axes.items()}
    named["Temperature_C"] = round(device.first.temperature, 1)
    time = epoch_ms(device.time)
    return [{"id": f"QM42VT.{device.id}.{name}", "v": value, "q": True, "t": time} for name, value in named.items()]


def node_and_group(place: Place) -> str:
    """Name a sensor after the node and the group, which are its machine and itself."""
    return f"{place.machine}/{place.sensor}"


def neuron(sample: Sample) -> list[Message]:
    """Send one message for each sensor, in which a tag that could not be read stands among the errors."""
    return [_neuron(sample.place.machine, device) for device in sample.devices]


def _neuron(node: str, device: Device) -> Message:
    values = {f"a{axis}": in_g(each.level) for axis, each in device.axes.items()}
    values |= {f"v{axis}": round(each.velocity_rms, 2) for axis, each in device.axes.items()}
    values["temp"] = round(device.first.temperature, 2)
    said = {"timestamp": epoch_ms(device.time), "node": node, "group": device.place.sensor, "values": values}
    return json_message(f"/neuron/{device.place.site}", said | {"errors": {"dx": TAG_NOT_READY}, "metas": {}})


def _fields(device: Device) -> dict[str, float]:
    fields = {f"{axis}_rms_vel": round(each.velocity_rms, 3) for axis, each in device.axes.items()}
    fields |= {f"{axis}_rms_acc": in_g(each.level) for axis, each in device.axes.items()}
    return fields | {"temperature": round(device.first.temperature, 1)}


def _tag_set(sample: Sample, device: Device) -> dict[str, str]:
    slave = str(device.place.number)
    return {"host": sample.place.site, "name": device.id, "slave_id": slave, "type": "holding_register"}


def telegraf_json(sample: Sample) -> list[Message]:
    """Send all of a machine's sensors as one batch of Telegraf's JSON, with times in whole seconds."""
    metrics = [
        {
            "fields": _fields(device),
            "name": "modbus",
            "tags": _tag_set(sample, device),
            "timestamp": math.floor(device.time.timestamp()),
        }
        for device in sample.devices
    ]
    return [json_message(f"telegraf/{sample.place.site}/modbus", {"metrics": metrics})]


def telegraf_line(sample: Sample) -> list[Message]:
    """Send all of a machine's sensors as lines of InfluxDB's protocol, with times in nanoseconds."""
    lines = "".join(f"{_line(sample, device)}\n" for device in sample.devices)
    return [Message(f"telegraf/{sample.place.site}/modbus", lines.encode())]


def _line(sample: Sample, device: Device) -> str:
    tags = "".join(f",{name}={_escaped(value)}" for name, value in sorted(_tag_set(sample, device).items()))
    fields = ",".join(f"{name}={value}" for name, value in _fields(device).items())
    return f"modbus{tags} {fields} {epoch_ms(device.time) * NS}"


def _escaped(tag: str) -> str:
    for character in ("\\", ",", "=", " "):
        tag = tag.replace(character, f"\\{character}")
    return tag


def opcua_pubsub(sample: Sample) -> list[Message]:
    """Send OPC UA network messages: metadata once, a key frame now and then, else only what has changed.

    A sensor of which nothing has changed sends a keepalive. Now and then a temperature has a bad status and no value.
    """
    memory = sample.memory
    publisher = f"{sample.place.machine}/vibration"
    unknown = [device for device in sample.devices if f"{device.id} metadata" not in memory.values]
    described = [
        json_message(
            f"opcua/json/metadata/{publisher}/{device.id}",
            _network(sample, "ua-metadata") | _metadata(device),
            retain=True,
        )
        for device in unknown
    ]
    memory.values |= {f"{device.id} metadata": True for device in unknown}
    frames = [_frame(device, memory) for device in sample.devices]
    return [
        *described,
        json_message(f"opcua/json/data/{publisher}", _network(sample, "ua-data") | {"Messages": frames}),
    ]


def _network(sample: Sample, kind: str) -> dict[str, Any]:
    number = sample.memory.number("opcua")
    return {"MessageId": str(number), "MessageType": kind, "PublisherId": sample.place.machine}


def _metadata(device: Device) -> dict[str, Any]:
    fields = [{"Name": name, "BuiltInType": 11, "DataType": {"Id": 11}, "ValueRank": -1} for name in _nodes(device)]
    return {"DataSetWriterId": device.place.number, "MetaData": {"Name": device.id, "Fields": fields}}


def _nodes(device: Device) -> dict[str, float]:
    measured = device.first
    rounded = {"aRms": round(measured.level, 2), "vRms": round(measured.velocity_rms, 2)}
    return rounded | {"Temperature": round(measured.temperature)}


def _frame(device: Device, memory: Memory) -> dict[str, Any]:
    number, nodes, kind = memory.number(device.id), _nodes(device), "ua-deltaframe"
    changed = memory.changed({f"{device.id} {name}": value for name, value in nodes.items()})
    if number % KEYFRAME_EVERY == 0:
        kind = "ua-keyframe"
    else:
        nodes = {name: value for name, value in nodes.items() if f"{device.id} {name}" in changed}
    time = seven_digits(device.time)
    payload: dict[str, Any] = {name: {"Value": value, "SourceTimestamp": time} for name, value in nodes.items()}
    if number % BAD_EVERY == BAD_EVERY - 1:
        status = {"Symbol": "BadNoCommunication", "Code": BAD_NO_COMMUNICATION}
        payload["Temperature"] = {"StatusCode": status, "SourceTimestamp": time}
    return {
        "DataSetWriterId": device.place.number,
        "DataSetWriterName": device.id,
        "SequenceNumber": number,
        "MetaDataVersion": {"MajorVersion": 1, "MinorVersion": 0},
        "MessageType": kind if payload else "ua-keepalive",
        "Timestamp": time,
        "Payload": payload,
    }


def seven_digits(time: datetime) -> str:
    """Write a time with the 100 ns of .NET, in UTC."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}0Z"


def port(place: Place) -> str:
    """Name a sensor after its port: the IO-Link master of a machine knows no other name."""
    return f"{place.machine}{_process_data_of(place.number)}"


def _process_data_of(port: int) -> str:
    return f"/iolinkmaster/port[{port}]/iolinkdevice/pdin"


def ifm_vvb001(sample: Sample) -> list[Message]:
    """Send what an ifm AL1350 does: the process data of each port's VVB001 as hexadecimal text, without a time."""
    ports = {device.place.number: {"code": 200, "data": process_data(device.first)} for device in sample.devices}
    ports.setdefault(max(ports) + 1, {"code": NO_DEVICE})
    payload: dict[str, Any] = {"/timer[1]/counter": {"code": 200, "data": 1}}
    payload |= {_process_data_of(port): said for port, said in ports.items()}
    number = sample.memory.number("ifm")
    data = {"eventno": str(number), "srcurl": "/timer[1]/counter/datachanged", "payload": payload}
    event = {"code": "event", "cid": 4711, "adr": "", "data": data}
    return [json_message(f"ifm/{sample.place.machine}", event)]


def process_data(measured: Measurement) -> str:
    """Write a VVB001's process data: for each value 16 bits, a power of ten and a byte, the last of them the status.

    v-RMS in m/s, a-Peak and a-RMS in m/s², temperature in °C, crest factor.
    """
    scaled = [
        (measured.velocity_rms / 1000, -4),
        (measured.peak, -1),
        (measured.level, -1),
        (measured.temperature, -1),
        (measured.crest_factor, -1),
    ]
    words = [_scaled(value, exponent) for value, exponent in scaled]
    return b"".join(words).hex().upper()


def _scaled(value: float, exponent: int) -> bytes:
    number = min(OVERFLOW, round(value * 10.0**-exponent))
    return number.to_bytes(2, "big", signed=True) + exponent.to_bytes(1, "big", signed=True) + bytes([STATUS_OK])
