"""Readers of the formats, written from their public descriptions and not from what writes them.

Each yields (sensor id with its axis, time or None, quantities in m/s², mm/s, °C and Pearson's kurtosis).
"""

import csv
import io
import json
import re
import struct
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from simulator.publishing import Message

G = 9.80665
Quantities = dict[str, float]
Found = tuple[str, datetime | None, Quantities]
State = dict[str, Any]


def _rfc3339(text: str) -> datetime:
    """Read what has more than six decimals of a second too."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))


def _epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _scaled(values: dict[str, Any], names: dict[str, tuple[str, float, float]]) -> Quantities:
    return {
        quantity: values[name] * scale + offset for quantity, (name, scale, offset) in names.items() if name in values
    }


def event(message: Message, _state: State) -> Iterator[Found]:
    if message.topic.endswith("/reading"):
        said = json.loads(message.payload)
        names = {name: (name, 1.0, 0.0) for name in ("peak", "kurtosis", "temperature")}
        names |= {"level": ("vibrationLevel", 1.0, 0.0), "velocity": ("velocityRms", 1.0, 0.0)}
        yield said["data"]["sensorId"], _rfc3339(said["timestamp"]), _scaled(said["data"], names)


def _chirpstack(message: Message) -> tuple[str, datetime, dict[str, Any]]:
    said = json.loads(message.payload)
    eui = message.topic.split("/")[3]
    assert said["deviceInfo"]["devEui"] == eui
    assert message.topic == f"application/{said['deviceInfo']['applicationId']}/device/{eui}/event/up"
    return eui, _rfc3339(said["time"]), said


def chirpstack(message: Message, _state: State) -> Iterator[Found]:
    eui, time, said = _chirpstack(message)
    for axis in "XYZ":
        names = {
            "level": (f"rmsAcceleration{axis}", G, 0.0),
            "peak": (f"peakAcceleration{axis}", G, 0.0),
            "velocity": (f"rmsVelocity{axis}", 1.0, 0.0),
            "kurtosis": (f"kurtosis{axis}", 1.0, 3.0),
            "temperature": ("externalTemperature", 1.0, 0.0),
        }
        yield f"{eui}-{axis.lower()}", time, _scaled(said["object"], names)


def wise_2410(message: Message, _state: State) -> Iterator[Found]:
    eui, time, said = _chirpstack(message)
    assert said["deviceInfo"]["deviceProfileName"] == "WISE-2410"
    names = {
        "level": ("RMSmg", G / 1000, 0.0),
        "peak": ("Peakmg", G / 1000, 0.0),
        "velocity": ("OAVelocity", 0.01, 0.0),
        "kurtosis": ("Kurtosis", 0.01, 3.0),
    }
    for axis in "XYZ":
        values = _scaled(said["object"]["Accelerometer"][f"{axis}-Axis"], names)
        yield f"{eui}-{axis.lower()}", time, values | {"temperature": said["object"]["TempHumi"]["SenVal"] / 1000}


def ttn(message: Message, _state: State) -> Iterator[Found]:
    said = json.loads(message.payload)
    device = said["end_device_ids"]["device_id"]
    assert message.topic.split("/")[3] == device
    uplink = said["uplink_message"]
    for axis in "XYZ":
        names = {"level": f"Acceleration{axis}", "velocity": f"Velocity{axis}", "temperature": "Temp"}
        values = _scaled(uplink["decoded_payload"], {quantity: (name, 1.0, 0.0) for quantity, name in names.items()})
        yield f"{device}-{axis.lower()}", _rfc3339(uplink["received_at"]), values


def ncd(message: Message, _state: State) -> Iterator[Found]:
    said = json.loads(message.payload)
    assert message.topic == f"ncd/{said['addr']}/sensor_data"
    for axis in "xyz" if said["type"] == "sensor_data" else "":
        names = {
            "level": (f"{axis}_rms_ACC_G", G, 0.0),
            "peak": (f"{axis}_max_ACC_G", G, 0.0),
            "velocity": (f"{axis}_velocity_mm_sec", 1.0, 0.0),
            "temperature": ("temperature", 1.0, 0.0),
        }
        yield f"{said['addr']}-{axis}", _epoch(said["received"] / 1000), _scaled(said["sensor_data"], names)


def kepware(message: Message, _state: State) -> Iterator[Found]:
    assert message.topic == "iotgateway"
    units = {"RMS_Velocity_mms": ("velocity", 1.0), "RMS_Acceleration_G": ("level", G)}
    for tag in json.loads(message.payload)["values"]:
        _channel, device, name = tag["id"].split(".")
        time = _epoch(tag["t"] / 1000)
        if not tag["q"]:
            continue
        if name == "Temperature_C":
            yield from ((f"{device}-{axis}", time, {"temperature": tag["v"]}) for axis in "xz")
        else:
            axis, _, unit = name.partition("_")
            quantity, scale = units[unit]
            yield f"{device}-{axis.lower()}", time, {quantity: scale * tag["v"]}


def neuron(message: Message, _state: State) -> Iterator[Found]:
    said = json.loads(message.payload)
    values = said["values"]
    for axis in "xyz":
        found = {"level": G * values[f"a{axis}"], "velocity": values[f"v{axis}"], "temperature": values["temp"]}
        yield f"{said['node']}/{said['group']}-{axis}", _epoch(said["timestamp"] / 1000), found


def _modbus(fields: dict[str, float], name: str, time: datetime) -> Iterator[Found]:
    for axis in "xz":
        found = {"level": G * fields[f"{axis}_rms_acc"], "velocity": fields[f"{axis}_rms_vel"]}
        yield f"{name}-{axis}", time, found | {"temperature": fields["temperature"]}


def telegraf_json(message: Message, _state: State) -> Iterator[Found]:
    for metric in json.loads(message.payload)["metrics"]:
        yield from _modbus(metric["fields"], metric["tags"]["name"], _epoch(metric["timestamp"]))


def telegraf_line(message: Message, _state: State) -> Iterator[Found]:
    for line in message.payload.decode().splitlines():
        measurement, fields, time = re.split(r"(?<!\\) ", line)
        tags = dict(re.split(r"(?<!\\)=", tag) for tag in re.split(r"(?<!\\),", measurement)[1:])
        name = re.sub(r"\\(.)", r"\1", tags["name"])
        values = {key: float(value) for key, value in (field.split("=") for field in fields.split(","))}
        yield from _modbus(values, name, _epoch(int(time) / 1e9))


def opcua_pubsub(message: Message, state: State) -> Iterator[Found]:
    said = json.loads(message.payload)
    if said["MessageType"] != "ua-data":
        return
    for frame in said["Messages"]:
        known = state.setdefault(frame["DataSetWriterName"], {})
        known |= {name: node["Value"] for name, node in frame["Payload"].items() if "Value" in node}
        found = {"level": known["aRms"], "velocity": known["vRms"], "temperature": known["Temperature"]}
        yield frame["DataSetWriterName"], _rfc3339(frame["Timestamp"]), found


def ifm_vvb001(message: Message, _state: State) -> Iterator[Found]:
    master = message.topic.removeprefix("ifm/")
    for path, said in json.loads(message.payload)["data"]["payload"].items():
        if path.endswith("/pdin") and said["code"] == 200:
            values = struct.iter_unpack(">hbx", bytes.fromhex(said["data"]))
            velocity, peak, level, temperature, _crest = (value * 10.0**exponent for value, exponent in values)
            found = {"level": level, "velocity": 1000 * velocity, "peak": peak, "temperature": temperature}
            yield f"{master}{path}", None, found


def senml(message: Message, _state: State) -> Iterator[Found]:
    base: dict[str, Any] = {}
    for record in json.loads(message.payload):
        base |= {name: value for name, value in record.items() if name.startswith("b")}
        device, _, name = f"{base['bn']}{record['n']}".rpartition(":")
        time = _epoch(base["bt"] + record.get("t", 0))
        assert message.topic == f"senml/{device}"
        if name == "temperature":
            assert record["u"] == "Cel"
            yield from ((f"{device}-{axis}", time, {"temperature": record["v"]}) for axis in "xyz")
        else:
            assert record.get("u", base["bu"]) == "m/s2"
            yield f"{device}-{name}", time, {"level": record["v"]}


def thingsboard_gateway(message: Message, _state: State) -> Iterator[Found]:
    for device, entries in json.loads(message.payload).items():
        for entry in entries:
            values = entry["values"]
            for axis in "xy":
                found = {"level": G * values[f"vibration_{axis}"], "temperature": values["temperature"]}
                if axis == "x":  # the message has one velocity
                    found["velocity"] = values["velocity_rms"]
                yield f"{device}-{axis}", _epoch(entry["ts"] / 1000), found


def cloudevents(message: Message, _state: State) -> Iterator[Found]:
    said = json.loads(message.payload)
    assert {"specversion", "type", "source", "id"} <= set(said)
    data = said["data"]
    assert data["unit"] == "g"
    found = {"level": G * data["accelerationRms"], "velocity": data["velocityRms"], "temperature": data["temperatureC"]}
    yield said["subject"], _rfc3339(said["time"]), found


def csv_lines(message: Message, _state: State) -> Iterator[Found]:
    for time, sensor, level, velocity, temperature in csv.reader(io.StringIO(message.payload.decode())):
        found = {"level": G * float(level), "velocity": float(velocity), "temperature": float(temperature)}
        yield sensor, _epoch(int(time)), found


def tasmota(message: Message, _state: State) -> Iterator[Found]:
    if message.topic.endswith("/SENSOR"):
        said = json.loads(message.payload)
        time = datetime.fromisoformat(said["Time"]).replace(tzinfo=ZoneInfo("Europe/Stockholm"))
        for axis in "XYZ":
            found = {"instant": said["MPU6050"][f"Accel{axis}Axis"], "temperature": said["MPU6050"]["Temperature"]}
            yield f"{message.topic.split('/')[1]}-{axis.lower()}", time, found


def esphome(message: Message, _state: State) -> Iterator[Found]:
    if message.topic.endswith("/state"):
        node, _, name, _ = message.topic.split("/")
        quantity = {"acceleration_rms": "level", "velocity_rms": "velocity", "temperature": "temperature"}[name]
        if message.payload != b"nan":
            yield node, None, {quantity: float(message.payload)}


def zigbee2mqtt(message: Message, _state: State) -> Iterator[Found]:
    if not message.retain:
        said = json.loads(message.payload)
        found = {"peak": said["strength"] / 10, "temperature": said["device_temperature"]}
        yield message.topic.removeprefix("zigbee2mqtt/"), None, found


def protobuf(content: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message: numbers, bytes, and singles."""
    position = 0

    def varint() -> int:
        nonlocal position
        number = shift = 0
        while True:
            byte = content[position]
            position, number, shift = position + 1, number | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return number

    while position < len(content):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            length = varint()
            yield key >> 3, content[position : position + length]
            position += length
        else:
            assert key & 7 == 5
            yield key >> 3, struct.unpack("<f", content[position : position + 4])[0]
            position += 4


