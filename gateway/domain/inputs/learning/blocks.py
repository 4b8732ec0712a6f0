"""Blocks of samples in a message, and columns of values: where they are, how fast they came, what they are in."""

from __future__ import annotations

import re
import struct
from statistics import fmean
from typing import Any, Final

from gateway.domain.inputs.layout import bytes_of
from gateway.domain.inputs.learning.leaves import Leaves
from gateway.domain.inputs.learning.names import meaning_of, word_set, words_of
from gateway.domain.inputs.learning.quantities import Guess, is_unit_name, number_in
from gateway.domain.inputs.paths import Path
from gateway.domain.model.quantities import vibration_unit

FEWEST_SAMPLES: Final = 16
FEWEST_CHARACTERS: Final = 64
"""Of samples as base64 or hex."""
MOST_COLUMNS: Final = 1000
SMALLEST: Final = 1e-9
LARGEST: Final = 1e9
MOST: Final = 0.8
"""Of samples as floats: how small and how large they are, and the share of those that are neither zero nor noise."""

_SPECTRAL: Final = word_set(
    "fft spectrum spectra spectral amps amplitudes freq frequency frequencies bins magnitude psd"
)
_RATES: Final = (
    "sr",
    "fs",
    "rate",
    "samplerate",
    "samplingrate",
    "odr",
    "samplefrequency",
    "samplingfrequency",
    "hz",
    "ratehz",
)
_INTERVALS: Final = (
    "samplinginterval",
    "sampleinterval",
    "interval",
    "spacing",
    "dt",
    "deltat",
    "sampleperiod",
    "period",
    "step",
)
_SCALES: Final = ("scale", "factor", "lsb", "resolution", "sensitivity", "multiplier")
_CAPTURES: Final = (
    "captureid",
    "blockid",
    "frameid",
    "measurementid",
    "sessionid",
    "bid",
    "id",
    "capture",
    "cap",
    "block",
    "frame",
)
_INDEXES: Final = ("chunkindex", "partindex", "chunk", "part", "idx", "index", "segment", "packet", "seq", "i")
_COUNTS: Final = (
    "totalchunks",
    "chunks",
    "parts",
    "totalparts",
    "count",
    "total",
    "segments",
    "numchunks",
    "chunkcount",
    "n",
)
_TYPES: Final = {
    "int16": "i16",
    "i16": "i16",
    "short": "i16",
    "int32": "i32",
    "i32": "i32",
    "float32": "f32",
    "f32": "f32",
    "float": "f32",
    "int8": "i8",
}
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]+={0,2}")
_HEX = re.compile(r"[0-9A-Fa-f\s]+")


def guessed_waveform(leaves: Leaves) -> tuple[dict[str, Any], list[str], list[str]] | None:
    """Return how a block is read, its axes, and remarks; None where there is none."""
    blocks = {path: values for path, values in leaves.items() if is_block(path, values[0])}
    if not blocks:
        return None
    template, axes = _template(list(blocks))
    first = next(iter(blocks.values()))[0]
    found: dict[str, Any] = {"samples": template}
    notes: list[str] = []
    if isinstance(first, str):
        found["encoding"] = _encoding(first, leaves)
    found |= _speed(leaves, notes)
    if scale := _named(leaves, _SCALES):
        found["scale"] = scale
    found["unit"] = _unit(leaves, blocks)
    parts = {
        "id": _named(leaves, _CAPTURES, texts=True),
        "index": _named(leaves, _INDEXES),
        "count": _named(leaves, _COUNTS),
    }
    if all(parts.values()):
        found["parts"] = parts
    return found, axes, notes


def is_block(path: Path, value: Any) -> bool:
    """Tell whether a value is a block of samples in time."""
    if any(word.text in _SPECTRAL for word in words_of(path)):
        return False
    if isinstance(value, list):
        return len(value) >= FEWEST_SAMPLES and all(number_in(each) is not None for each in value[:FEWEST_SAMPLES])
    if not isinstance(value, str) or len(value) < FEWEST_CHARACTERS:
        return False
    return bool(_BASE64.fullmatch(value)) and " " not in value.strip()


