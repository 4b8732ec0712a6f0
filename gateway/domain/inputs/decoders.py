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
MAX_TEXTS: Final = 33
MAX_TEXT: Final = 128
"""Texts that say where a sensor is and which axis, and the characters of each."""

_STATE: Final = msgspec.msgpack.Decoder(dict[str, Any])


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
    state = memory.read(key, _STATE) or {}
    try:
        found = list(islice(decode(message.topic, message.payload, message.received_ns, state), MAX_READINGS + 1))
        blob = msgspec.msgpack.encode(state)
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # the last two would end the journal's thread
        raise DecoderError(f"the decoder failed: {type(error).__name__}: {_words(error)}"[:300]) from error
    if not all(type(name) is str for name in state):
        raise DecoderError("the decoder keeps something under a name that is no text")
    if len(found) > MAX_READINGS:
        raise DecoderError(f"the decoder returned more than {MAX_READINGS} readings")
    if len(blob) > MAX_STATE:
        raise DecoderError(f"the decoder keeps more than {MAX_STATE} bytes between messages")
    readings = [_checked(each) for each in found]
    memory.keep(key, blob)
    return readings


def _words(error: BaseException) -> str:
    """Return what an exception says, as far as it can be said and stored."""
    try:
        return str(error).encode(errors="replace").decode()
    except Exception:  # noqa: BLE001 - the boundary: the exception is a third party's too
        return "it does not say why"


def _checked(each: Mapping[str, Any]) -> Decoded:
    try:
        reading = msgspec.convert(each, Decoded)
    except Exception as error:  # a mapping of a third party's may raise anything
        raise DecoderError(f"the decoder returned what is no reading: {_words(error)}") from error
    texts = [reading.axis or "", *reading.place, *reading.place.values()]
    if len(texts) > MAX_TEXTS or not all(len(text) <= MAX_TEXT and text.isprintable() for text in texts):
        raise DecoderError(f"axis and place are at most {MAX_TEXTS} printable texts of {MAX_TEXT} characters")
    return reading
