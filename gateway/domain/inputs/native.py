"""Topic + bytes -> VibrationRecorded, or Rejected with a reason. No input raises."""

from __future__ import annotations

import re
from hashlib import sha256

import msgspec
from msgspec import Struct

from gateway.domain.model.events import Rejected, derived_id
from gateway.domain.model.quantities import BY_WIRE
from gateway.domain.model.reading import ACCELERATION, Quantities, ReadingData, VibrationRecorded, complete, values_of

EVENT = msgspec.json.Decoder(VibrationRecorded)


class _Measured(Struct, gc=False):
    data: ReadingData


class _Numbers(Struct, gc=False):
    data: Quantities


_MEASURED, _NUMBERS = msgspec.json.Decoder(_Measured), msgspec.json.Decoder(_Numbers)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder(msgspec.Raw)

CONSUMER_REFUSED = "consumer_refused"

REASONS = {
    "empty": "the message has no payload",
    "not_json": "the payload is not JSON in UTF-8",
    "too_deep": "the payload is nested too deeply",
    "too_many": "an array with more than 10,000 elements, or with more than 100 bad ones",
    "too_large": "an event of more than 256 kB; or a message of more than 8 MB, of which only the beginning is kept",
    "invalid": "a required field is missing, a field has the wrong type or range, or nothing was measured",
    "unknown_type": "the event type is not VibrationRecorded",
    "bad_id": "an id is empty, too long or has control characters",
    "topic_mismatch": "the sensor in the topic is another one than in the event, or no template fits the topic",
    "not_understood": "no input reads such a message, or none of the paths that one looks at is in it",
    "decoder_failed": "a decoder plugin failed, or what it returned is no reading",
    CONSUMER_REFUSED: "a consumer, named as the topic, does not take this row of the journal, which is stored",
    "influxdb_refused": "as consumer_refused, written before there was that: it cannot be replayed",
    "over_quota": "a sensor, or a machine that says how it runs, is a new one more than the quotas allow",
    "id_conflict": "a reading of this sensor with the same id and time, but other content, is stored already",
}
"""Every reason for a dead letter, and what it means."""

