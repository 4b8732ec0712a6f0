"""Detector state as bytes: MessagePack by field name, so that a newer program can read what an older one kept."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from sys import intern

import msgspec

from gateway.domain.detection.state import SensorState
from gateway.domain.model.assets import AssetPath
from gateway.domain.model.quantities import vibration_unit

SNAPSHOT_SEQ = "snapshot_seq"
"""The note that says up to where the states in the journal go."""

NEWEST_SEQ = "newest_seq"
"""The note of the newest number given, where what bore it is gone."""

MACHINES = "machines"
"""The note of the machines' operating states, as they were then."""

REGISTRY_SEQ = "registry_seq"
"""The note that says when a sensor was last found to have moved."""


OVER_QUOTA = "over_quota"
"""The note that counts, by the quota, what was over one since the journal was made."""


class KnownSensor(msgspec.Struct, frozen=True):
    """A sensor of the registry; `key` is its number in the journal, `published` the id that it publishes."""

    key: int
    id: str
    tags: dict[str, str]
    unit: str
    location: str
    first_seen_ns: int
    published: str


def decode_tags(encoded: str) -> dict[str, str]:
    """Return a sensor's tags from text, each word one object however many sensors it is said of."""
    return {intern(name): intern(text) for name, text in _TAGS.decode(encoded).items()}


def _encode_hook(value: object) -> object:
    if isinstance(value, array):
        return value.tobytes() if value.typecode == "d" else value.tolist()
    raise NotImplementedError(f"a detector state cannot hold {type(value).__name__}")


def _decode_hook(type_: type, value: object) -> object:
    if isinstance(value, list) and issubclass(type_, array):
        return array("q", value)
    if isinstance(value, bytes) and issubclass(type_, array):
        numbers = array("d")
        numbers.frombytes(value)
        return numbers
    raise NotImplementedError(f"a detector state cannot hold {type_.__name__}")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_hook)
_DECODER = msgspec.msgpack.Decoder(SensorState, dec_hook=_decode_hook)
_TAGS = msgspec.json.Decoder(dict[str, str])


def encode_state(state: SensorState) -> bytes:
    """Return a state as bytes, without its limits: they follow from the baseline and the rules."""
    limits, state.limits = state.limits, None
    try:
        return _ENCODER.encode(state)
    finally:
        state.limits = limits


def decode_state(encoded: bytes | None) -> SensorState:
    """Return a state from bytes; none give the state of a sensor that nothing is known of."""
    if encoded is None:
        return SensorState()
    state = _DECODER.decode(encoded)
    state.unit = _folded(state.unit)
    for waiting in state.waiting:
        waiting.unit = _folded(waiting.unit)
    learning = state.learning
    if learning is not None and len(learning.smoothed) != len(learning.samples) // 2:  # version 0.1 kept none
        learning.smoothed = learning.samples[1::2]
    return state


def _folded(unit: str) -> str:
    """Return a unit as it is spelled now: version 0.1 kept it as the sensor wrote it."""
    found = vibration_unit(unit)
    return intern(found[1].symbol if found else unit)


def decode_counts(encoded: str | None) -> dict[str, int]:
    """Return counts from text; None counts nothing."""
    return msgspec.json.decode(encoded or "{}", type=dict[str, int])


def counted(encoded: str | None, more: Mapping[str, int]) -> str:
    """Return counts from text, with more of them, as text."""
    known = decode_counts(encoded)
    total = {**known, **{name: known.get(name, 0) + count for name, count in more.items()}}
    return msgspec.json.encode(total).decode()


def encode_machines(machines: Mapping[AssetPath, str]) -> str:
    """Return machines' operating states as text."""
    return msgspec.json.encode([[*place, state] for place, state in machines.items()]).decode()


def decode_machines(encoded: str | None) -> dict[AssetPath, str]:
    """Return machines' operating states from text; None knows of none."""
    rows = msgspec.json.decode(encoded or "[]", type=list[tuple[str, str, str, str]])
    return {(site, area, machine): state for site, area, machine, state in rows}