def _template(paths: list[Path]) -> tuple[Path, list[str]]:
    """Return the path with {axis} in it, if the blocks differ in that, and the axes; else that of the first block."""
    found: dict[Path, list[str]] = {}
    for path in paths:
        meaning = meaning_of(path) or meaning_of(path[-1:])
        if meaning is not None and meaning.axis:
            template = meaning.template if len(meaning.template) == len(path) else (*path[:-1], *meaning.template)
            found.setdefault(template, []).append(meaning.axis)
    if not found:
        return paths[0], []
    return max(found.items(), key=lambda each: len(each[1]))


def _encoding(value: str, leaves: Leaves) -> str:
    packing = "hex" if _HEX.fullmatch(value) else "base64"
    said = (str(value).casefold() for values in leaves.values() for value in values[:1] if isinstance(value, str))
    sample = next(
        (
            _TYPES[text.removesuffix("_le").removesuffix("le")]
            for text in said
            if text.removesuffix("_le").removesuffix("le") in _TYPES
        ),
        "f32" if _is_floats(value, packing) else "i16",
    )
    return f"{packing}+{sample}" + ("le" if sample != "i8" else "")


def _is_floats(value: str, packing: str) -> bool:
    """Tell whether samples are floats of 32 bits: whole numbers read as such are no numbers, or next to nothing."""
    block = bytes_of(value, packing) or b""
    floats = [abs(found) for (found,) in struct.iter_unpack("<f", block[: len(block) // 4 * 4])]
    usual = sum(SMALLEST < found < LARGEST for found in floats)
    return all(found < LARGEST for found in floats) and usual > MOST * len(floats)


def _speed(leaves: Leaves, notes: list[str]) -> dict[str, Any]:
    if rate := _named(leaves, _RATES):
        return {"rate": rate}
    if interval := _named(leaves, _INTERVALS):
        return {"interval": interval}
    notes.append("The message does not say how many samples a second there are: put your sensor's rate here.")
    return {"rate": 1000}


def _named(leaves: Leaves, names: tuple[str, ...], *, texts: bool = False) -> Path | None:
    """Return the path of a number that has one of these names, the most telling name first."""
    folded = {re.sub(r"[^a-z]", "", path[-1].casefold()): path for path in reversed(leaves)}
    for name in names:
        if (path := folded.get(name)) and (texts or number_in(leaves[path][0]) is not None):
            return path
    return None


def _unit(leaves: Leaves, blocks: Leaves) -> str:
    for path, values in leaves.items():
        if is_unit_name(path[-1]) and isinstance(values[0], str) and vibration_unit(values[0]):
            return "@" + ".".join(path)
    for path, values in blocks.items():
        meaning = meaning_of(path)
        if meaning is not None and meaning.unit:
            return meaning.unit
        numbers = (
            [number for each in values[0] if (number := number_in(each)) is not None]
            if isinstance(values[0], list)
            else []
        )
        if numbers and 8.8 < abs(fmean(numbers)) < 11.3:  # noqa: PLR2004 - gravity lies in this axis
            return "m/s²"
    return "g"


def guessed_columns(leaves: Leaves) -> tuple[Path, Leaves] | None:
    """Return the step between the readings of columns, and the leaves with the first value of each column."""
    step = _named(leaves, _INTERVALS)
    if step is None:
        return None
    found: Leaves = {}
    for path, values in leaves.items():
        column = values[0]
        if isinstance(column, list) and 1 < len(column) <= MOST_COLUMNS and number_in(column[0]) is not None:
            found[path] = [column[0]]
        elif not isinstance(column, list):
            found[path] = values
    return step, found


def has_columns(best: dict[str, Guess], leaves: Leaves) -> bool:
    """Tell whether a level or a velocity is a column."""
    return any(
        isinstance(leaves.get(best[role].path, [0])[0], list) for role in ("level", "velocity_rms") if role in best
    )
