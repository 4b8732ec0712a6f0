"""A block of samples as the journal has it: what is known of it in JSON, and the samples beside that."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from gateway.domain.inputs.results import TimeFrom, Waveform
from gateway.domain.inputs.waveforms import finite


class _About(Struct):
    """Everything of a waveform but its samples."""

    input: str
    sensor: str
    source: str
    axis: str | None
    place: Mapping[str, str]
    time_us: int
    time_from: TimeFrom
    rate: float
    unit: str
    sensor_unit: str
    values: dict[str, float]
    event_id: str


_DECODER = msgspec.json.Decoder(_About)


def to_row(wave: Waveform) -> tuple[bytes, bytes]:
    """Return what is known of a waveform, and its samples as little-endian 32-bit floats."""
    about = {name: value for name, value in asdict(wave).items() if name != "samples"}
    return msgspec.json.encode(about), _little(wave.samples).tobytes()


def from_row(about: bytes, samples: bytes) -> Waveform:
    """Return the waveform of a row. Raises msgspec.DecodeError or ValueError for one that the disk has damaged."""
    block = array("f")
    block.frombytes(samples)
    return Waveform(**asdict(_DECODER.decode(about)), samples=finite(_little(block)))


def _little(samples: array[float]) -> array[float]:
    if sys.byteorder == "little":
        return samples
    turned = samples[:]
    turned.byteswap()
    return turned
