"""LoRaWAN sensors as their network servers pass them on: ChirpStack v4 and The Things Stack v3.

The frame that came by radio is in the message as well, as base64: made as the device makes it, as far as its public
decoder reads it. The objects hold what that decoder would make of the frame.
"""

import math
import struct
from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid5

from simulator.events import IDS
from simulator.formats.sample import STANDARD_GRAVITY, Device, Place, Sample, displacement, hex_id, in_g, json_message
from simulator.measurement import Measurement
from simulator.publishing import Message

APPLICATION = "5f3a9c1e-7d24-4b8e-9a61-0c2f4e8b7d13"
TENANT = "b1d6f0a2-93c7-4e55-8a0d-2f7e6c4b9d18"
PROFILE = "0e8c5a74-1b3f-4d92-b6e0-7a9d2c5f8e41"
GATEWAY = "a84041fdfe27c3b0"
APART = timedelta(milliseconds=120)  # between the uplinks of one measurement: a little more than they are on the air
BATTERY = 3.6  # V
TTN_APPLICATION, TTN_TENANT = "condition-monitoring", "ttn"
YOSENSI, WISE = ("YO Vibration", 15), ("WISE-2410", 1)  # device profiles, and the ports of their uplinks
NETVOX_PORT = 6
YOSENSI_THREE, YOSENSI_TEMPERATURE, YOSENSI_BATTERY = 16, 3, 2  # types of Yosensi's payload, version 2
PEARSON = 3.0  # what Pearson's kurtosis has more than the excess
LARGEST = 0x7FFF


def dev_eui(place: Place) -> str:
    """Derive the device's 64-bit identifier."""
    return f"70b3d5{hex_id(place.sensor, 10)}"


def device_id(place: Place) -> str:
    """Write the sensor's id as The Things Stack allows it: lower-case letters, digits, single dashes."""
    letters = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in place.sensor.lower())
    return "-".join(letters.split()) or f"sensor-{hex_id(place.sensor, 6)}"


def chirpstack(sample: Sample) -> list[Message]:
    """Send what a Yosensi vibration monitor does over ChirpStack: three uplinks for one measurement."""
    return [
        _chirpstack(device, YOSENSI, frame, found, number=number, uplinks=3)
        for device in sample.devices
        for number, (frame, found) in enumerate(_yosensi(device))
    ]


def _chirpstack(
    device: Device, profile: tuple[str, int], frame: bytes, found: dict[str, Any], *, number: int = 0, uplinks: int = 1
) -> Message:
    """Wrap a device's frame, and what the codec reads from it; one measurement may take several uplinks."""
    eui, (name, port) = device.id, profile
    time, count = device.time + number * APART, device.sequence * uplinks + number
    uplink = {
        "deduplicationId": str(uuid5(IDS, f"{eui} {count} {time.isoformat()}")),
        "time": f"{_text(time)}000+00:00",
        "deviceInfo": {
            "tenantId": TENANT,
            "tenantName": "ChirpStack",
            "applicationId": APPLICATION,
            "applicationName": "condition-monitoring",
            "deviceProfileId": PROFILE,
            "deviceProfileName": name,
            "deviceName": device.place.sensor,
            "devEui": eui,
            "tags": {"machine": device.place.machine},
        },
        "devAddr": f"00{eui[-6:]}",
        "adr": True,
        "dr": 5,
        "fCnt": count,
        "fPort": port,
        "confirmed": False,
        "data": b64encode(frame).decode(),
        "object": found,
        "rxInfo": [{"gatewayId": GATEWAY, "uplinkId": count, "rssi": -71, "snr": 9.2, "crcStatus": "CRC_OK"}],
        "txInfo": {
            "frequency": 868100000,
            "modulation": {"lora": {"bandwidth": 125000, "spreadingFactor": 7, "codeRate": "CR_4_5"}},
        },
    }
    return json_message(f"application/{APPLICATION}/device/{eui}/event/up", uplink)


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}"


