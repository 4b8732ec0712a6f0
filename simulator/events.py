"""The VibrationRecorded event as the bytes of one MQTT message."""

from collections.abc import Mapping
from functools import lru_cache
from typing import cast
from uuid import UUID, uuid5

import msgspec
from msgspec import UNSET, UnsetType

IDS = UUID("2f3f6c3e-6f0c-4c5e-9a53-8d2a4d9f1b07")  # the name space of this program's event ids
REMARKABLE_RATIO = 1.6  # of level to baseline, from which the sensor's own message asks for an inspection

EXCEEDED = "Vibration level recorded exceeds the acceptable threshold. Immediate inspection required."
WITHIN = "Vibration level recorded is within the acceptable range."


class Data(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """What was measured; a field left UNSET is left out of the event."""

    sensor_id: str
    vibration_level: float
    baseline_vibration_level: float | UnsetType = UNSET
    unit: str = "m/s²"
    difference: float | UnsetType = UNSET
    velocity_rms: float | UnsetType = UNSET  # mm/s
    peak: float | UnsetType = UNSET
    crest_factor: float | UnsetType = UNSET
    kurtosis: float | UnsetType = UNSET
    temperature: float | UnsetType = UNSET  # °C
    rpm: float | UnsetType = UNSET
    load: float | UnsetType = UNSET
    operating_state: str | UnsetType = UNSET
    sequence: int | UnsetType = UNSET


def extended(data: Data, numbers: Mapping[str, float]) -> Data:
    """Return data with further numbers under their names in the event, whatever those are: the gateway knows them."""
    if not numbers:
        return data
    known = {name: getattr(data, name) for name in Data.__struct_fields__}
    wire = dict(zip(Data.__struct_encode_fields__, Data.__struct_fields__, strict=True))
    given = known | {wire.get(name, name): value for name, value in numbers.items()}
    return _with(tuple(name for name in given if name not in known))(**given)


@lru_cache
def _with(names: tuple[str, ...]) -> type[Data]:
    fields = [(name, float) for name in names]
    made = msgspec.defstruct("Data", fields, bases=(Data,), rename={name: name for name in names}, kw_only=True)
    return cast("type[Data]", made)


class Metadata(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """The device."""

    model: str
    calibration_date: str


class Event(msgspec.Struct, rename="camel", kw_only=True, frozen=True):
    """The whole event, in the order of its fields; `timestamp` is RFC 3339."""

    event_id: str = ""
    event_type: str = "VibrationRecorded"
    timestamp: str
    source: str
    sensor_location: str
    version: str = "v1.2"
    data: Data
    metadata: Metadata | UnsetType = UNSET
    system_message: str | UnsetType = UNSET


def encode(event: Event, origin: str) -> bytes:
    """Write the event as JSON, with an id derived from `origin` and all of the content.

    So the same event of the same origin has the same id, and no two events with different content share one.
    """
    event_id = uuid5(IDS, f"{origin}\n{msgspec.json.encode(event).decode()}")
    return msgspec.json.encode(msgspec.structs.replace(event, event_id=str(event_id)))


def compare(event: Event, baseline: float) -> Event:
    """Add to the event what a sensor says that knows its own baseline (m/s²)."""
    level = event.data.vibration_level
    data = msgspec.structs.replace(event.data, baseline_vibration_level=baseline, difference=round(level - baseline, 4))
    text = EXCEEDED if level >= REMARKABLE_RATIO * baseline else WITHIN
    return msgspec.structs.replace(event, data=data, system_message=text)
