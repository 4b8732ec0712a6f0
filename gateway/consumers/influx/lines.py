"""Line protocol: one point is one line, whatever a sensor's name or a reason holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import msgspec
from msgspec.structs import astuple

from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.inputs.native import data_in, quantities_in
from gateway.domain.model.naming import published_in
from gateway.domain.model.quantities import BY_KEY
from gateway.domain.model.reading import Quantities

_NO_QUANTITIES = Quantities()
_KEYS = tuple(BY_KEY)
_MOST_PREFIXES = 20_000
_NO_PREFIX: tuple[Mapping[str, str], str] = ({}, "")
_APART = 1000
"""ns. Alert facts of one sensor at one time, which sensors name in µs, are this much apart at most: by their `seq`."""

Prefixes = dict[str, tuple[Mapping[str, str], str]]
"""Sensor -> its tags, and how its lines begin with them: to make it is half of a line's cost."""


Row = StoredReading | EventRecord


def to_points(
    readings: Sequence[StoredReading], entries: Sequence[EventRecord], prefixes: Prefixes | None = None
) -> list[tuple[Row, bytes]]:
    """Return each row of a step that is a point, with its line; times in ns. `prefixes` are those of the last step."""
    prefixes = {} if prefixes is None else prefixes
    if len(prefixes) > _MOST_PREFIXES:
        prefixes.clear()
    points: list[tuple[Row, bytes]] = [
        (reading, line) for reading in readings if (line := _reading_line(reading, prefixes))
    ]
    points += [(entry, _alert_line(entry)) for entry in entries if entry.fact.type in ALERT_FACTS]
    return points


def to_lines(
    readings: Sequence[StoredReading], entries: Sequence[EventRecord], prefixes: Prefixes | None = None
) -> list[bytes]:
    """Return the points of a step as line protocol."""
    return [line for _, line in to_points(readings, entries, prefixes)]


def time_of(row: Row) -> int:
    """Return when a row was, in ns since 1970."""
    return row.fact.time_ns if isinstance(row, EventRecord) else row.time_ns


def to_gateway_line(gateway_id: str, labels: Mapping[str, str], values: Mapping[str, float], time_ns: int) -> bytes:
    """Return metrics with the same labels as a point about the gateway itself."""
    fields = ",".join(f"{name}={float(value)!r}" for name, value in values.items())
    return f"gateway{_tags({'gateway': gateway_id, **labels})} {fields} {time_ns}".encode()


def _reading_line(reading: StoredReading, prefixes: Prefixes) -> bytes:
    """Return a reading's point; nothing, where there is no level and the disk has damaged the event."""
    tags, prefix = prefixes.get(reading.sensor_id, _NO_PREFIX)
    if tags is not reading.tags:
        prefix = "vibration" + _tags({"sensor": _published(reading), **reading.tags})
        prefixes[reading.sensor_id] = reading.tags, prefix
    level, baseline = reading.level, reading.baseline
    text = "" if level is None else f"level={level!r}"
    if baseline and level is not None:
        text += _compared(level, baseline)
    try:
        data = quantities_in(reading.body)
    except msgspec.MsgspecError:  # the disk has damaged it; the level stands beside it
        data = _NO_QUANTITIES
    if data != _NO_QUANTITIES:
        for name, value in zip(_KEYS, astuple(data), strict=True):
            if value is not None:
                text += f",{name}={value!r}"
    if level is None:
        text = text[1:]  # the comma
    return f"{prefix} {text} {reading.time_ns}".encode() if text else b""


def _published(reading: StoredReading) -> str:
    """Return the id that a sensor publishes: where it is says the rest of its name, in tags of their own."""
    if published_in(reading.sensor_id) == reading.sensor_id:
        return reading.sensor_id
    try:
        return data_in(reading.body).sensor_id
    except msgspec.MsgspecError:  # the disk has damaged it
        return reading.sensor_id


def _compared(level: float, baseline: float) -> str:
    difference, ratio = level - baseline, level / baseline
    text = f",baseline={baseline!r}" if isfinite(baseline) else ""
    if isfinite(difference):
        text += f",difference={difference:.12g}"  # more digits are none of the sensor's, and take twice as long
    return text + f",ratio={ratio:.12g}" if isfinite(ratio) else text


def _alert_line(entry: EventRecord) -> bytes:
    """Return an alert fact's point. What was at one time is told apart by the kind and, within a µs, by the `seq`.

    For a point is its measurement, tags and time: another one with the same would take its place.
    """
    data, time_ns = entry.fact.data, entry.fact.time_ns
    sensor = data.get("publishedId") or data["sensorId"]
    tags = _tags({"sensor": sensor, **data["tags"], "severity": data["severity"], "kind": data.get("kind", "")})
    time_ns += entry.seq % _APART - time_ns % _APART
    fields = {"state": data["state"], "reason": data["finding"], "alert_id": data["id"]}
    text = ",".join(f'{name}="{_escape_text(value)}"' for name, value in fields.items())
    return f"alert{tags} {text} {time_ns}".encode()


def _tags(tags: Mapping[str, str]) -> str:
    return "".join(f",{_escape_tag(name)}={_escape_tag(value)}" for name, value in sorted(tags.items()) if value)


def _escape_tag(text: str) -> str:
    """Escape what line protocol gives a meaning; a backslash at the end would escape what follows."""
    if text.endswith("\\"):
        text = text[:-1] + "/"
    text = text.replace("\n", " ").replace("\r", " ")
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _escape_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