def _by_axis(device: Device, name: str, value: Callable[[Measurement], float]) -> dict[str, float]:
    return {f"{name}{axis.upper()}": value(measurement) for axis, measurement in device.axes.items()}


def _yosensi(device: Device) -> list[tuple[bytes, dict[str, float]]]:
    """Make the three frames and what their decoder makes of them."""
    temperature = round(device.first.temperature, 1)
    rms = _by_axis(device, "rmsAcceleration", lambda each: in_g(each.level))
    peak = _by_axis(device, "peakAcceleration", lambda each: in_g(each.peak))
    crest = _by_axis(device, "crestFactor", lambda each: round(each.crest_factor, 2))
    kurtosis = _by_axis(device, "kurtosis", lambda each: round(each.kurtosis - PEARSON, 2))
    velocity = _by_axis(device, "rmsVelocity", lambda each: round(each.velocity_rms, 2))
    moved = _by_axis(device, "displacement", lambda each: round(displacement(each)))
    milli_volts = round(BATTERY * 1000)
    first = [
        _value(YOSENSI_BATTERY, 0, milli_volts),
        _value(YOSENSI_TEMPERATURE, 1, temperature, address=b"\x00"),
        _three(0, 3, rms),
        _three(1, 3, peak),
    ]
    count = 3 * device.sequence
    return [
        (
            _yosensi_frame(count, first),
            {"batteryVoltage": milli_volts, "externalTemperature": temperature} | rms | peak,
        ),
        (_yosensi_frame(count + 1, [_three(2, 2, crest), _three(5, 2, kurtosis)]), crest | kurtosis),
        (_yosensi_frame(count + 2, [_three(6, 2, velocity), _three(7, 0, moved)]), velocity | moved),
    ]


def _yosensi_frame(count: int, measurements: list[bytes]) -> bytes:
    return bytes([2, count % 256, 0, 0]) + b"".join(measurements)


def _value(kind: int, decimals: int, value: float, *, address: bytes = b"") -> bytes:
    head = bytes([kind << 2 | decimals, 0, len(address) << 4 | 1])
    return head + address + _int16(value, 10**decimals)


def _three(address: int, decimals: int, values: dict[str, float]) -> bytes:
    head = bytes([YOSENSI_THREE << 2 | decimals, 0, 0x15, address])
    return head + b"".join(_int16(value, 10**decimals) for value in values.values())


def _int16(value: float, scale: float) -> bytes:
    return _bounded(value * scale).to_bytes(2, "big", signed=True)


def _bounded(value: float) -> int:
    """Round to what fits into 16 bits."""
    return max(-LARGEST, min(LARGEST, round(value)))


def wise_2410(sample: Sample) -> list[Message]:
    """Send what an Advantech WISE-2410 does over ChirpStack: three axes and the temperature in one uplink.

    The object is that of Advantech's own parser: whole numbers, of which the units are not in the message.
    """
    return [_wise(device) for device in sample.devices]


def _wise(device: Device) -> Message:
    axes = {axis: _wise_axis(measured) for axis, measured in device.axes.items()}
    milli_degrees, milli_volts = 100 * round(10 * device.first.temperature), round(1000 * BATTERY)
    blocks = [
        _block(0x50, b"\x07\0\0\0" + struct.pack("<i", milli_degrees)),
        _block(0x54, b"\xe2\xff" + b"".join(b"\0\0" + struct.pack("<8h", *each.values()) for each in axes.values())),
        _block(0x60, b"\x0a\x02" + struct.pack("<H", milli_volts)),
    ]
    payload, number = b"".join(blocks), device.sequence % 256
    found = {
        "SequenceNumber": number,
        "TotalLength": len(payload),
        "SourceAddress": None,
        "TempHumi": {"Range": 0, "Event": 0, "SenVal": milli_degrees},
        "Accelerometer": {f"{axis.upper()}-Axis": {"SenEvent": 0} | each for axis, each in axes.items()},
        "Device": {"PowerSrc": 2, "BatteryVolt": milli_volts},
    }
    frame = bytes([0x81, number, len(payload)]) + payload
    return _chirpstack(device, WISE, frame, found)


