"""Decoder plugins: what they return is checked as strictly as what sensors say."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import msgspec
from msgspec import Struct

from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.specs import Decode
from gateway.domain.model.events import Message

MAX_READINGS: Final = 10_000
MAX_STATE: Final = 1024 * 1024
"""Bytes that a decoder may keep between messages, in MessagePack."""


class Decoded(Struct, forbid_unknown_fields=True):
    """A reading as a decoder gives it.

    `time` is anything that a message's time may be; without it the receive time counts. `values` has quantities by the
    names of the configuration, the level among them; `units` their units where they are not the canonical ones.
    `samples`, `rate` a second, are a waveform in the level's unit.
    """

    sensor: str
    axis: str | None = None
    time: str | int | float | None = None
    values: dict[str, float] = {}
    units: dict[str, str] = {}
    place: dict[str, str] = {}
    samples: list[float] | None = None
    rate: float | None = None


class DecoderError(Exception):
    """A decoder failed, or returned what is no reading."""


def decoded(name: str, decode: Decode, message: Message, memory: Memory) -> list[Decoded]:
    """Return what a decoder makes of a message, and keep its state. Raises DecoderError."""
    key = f"decoder\x1f{name}"
    state = _state(memory.get(key))
    try:
        found = list(islice(decode(message.topic, message.payload, message.received_ns, state), MAX_READINGS + 1))
        blob = msgspec.msgpack.encode(state)
    except Exception as error:
        raise DecoderError(f"the decoder failed: {type(error).__name__}: {error}"[:300]) from error
    if len(found) > MAX_READINGS:
        raise DecoderError(f"the decoder returned more than {MAX_READINGS} readings")
    if len(blob) > MAX_STATE:
        raise DecoderError(f"the decoder keeps more than {MAX_STATE} bytes between messages")
    readings = [_checked(each) for each in found]
    memory.keep(key, blob)
    return readings


def _state(blob: bytes | None) -> dict[str, Any]:
    return {} if blob is None else msgspec.msgpack.decode(blob, type=dict[str, Any])


def _checked(each: Mapping[str, Any]) -> Decoded:
    try:
        return msgspec.convert(each, Decoded)
    except msgspec.ValidationError as error:
        raise DecoderError(f"the decoder returned what is no reading: {error}") from error
