"""Formats that are nobody's alone, and the sensors of NCD: JSON of several shapes, SenML, CloudEvents, lines of CSV."""

import math
from typing import Any
from uuid import uuid5

from simulator.events import IDS
from simulator.formats.sample import Device, Place, Sample, displacement, epoch_ms, hex_id, in_g, json_message
from simulator.measurement import Measurement
from simulator.publishing import Message
from simulator.times import rfc3339

BATCH = 2  # measurements that wait for each other
MODE_EVERY = 60  # measurements, after which a sensor of NCD tells its settings again
NCD_BATTERY = 3.28  # V


def mac(place: Place) -> str:
    """Derive a sensor's address."""
    digits = f"0013a2{hex_id(place.sensor, 10)}"
    return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2))


def ncd(sample: Sample) -> list[Message]:
    """Send what NCD's wireless sensors do through Node-RED: one message for three axes, the battery as a text."""
    return [message for device in sample.devices for message in _ncd(device)]


def _ncd(device: Device) -> list[Message]:
    head = {"nodeId": 0, "firmware": 7, "sensor_type": 80, "sensor_name": "One Channel Vibration Plus"}
    tail = {"addr": device.id, "received": epoch_ms(device.time)}
    topic, count = f"ncd/{device.id}/sensor_data", device.sequence % 256
    values: dict[str, Any] = {"mode": 0, "odr": "6400Hz", "temperature": round(device.first.temperature, 2)}
    for axis, measured in device.axes.items():
        values |= _ncd_axis(axis, measured)
    battery = {"battery": f"{NCD_BATTERY:.2f}", "battery_percent": "98.56", "counter": count}
    said = [head | battery | {"sensor_data": values, "type": "sensor_data"} | tail]
    if device.sequence % MODE_EVERY == 0:
        said.insert(0, head | {"type": "sensor_mode", "mode": "PGM"} | tail)
    return [json_message(topic, each) for each in said]


def _ncd_axis(axis: str, measured: Measurement) -> dict[str, Any]:
    return {
        f"{axis}_rms_ACC_G": in_g(measured.level),
        f"{axis}_max_ACC_G": in_g(measured.peak),
        f"{axis}_velocity_mm_sec": round(measured.velocity_rms, 2),
        f"{axis}_displacement_mm": round(displacement(measured) / 1000, 2),
        f"{axis}_peak_one_Hz": round(measured.rpm / 60),
    }


def urn(place: Place) -> str:
    """Derive a name as RFC 9039 makes it of an EUI-64."""
    return f"urn:dev:mac:0024be{hex_id(place.sensor, 10)}"


def senml(sample: Sample) -> list[Message]:
    """Send two measurements of a sensor in one pack of RFC 8428, the older one by its distance in time."""
    batches = [sample.memory.batch(device.id, device, BATCH) for device in sample.devices]
    return [json_message(f"senml/{batch[-1].id}", _pack(batch)) for batch in batches if batch]


def _pack(batch: list[Device]) -> list[dict[str, Any]]:
    newest = batch[-1]
    records: list[dict[str, Any]] = []
    for device in reversed(batch):
        apart = round((device.time - newest.time).total_seconds(), 3)
        when = {"t": apart} if apart else {}
        records += [{"n": axis, **when, "v": round(each.level, 3)} for axis, each in device.axes.items()]
        records.append({"n": "temperature", "u": "Cel", **when, "v": round(device.first.temperature, 1)})
    records[0] = {"bn": f"{newest.id}:", "bt": epoch_ms(newest.time) / 1000, "bu": "m/s2"} | records[0]
    return records


def thingsboard_gateway(sample: Sample) -> list[Message]:
    """Send two measurements of each of a machine's sensors, with the sensors' ids as the keys."""
    keyed = {}
    for device in sample.devices:
        entry = {"ts": epoch_ms(device.time), "values": _telemetry(device)}
        if batch := sample.memory.batch(device.id, entry, BATCH):
            keyed[device.id] = batch
    return [json_message("v1/gateway/telemetry", keyed)] if keyed else []


def _telemetry(device: Device) -> dict[str, float]:
    values = {f"vibration_{axis}": in_g(each.level) for axis, each in device.axes.items()}
    measured = device.first
    return values | {"velocity_rms": round(measured.velocity_rms, 2), "temperature": round(measured.temperature, 1)}


def cloudevents(sample: Sample) -> list[Message]:
    """Send a CloudEvent 1.0 in structured mode for each sensor."""
    return [_cloudevent(device, sample.origin) for device in sample.devices]


def _cloudevent(device: Device, origin: str) -> Message:
    place, measured = device.place, device.first
    data = {
        "accelerationRms": in_g(measured.level),
        "unit": "g",
        "velocityRms": round(measured.velocity_rms, 2),
        "temperatureC": round(measured.temperature, 1),
    }
    event = {
        "specversion": "1.0",
        "type": "com.example.vibration.measured",
        "source": f"/{place.site}/{place.area}/{place.machine}",
        "subject": device.id,
        "id": str(uuid5(IDS, f"{origin} {device.id} {device.sequence} {device.time.isoformat()}")),
        "time": rfc3339(device.time),
        "datacontenttype": "application/json",
        "data": data,
    }
    return json_message("events/vibration", event)


def csv(sample: Sample) -> list[Message]:
    """Send lines as a logger does: epoch in s, id, RMS in g, velocity in mm/s, temperature; no header."""
    lines = sample.memory.batch("csv", [_line(device) for device in sample.devices], BATCH)
    text = "".join(f"{line}\n" for group in lines for line in group)
    return [Message(f"{sample.place.site}/vib/csv", text.encode())] if text else []


def _line(device: Device) -> str:
    measured, time = device.first, math.floor(device.time.timestamp())
    values = (in_g(measured.level), round(measured.velocity_rms, 2), round(measured.temperature, 1))
    return ",".join([str(time), _cell(device.id), *map(str, values)])


def _cell(text: str) -> str:
    """Quote as RFC 4180 does where that is needed; an id has no line breaks."""
    if '"' in text or "," in text:
        return '"' + text.replace('"', '""') + '"'
    return text
