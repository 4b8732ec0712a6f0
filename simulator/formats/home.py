"""What home automation makes of a sensor: Tasmota, ESPHome, zigbee2mqtt."""

import math
from zlib import crc32
from zoneinfo import ZoneInfo

from simulator.formats.sample import STANDARD_GRAVITY, Device, Place, Sample, displacement, json_message
from simulator.measurement import Measurement
from simulator.publishing import Message

ZONE = ZoneInfo("Europe/Stockholm")  # of Tasmota's clock
STATE_EVERY = 10  # measurements, after which Tasmota tells its own state
STRENGTH = 10.0  # of zigbee2mqtt's strength for each m/s² of the peak; it has no unit
ESPHOME = {
    "acceleration_rms": ("Acceleration RMS", "m/s²"),
    "velocity_rms": ("Velocity RMS", "mm/s"),
    "temperature": ("Temperature", "°C"),
}
"""An ESPHome node's quantities: their names and units."""


def tasmota(sample: Sample) -> list[Message]:
    """Send what Tasmota does of an MPU6050: an instantaneous acceleration with gravity in it, and local time."""
    return [message for device in sample.devices for message in _tasmota(device)]


def _tasmota(device: Device) -> list[Message]:
    time = f"{device.time.astimezone(ZONE):%Y-%m-%dT%H:%M:%S}"
    sensor = {"Temperature": round(device.first.temperature, 1)}
    sensor |= {f"Accel{axis.upper()}Axis": _instant(device, axis) for axis in device.axes}
    sensor |= {f"Gyro{axis}Axis": 0.0 for axis in "XYZ"}
    said = [json_message(f"tele/{device.id}/SENSOR", {"Time": time, "MPU6050": sensor, "TempUnit": "C"})]
    if device.sequence % STATE_EVERY == 0:
        uptime = {"Time": time, "UptimeSec": device.sequence, "Heap": 25, "LoadAvg": 19}
        said.insert(0, json_message(f"tele/{device.id}/STATE", uptime))
    return said


def _instant(device: Device, axis: str) -> float:
    """Take the value of a sine of the axis' RMS at a moment by chance; gravity is along z."""
    turn = crc32(f"{device.id} {axis} {device.sequence}".encode()) / 2**32
    moment = math.sqrt(2) * device.axes[axis].level * math.sin(2 * math.pi * turn)
    return round(moment + (STANDARD_GRAVITY if axis == "z" else 0.0), 2)


def tasmota_online(place: Place) -> list[Message]:
    """Say that it is connected."""
    return [Message(f"tele/{place.sensor}/LWT", b"Online", retain=True)]


def tasmota_offline(place: Place) -> Message:
    """Say that it is not."""
    return Message(f"tele/{place.sensor}/LWT", b"Offline", retain=True)


def node_name(place: Place) -> str:
    """Write the id as ESPHome names its nodes: in lower case, with dashes."""
    return place.sensor.lower().replace("_", "-")


def esphome(sample: Sample) -> list[Message]:
    """Send a topic for each quantity, with a bare number; what has not been measured yet is `nan`."""
    return [message for device in sample.devices for message in _esphome(device)]


def _esphome(device: Device) -> list[Message]:
    measured = device.first
    values = {
        "acceleration_rms": f"{measured.level:.5f}",
        "velocity_rms": f"{measured.velocity_rms:.2f}",
        "temperature": f"{measured.temperature:.1f}" if device.sequence else "nan",
    }
    return [Message(_esphome_topic(device.id, name), text.encode()) for name, text in values.items()]


def _esphome_topic(node: str, quantity: str) -> str:
    return f"{node}/sensor/{quantity}/state"


def esphome_online(place: Place) -> list[Message]:
    """Say that the node is there, and what it measures: the discovery messages of Home Assistant."""
    node = node_name(place)
    discovered = [_discovery(node, quantity, *named) for quantity, named in ESPHOME.items()]
    return [*discovered, Message(f"{node}/status", b"online", retain=True)]


def _discovery(node: str, quantity: str, name: str, unit: str) -> Message:
    said = {
        "name": name,
        "stat_t": _esphome_topic(node, quantity),
        "unit_of_meas": unit,
        "stat_cla": "measurement",
        "avty_t": f"{node}/status",
        "uniq_id": f"{node}-{quantity}",
        "dev": {"ids": node, "name": node, "mf": "ESPHome"},
    }
    return json_message(f"homeassistant/sensor/{node}/{quantity}/config", said, retain=True)


def esphome_offline(place: Place) -> Message:
    """Say that the node is gone."""
    return Message(f"{node_name(place)}/status", b"offline", retain=True)


def friendly_name(place: Place) -> str:
    """Name the sensor as people do in zigbee2mqtt, with a blank."""
    return f"{place.sensor} vibration"


def zigbee2mqtt(sample: Sample) -> list[Message]:
    """Send what zigbee2mqtt does of an Aqara DJT11LM: a strength without a unit, no time."""
    return [json_message(f"zigbee2mqtt/{device.id}", _aqara(device.first)) for device in sample.devices]


def _aqara(measured: Measurement) -> dict[str, object]:
    return {
        "battery": 91,
        "device_temperature": round(measured.temperature),
        "vibration": True,
        "action": "vibration",
        "strength": round(STRENGTH * measured.peak),
        "angle": round(displacement(measured) / 100),
        "x_axis": 14,
        "y_axis": -1018,
        "z_axis": 31,
        "voltage": 2965,
        "linkquality": 84,
    }


def zigbee_online(place: Place) -> list[Message]:
    """Say that the sensor is available, and that the bridge is there."""
    bridge = json_message("zigbee2mqtt/bridge/state", {"state": "online"}, retain=True)
    return [bridge, json_message(_availability(place), {"state": "online"}, retain=True)]


def zigbee_offline(place: Place) -> Message:
    """Say that it is not available."""
    return json_message(_availability(place), {"state": "offline"}, retain=True)


def _availability(place: Place) -> str:
    return f"zigbee2mqtt/{friendly_name(place)}/availability"
