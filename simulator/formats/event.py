"""The gateway's own event, one message for each sensor."""

import msgspec

from simulator import events
from simulator.formats.sample import Device, Place, Sample
from simulator.publishing import Message
from simulator.times import rfc3339


def event(sample: Sample) -> list[Message]:
    """Send a VibrationRecorded event for each sensor."""
    return [_message(device, sample.origin) for device in sample.devices]


def _message(device: Device, origin: str) -> Message:
    return Message(f"{_topic(device.place)}/reading", events.encode(_event(device), origin))


def _topic(place: Place) -> str:
    return f"vibration/{place.site}/{place.area}/{place.machine}/{place.sensor}"


def _event(device: Device) -> events.Event:
    place, measured = device.place, device.first
    data = events.Data(
        sensor_id=place.sensor,
        vibration_level=measured.level,
        velocity_rms=measured.velocity_rms,
        peak=measured.peak,
        crest_factor=measured.crest_factor,
        kurtosis=measured.kurtosis,
        temperature=measured.temperature,
        rpm=measured.rpm,
        load=measured.load,
        operating_state=device.state,
        sequence=device.sequence,
    )
    made = events.Event(
        timestamp=rfc3339(device.time),
        source="VibrationSensor",
        sensor_location=f"{place.description}, {place.position}",
        data=data,
        metadata=events.Metadata(model=place.model, calibration_date=place.calibration_date),
    )
    return made if place.baseline is None else events.compare(made, place.baseline)


def online(place: Place) -> list[Message]:
    """Say that the sensor is there."""
    return [Message(f"{_topic(place)}/status", b"online", retain=True)]


def offline(place: Place) -> Message:
    """Say that it is not."""
    return Message(f"{_topic(place)}/status", b"offline", retain=True)


def state_message(topic: str, state: str, timestamp: str) -> Message:
    """Say what a machine does; `timestamp` is RFC 3339."""
    return Message(topic, msgspec.json.encode({"state": state, "timestamp": timestamp}), retain=True)