def sparkplug_metrics(payload: bytes) -> list[dict[int, Any]]:
    return [dict(protobuf(content)) for number, content in protobuf(payload) if number == 2]


def sparkplug_b(message: Message, state: State) -> Iterator[Found]:
    kind, node, *devices = message.topic.split("/")[2:]
    if kind not in {"DBIRTH", "DDATA"}:
        return
    (device,) = devices
    known = state.setdefault(f"{node}/{device}", {})
    for metric in sparkplug_metrics(message.payload):
        if kind == "DBIRTH":
            state[f"{node} {metric[2]}"] = metric[1].decode()
        known[state[f"{node} {metric[2]}"]] = metric[12]
    time = _epoch(dict(protobuf(message.payload))[1] / 1000)
    for axis in "XZ":
        found = {"level": G * known[f"Accel RMS {axis}"], "velocity": known[f"Velocity RMS {axis}"]}
        yield f"{node}/{device}-{axis.lower()}", time, found | {"temperature": known["Temperature"]}


READERS: dict[str, Callable[[Message, State], Iterator[Found]]] = {
    "event": event,
    "chirpstack": chirpstack,
    "advantech-wise-2410": wise_2410,
    "ttn": ttn,
    "ncd": ncd,
    "kepware": kepware,
    "neuron": neuron,
    "telegraf-json": telegraf_json,
    "telegraf-line": telegraf_line,
    "opcua-pubsub": opcua_pubsub,
    "ifm-vvb001": ifm_vvb001,
    "senml": senml,
    "thingsboard-gateway": thingsboard_gateway,
    "cloudevents": cloudevents,
    "csv": csv_lines,
    "sparkplug-b": sparkplug_b,
    "tasmota": tasmota,
    "esphome": esphome,
    "zigbee2mqtt": zigbee2mqtt,
}