MAX_ID = 128
MAX_ELEMENTS = 10_000
MAX_BAD_ELEMENTS = 100
MAX_BYTES = 256 * 1024
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""Of a whole payload: 10,000 elements of 800 bytes. To find out how many elements an array has takes up to 35 times its
size in memory."""

KEPT_BYTES = 64 * 1024
"""Of a larger payload: enough to see who sent what."""

MARGIN = 200
"""Python's stack bounds how deeply a payload may be nested. Where a stored one is read again, the stack may be fuller
by as much as this."""

SHALLOW = 4 * MARGIN
"""Bytes that cannot be nested deeply enough for that to matter: each level has a bracket at both ends."""

_NOTHING = (None,) * len(BY_WIRE)
_MEASURES_NOTHING = f"data has neither vibrationLevel nor one of the quantities {', '.join(BY_WIRE)}"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SPACE = b" \t\r\n"
_BACKSLASH, _DELETE = b"\\\x7f"  # as numbers: to look for one is 30 times as fast as to look for a byte string

Decoded = tuple[VibrationRecorded, bytes]
"""The event and the bytes it was read from."""


def data_in(body: bytes) -> ReadingData:
    """Return what a stored event says was measured, in half of the time that it takes whole. Raises MsgspecError."""
    return _MEASURED.decode(body).data


def quantities_in(body: bytes) -> Quantities:
    """Return the quantities of a stored event beside its level, and nothing else. Raises as `data_in`."""
    return _NUMBERS.decode(body).data


def decode_event(body: bytes) -> VibrationRecorded:
    """Return the event in a body, its units spelled in one way.

    Raises msgspec.MsgspecError for one that is damaged, msgspec.ValidationError if nothing was measured.
    """
    event = EVENT.decode(body)
    _fold(event.data)
    return event


def _fold(data: ReadingData) -> None:
    complete(data)
    if data.vibration_level is None and values_of(data) == _NOTHING:
        raise msgspec.ValidationError(_MEASURES_NOTHING)


def decode(payload: bytes, tags: dict[str, str] | None) -> list[Decoded | Rejected]:
    """Return what `payload`, published on a topic that captured `tags`, holds: events and dead letters, in order."""
    if rejected := too_large(payload):
        return [rejected]
    if tags is None:
        return [Rejected("topic_mismatch", "no template of mqtt.topics fits this topic", payload)]
    if payload.startswith(b"{") or payload.lstrip(_SPACE)[:1] != b"[":  # nearly all begin so
        return [_element(payload, tags, None)]
    elements = _elements(payload)
    if isinstance(elements, Rejected):
        return [elements]
    found: list[Decoded | Rejected] = []
    bad = 0
    for index, element in enumerate(elements):
        item = _element(bytes(element), tags, index)
        bad += isinstance(item, Rejected)
        if bad <= MAX_BAD_ELEMENTS or not isinstance(item, Rejected):
            found.append(item)
    if bad > MAX_BAD_ELEMENTS:
        found.append(Rejected("too_many", f"{bad} bad elements; the first {MAX_BAD_ELEMENTS} are kept apart", payload))
    return found


def too_large(payload: bytes) -> Rejected | None:
    """Return the dead letter that a payload becomes because of its size alone, before anything reads it."""
    return None if len(payload) <= MAX_MESSAGE_BYTES else beginning_of(payload, len(payload))


def beginning_of(payload: bytes, size: int) -> Rejected:
    """Return the dead letter of a payload of `size` bytes, of which at least the beginning is there."""
    detail = f"{size} bytes; at most {MAX_MESSAGE_BYTES} make a message; only the first {KEPT_BYTES} are kept"
    return Rejected("too_large", detail, payload[:KEPT_BYTES])


def _elements(payload: bytes) -> list[msgspec.Raw] | Rejected:
    try:
        elements = _ARRAY.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejected("not_json", str(error), payload)
    except RecursionError:
        return Rejected("too_deep", REASONS["too_deep"], payload)
    if not elements:
        return Rejected("empty", "an array without elements", payload)
    if len(elements) > MAX_ELEMENTS:
        return Rejected("too_many", f"{len(elements)} elements; at most {MAX_ELEMENTS} come in one message", payload)
    return elements


def _element(body: bytes, tags: dict[str, str], index: int | None) -> Decoded | Rejected:
    try:
        event = EVENT.decode(body)
        data = event.data
        if data.unit != ACCELERATION or data.vibration_level is None or data.sensor_unit is not None:
            _fold(data)
        if len(body) > SHALLOW:
            _leave_margin(body)
    except msgspec.ValidationError as error:
        return Rejected("invalid", str(error), body, index)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not body.strip(_SPACE):
            return Rejected("empty", REASONS["empty"], body, index)
        return Rejected("not_json", str(error), body, index)
    except RecursionError:
        return Rejected("too_deep", REASONS["too_deep"], body, index)
    if problem := _problem(event, tags, body):
        return Rejected(*problem, body, index)
    if event.correlation_id is not None:  # what is shown again and again is bounded; the body keeps it whole
        event.correlation_id = event.correlation_id[:MAX_ID]
    if event.event_id is None:
        event.event_id = derived_id(sha256(body).hexdigest())
    return event, body


def _leave_margin(body: bytes) -> None:
    """Raise RecursionError if `body`, which is JSON, is nested almost too deeply."""
    if body.count(b"[") + body.count(b"{") > MARGIN:
        _ANY.decode(b"[" * MARGIN + body + b"]" * MARGIN)


def _problem(event: VibrationRecorded, tags: dict[str, str], body: bytes) -> tuple[str, str] | None:
    """Return reason and detail if the event, read from `body`, is well-formed but not acceptable.

    To look at every character of an id takes longer than to look for what can make one that is not printable: in JSON,
    an escape, DEL, or what is not ASCII.
    """
    sensor, event_id = event.data.sensor_id, event.event_id
    plain = _BACKSLASH not in body and _DELETE not in body
    if event.event_type != "VibrationRecorded":
        return "unknown_type", f"eventType is {event.event_type[:MAX_ID]!r}"
    if not 0 < len(sensor) <= MAX_ID or not ((plain and sensor.isascii()) or sensor.isprintable()):
        return "bad_id", f"data.sensorId must be 1 to {MAX_ID} printable characters"
    if event_id is not None and (
        not 0 < len(event_id) <= MAX_ID or (not (plain and event_id.isascii()) and _CONTROL.search(event_id))
    ):
        return "bad_id", f"eventId must be 1 to {MAX_ID} characters, none of them a control character"
    if tags.get("sensor", sensor) != sensor:
        return "topic_mismatch", f"the topic's sensor is {tags['sensor']!r}, data.sensorId is {sensor!r}"
    if len(body) > MAX_BYTES:
        return "too_large", f"{len(body)} bytes; at most {MAX_BYTES} make an event"
    return None
