"""Inputs made of a few lines of TOML, and what they make of messages."""

import json
import tomllib
from typing import Any

from gateway.config.to_inputs import compiled
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.results import Outcome, Reading
from gateway.domain.inputs.specs import Decode
from gateway.domain.inputs.waveform_reading import with_features
from gateway.domain.model.events import Message

RECEIVED_NS = 1_796_034_700_000_000_000  # 2026-11-30T10:31:40Z
RECEIVED_US = RECEIVED_NS // 1000
G = 9.80665


def family(toml: str, decoders: dict[str, Decode] | None = None) -> Family:
    """Return the inputs of a configuration; a text without tables is the content of one."""
    problems: list[str] = []
    text = toml if "[[inputs]]" in toml else f"[[inputs]]\n{toml}"
    specs = compiled(tomllib.loads(text)["inputs"], lambda name: (decoders or {})[name], problems)
    assert problems == []
    return Family(specs)


def message(topic: str, payload: Any) -> Message:
    if isinstance(payload, str):
        payload = payload.encode()
    return Message(topic, payload if isinstance(payload, bytes) else json.dumps(payload).encode(), RECEIVED_NS)


def outcome(toml: str, topic: str, payload: Any, memory: Memory | None = None) -> Outcome:
    return family(toml).read(message(topic, payload), Memory() if memory is None else memory)


def readings(toml: str, topic: str, payload: Any) -> list[Reading]:
    """Return the readings of one message, which has to be understood without a remark."""
    out = outcome(toml, topic, payload)
    assert not out.rejected, out.rejected
    assert not out.notes
    return with_features(out)


def reading(toml: str, topic: str, payload: Any) -> Reading:
    (found,) = readings(toml, topic, payload)
    return found


def brief(found: list[Reading]) -> Any:  # it is compared with approximate numbers
    return [(each.sensor, each.level, each.quantities) for each in found]