def yosensi_frame(data: str) -> dict[str, list[int]]:
    """Read the measurements of a Yosensi payload, version 2, by type and address, as whole numbers."""
    frame, found = b64decode(data), {}
    assert frame[0] == 2
    position = 4
    while position < len(frame):
        kind, lengths = frame[position] >> 2, frame[position + 2]
        start = position + 3 + (lengths >> 4)
        position = start + (lengths & 0x0F) + 1
        name = f"{kind}/{frame[start - (lengths >> 4) : start].hex()}"
        found[name] = list(struct.unpack(f">{(position - start) // 2}h", frame[start:position]))
    return found


def netvox_frame(data: str) -> tuple[int, list[float]]:
    """Read a report of a Netvox R718E: its type, and its values."""
    frame = b64decode(data)
    assert frame[:2] == b"\x01\x1c"
    values = frame[4:10] if frame[2] == 1 else frame[3:9]
    read = [struct.unpack("<f", b"\0\0" + values[start : start + 2])[0] for start in (0, 2, 4)]
    return frame[2], read + ([frame[3] / 10] if frame[2] == 1 else [struct.unpack(">h", frame[9:11])[0] / 10])


def wise_frame(data: str) -> dict[int, bytes]:
    """Read the blocks of a frame of a WISE-2410 by their kind."""
    frame, found, position = b64decode(data), {}, 3
    assert (frame[0], frame[2]) == (0x81, len(frame) - 3)
    while position < len(frame):
        end = position + 2 + frame[position + 1]
        found[frame[position]] = frame[position + 2 : end]
        position = end
    return found