def _wise_axis(measured: Measurement) -> dict[str, int]:
    """Return an axis' features in the order of the frame: in mg, µm, and hundredths of mm/s or of a number."""
    features = {
        "OAVelocity": 100 * measured.velocity_rms,
        "Peakmg": 1000 * measured.peak / STANDARD_GRAVITY,
        "RMSmg": 1000 * measured.level / STANDARD_GRAVITY,
        "Kurtosis": 100 * (measured.kurtosis - PEARSON),
        "CrestFactor": 100 * measured.crest_factor,
        "Skewness": 0.0,
        "Deviation": 100 * measured.level / STANDARD_GRAVITY,
        "Peak-to-Peak Displacement": 2 * math.sqrt(2) * displacement(measured),
    }
    return {name: _bounded(value) for name, value in features.items()}


def _block(kind: int, content: bytes) -> bytes:
    return bytes([kind, len(content)]) + content


def the_things_stack(sample: Sample) -> list[Message]:
    """Send what a Netvox R718E does: accelerations in one uplink, velocities and the temperature in the next."""
    return [message for device in sample.devices for message in _netvox(device)]


def _netvox(device: Device) -> list[Message]:
    accelerations = [_short_float(each.level) for each in device.axes.values()]
    velocities = [_short_float(each.velocity_rms) for each in device.axes.values()]
    temperature = round(device.first.temperature, 1)
    first = _netvox_frame(1, bytes([round(BATTERY * 10)]), accelerations)
    second = _netvox_frame(2, b"", velocities) + _int16(temperature, 10)
    names = [axis.upper() for axis in device.axes]
    found = {"Volt": BATTERY} | {f"Acceleration{axis}": _read(b) for axis, b in zip(names, accelerations, strict=True)}
    then = {f"Velocity{axis}": _read(b) for axis, b in zip(names, velocities, strict=True)} | {"Temp": temperature}
    return [_things_uplink(device, 0, first, found), _things_uplink(device, 1, second, then)]


def _netvox_frame(report: int, head: bytes, values: Iterable[bytes]) -> bytes:
    return bytes([1, 0x1C, report]) + head + b"".join(values)


def _short_float(value: float) -> bytes:
    """Write the upper half of a single, the lower byte first, as the device does."""
    return struct.pack("<f", value)[2:]


def _read(two: bytes) -> float:
    read: tuple[float] = struct.unpack("<f", b"\0\0" + two)
    return read[0]


def _things_uplink(device: Device, number: int, frame: bytes, found: dict[str, Any]) -> Message:
    time = device.time + number * APART
    server, network = (f"{_text(time + late)}000Z" for late in (timedelta(milliseconds=210), timedelta()))
    decoded = {name: value for name, value in found.items() if value}  # the stack leaves out what is zero
    uplink = {
        "end_device_ids": {
            "device_id": device.id,
            "application_ids": {"application_id": TTN_APPLICATION},
            "dev_eui": dev_eui(device.place).upper(),
        },
        "correlation_ids": [f"as:up:{uuid5(IDS, f'{device.id} {time.isoformat()}')}"],
        "received_at": server,
        "uplink_message": {
            "f_port": NETVOX_PORT,
            "f_cnt": 2 * device.sequence + number,
            "frm_payload": b64encode(frame).decode(),
            "decoded_payload": {"Device": "R718E"} | decoded,
            "rx_metadata": [{"gateway_ids": {"gateway_id": "roof", "eui": GATEWAY.upper()}, "rssi": -71, "snr": 9.2}],
            "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}, "frequency": "868100000"},
            "received_at": network,
        },
    }
    return json_message(f"v3/{TTN_APPLICATION}@{TTN_TENANT}/devices/{device.id}/up", uplink)
