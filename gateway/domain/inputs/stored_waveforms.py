"""A block of samples as the journal has it: what is known of it in JSON, and the samples beside that."""

from __future__ import annotations

import sys
from array import array

import msgspec
from msgspec.structs import asdict

from gateway.domain.inputs.results import Block, Waveform
from gateway.domain.inputs.waveforms import finite

_DECODER = msgspec.json.Decoder(Block)


def to_row(wave: Waveform) -> tuple[bytes, bytes]:
    """Return what is known of a waveform, and its samples as little-endian 32-bit floats."""
    about = {name: getattr(wave, name) for name in Block.__struct_fields__}
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
