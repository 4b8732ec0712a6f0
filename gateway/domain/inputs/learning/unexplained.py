"""Bytes that nothing heard explains: a table with their frame, in which somebody names what the manual says.

Nothing is read with it before that: a number in the wrong place would be a false reading.
"""

from __future__ import annotations

import base64
import binascii
from math import isfinite
from struct import iter_unpack
from typing import Any, Final

from gateway.domain.inputs.learning import topic_levels as levels
from gateway.domain.inputs.learning.identity import guessed_time
from gateway.domain.inputs.learning.leaves import Leaves
from gateway.domain.inputs.learning.proposal import Proposal
from gateway.domain.inputs.paths import Path

FEWEST, MOST = 4, 512
"""Bytes of one record."""
FEWEST_RECORDS: Final = 4
SAMPLED: Final = 50
"""Records that are compared."""
_ALIKE: Final = 0.3
_NEARLY: Final = 0.9

_CARRIERS: Final = (
    "data",
    "frmpayload",
    "payload",
    "payloadhex",
    "raw",
    "rawdata",
    "bytes",
    "hex",
    "pdin",
    "pdi",
    "processdata",
    "buffer",
)
_PORTS: Final = ("fport", "port")
_READ: Final = (3, 4)
"""Modbus: the functions that read registers."""
_FRAME: Final = 5
"""Bytes of an answer beside its registers: slave, function, count, and two of the checksum."""
_PLAUSIBLE: Final = (1e-6, 1e7)

_NOTES: Final = (
    "Nothing that was heard explains these bytes, and nothing is read before somebody does: in layout, put the names",
    "ax, ay, az, vx, vy, vz, t (and others as they are) where your manual says they are; then mend units and scales.",
)
_FIELDS: Final = {"level": ["a{axis}", "g"], "velocity_rms": ["v{axis}", "mm/s"], "temperature": ["t", "°C"]}


def of_carrier(leaves: Leaves, received_us: int) -> Proposal | None:
    """Return the frame for bytes that a message carries as base64 or hex, under a name that says so."""
    for path, values in leaves.items():
        encoding, block = _decoded(values[0]) if _is_carrier(path) else ("", b"")
        if FEWEST <= len(block) <= MOST:
            one = Proposal([], notes=list(_NOTES), axes=["x", "y", "z"], time=guessed_time(leaves, received_us))
            one.binary = {"from": path, "encoding": encoding, "layout": _words(len(block))}
            one.inline = dict(_FIELDS)
            one.where = {
                port: [each[0]] for port, each in leaves.items() if port[-1].casefold().replace("_", "") in _PORTS
            }
            return one
    return None


def _is_carrier(path: Path) -> bool:
    return path[-1].casefold().replace("_", "") in _CARRIERS


def _decoded(value: Any) -> tuple[str, bytes]:
    """Return how bytes are written, and the bytes; hex goes before base64, which it looks like too."""
    if not isinstance(value, str) or len(value) > 2 * MOST:
        return "", b""
    try:
        return "hex", bytes.fromhex(value.removeprefix("0x"))
    except ValueError:
        pass
    try:
        return "base64", base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return "", b""


def of_payload(topics: list[str], payload: bytes) -> Proposal | None:
    """Return the frame for payloads that are bytes: an answer of Modbus RTU, records, or words of 16 bits."""
    encoding, block = _decoded(payload.decode("latin-1").strip())
    text = payload.isascii() and payload.decode().strip().isprintable()
    if encoding == "hex":
        payload = block
    if len(payload) < FEWEST or (text and encoding != "hex"):
        return None
    pattern = levels.skeleton(topics[0])
    sensor = levels.sensor_level(pattern, topics, set())
    topic, _ = levels.template(pattern, topics, sensor)
    one = Proposal([topic], "binary", notes=list(_NOTES), axes=["x", "y", "z"], inline=dict(_FIELDS))
    one.sensor = "" if sensor is not None else levels.telling_level(topics[0])
    if is_modbus(payload):
        one.binary = {"layout": ["slave:u8", "function:u8", "count:u8", *_words(len(payload) - _FRAME), "_:2"]}
        one.sensor = f"{one.sensor or '{sensor}'}/{{slave}}"
    elif size := record_size(payload):
        endian, layout = _of_records(payload, size)
        one.binary = {"repeat": True, "endian": endian, "layout": layout}
        one.waveform = {"samples": ("a{axis}",), "rate": 1000, "unit": "g"}
        one.inline = {"temperature": ["t.0", "°C"]}
        one.notes.append("The rate is not in the message either: put your sensor's samples a second.")
    elif len(payload) <= MOST:
        one.binary = {"layout": _words(len(payload))}
    else:
        return None
    one.binary |= {"encoding": "hex"} if encoding == "hex" else {}
    return one


def _words(size: int) -> list[str]:
    return [f"w{at + 1}:i16" for at in range(size // 2)] + ["_:1"] * (size % 2)


def is_modbus(payload: bytes) -> bool:
    """Tell whether bytes are a slave's answer to a request for registers, by their count and their checksum."""
    if len(payload) <= _FRAME or payload[1] not in _READ or payload[2] != len(payload) - _FRAME:
        return False
    crc = 0xFFFF
    for byte in payload[:-2]:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc == int.from_bytes(payload[-2:], "little")


def record_size(payload: bytes) -> int:
    """Return how many bytes a record has: in the shortest one whose bytes are mostly those of the next. 0: none."""
    alike = {
        size: _likeness(payload, size)
        for size in range(FEWEST, min(MOST, len(payload) // FEWEST_RECORDS) + 1)
        if len(payload) % size == 0
    }
    best = max(alike.values(), default=0.0)
    return next((size for size, each in alike.items() if each > _ALIKE and each >= _NEARLY * best), 0)


def _likeness(payload: bytes, size: int) -> float:
    sample = payload[: size * SAMPLED]
    return sum(a == b for a, b in zip(sample, sample[size:], strict=False)) / (len(sample) - size)


def _of_records(payload: bytes, size: int) -> tuple[str, list[str]]:
    """Return the byte order that makes more words plausible numbers, and the layout in it."""
    if size % 4:
        return "little", _words(size)
    of_endian = {
        endian: [_is_real(payload, size, at, sign) for at in range(0, size, 4)]
        for endian, sign in (("little", "<"), ("big", ">"))
    }
    endian = max(of_endian, key=lambda each: sum(of_endian[each]))
    return endian, [f"w{at + 1}:{'f32' if real else 'u32'}" for at, real in enumerate(of_endian[endian])]


def _is_real(payload: bytes, size: int, at: int, sign: str) -> bool:
    words = (payload[start + at : start + at + 4] for start in range(0, min(len(payload), size * SAMPLED), size))
    numbers = [number for word in words for (number,) in iter_unpack(f"{sign}f", word)]
    return all(isfinite(each) and (each == 0 or _PLAUSIBLE[0] < abs(each) < _PLAUSIBLE[1]) for each in numbers)
