"""Blocks of samples: out of arrays, bytes and texts, in one message or in parts; and what their shape is."""

from __future__ import annotations

import sys
from array import array
from math import fsum, isfinite, sqrt
from typing import Any, Final

from msgspec import Struct, msgpack

from gateway.domain.inputs.layout import bytes_of
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.numbers import LARGEST, number
from gateway.domain.inputs.paths import ABSENT, Path, find
from gateway.domain.inputs.wording import text_of

MAX_SAMPLES: Final = 1_000_000
MAX_PARTS: Final = 1000
MAX_CAPTURES: Final = 100
"""Captures of an input that wait for a part; the one begun first is given up when there are more."""
SMALLEST_BLOCK: Final = 2

SAMPLE_TYPES: Final = {"i8": "b", "u8": "B", "i16": "h", "u16": "H", "i32": "i", "u32": "I", "f32": "f", "f64": "d"}
ENCODINGS: Final = ("raw", "base64", "hex")


class Parts(Struct, frozen=True):
    """What says which part of which block a message is."""

    id: Path
    index: Path
    count: Path


class WaveformSpec(Struct, frozen=True):
    """Where samples are. `packing` is raw, base64 or hex, `sample` a type such as i16le; else they are numbers."""

    samples: Path
    packing: str = ""
    sample: str = ""
    rate: float | Path | None = None
    interval: float | Path | None = None
    scale: float | Path = 1.0
    unit: str | None = None
    unit_path: Path | None = None
    parts: Parts | None = None

    def of_axis(self, axis: str) -> Path:
        """Return the path of an axis's samples."""
        return tuple(name.replace("{axis}", axis) for name in self.samples)


_encode = msgpack.Encoder().encode
_PART = msgpack.Decoder(tuple[int, bytes])
_WAITING = msgpack.Decoder(dict[str, dict[int, int]])


class NoWaveformError(ValueError):
    """Samples that make no block, and why."""


def encoding_of(text: str) -> tuple[str, str]:
    """Split an encoding such as base64+i16le or i16le. Raises ValueError."""
    packing, plus, sample = text.rpartition("+")
    packing = packing if plus else "raw"
    if packing not in ENCODINGS or sample[:-2] not in SAMPLE_TYPES or sample[-2:] not in ("le", "be"):
        if sample not in ("i8", "u8") or packing not in ENCODINGS:
            types = ", ".join(SAMPLE_TYPES)
            raise ValueError(
                f"{text!r} is no encoding: base64+i16le, hex+f32be or i16le, with a type of {types} and le or be"
            )
        sample += "le"
    return packing, sample


def samples_of(spec: WaveformSpec, value: Any) -> array[float]:
    """Return the samples that a message has, as they are. Raises NoWaveformError."""
    if not spec.sample:
        return _numbers(value)
    block = bytes_of(value, spec.packing)
    kind = SAMPLE_TYPES[spec.sample[:-2]]
    if block is None or not block or len(block) % array(kind).itemsize:
        raise NoWaveformError(f"the samples are not {spec.packing} of whole {spec.sample}")
    if len(block) // array(kind).itemsize > MAX_SAMPLES:
        raise NoWaveformError(f"more than {MAX_SAMPLES} samples")
    unpacked = array(kind, block)
    if (sys.byteorder == "little") != spec.sample.endswith("le"):
        unpacked.byteswap()
    return finite(array("f", unpacked))


def _numbers(value: Any) -> array[float]:
    if type(value) is not list:
        raise NoWaveformError("the samples are no array of numbers")
    if len(value) > MAX_SAMPLES:
        raise NoWaveformError(f"more than {MAX_SAMPLES} samples")
    numbers = [number(each) for each in value]
    if None in numbers:
        raise NoWaveformError(f"sample {numbers.index(None)} is no number")
    return finite(array("f", [each for each in numbers if each is not None]))


def finite(samples: array[float]) -> array[float]:
    """Return samples all of which are finite. Raises NoWaveformError."""
    try:
        is_finite = isfinite(fsum(samples))
    except (ValueError, OverflowError):  # infinite ones of either sign
        is_finite = False
    if not is_finite:
        raise NoWaveformError("a sample is no finite number")
    return samples


def setting(value: float | Path | None, element: Any) -> float | None:
    """Return a number that is configured, or that the message has under a path."""
    return number(find(element, value)) if isinstance(value, tuple) else value


def factor_of(spec: WaveformSpec, element: Any) -> float:
    """Return the scale of samples. Raises NoWaveformError."""
    factor = setting(spec.scale, element)
    if factor is None:
        raise NoWaveformError("the message does not say their scale")
    return factor


def rate_of(spec: WaveformSpec, element: Any) -> float:
    """Return the samples a second. Raises NoWaveformError."""
    rate, interval = setting(spec.rate, element), setting(spec.interval, element)
    if rate is None and interval:
        rate = 1 / interval
    if rate is None or not 0 < rate < LARGEST:
        raise NoWaveformError("neither rate nor interval says how fast the samples were taken")
    return rate


def scaled(samples: array[float], factor: float, offset: float = 0.0) -> array[float]:
    """Return samples in another unit. Raises NoWaveformError where that is no number any more."""
    if factor == 1 and not offset:
        return samples
    try:
        return finite(array("f", [sample * factor + offset for sample in samples]))
    except OverflowError:
        raise NoWaveformError("a sample is no finite number") from None


class Part(Struct):
    """A part of a block, by its number, and how many there are."""

    capture: str
    index: int
    count: int
    time_us: int
    samples: array[float]


def part_of(spec: Parts, element: Any, samples: array[float], time_us: int) -> Part:
    """Return which part of which block a message is. Raises NoWaveformError."""
    capture = text_of(find(element, spec.id))
    index, count = (number(find(element, path)) for path in (spec.index, spec.count))
    if not capture or index is None or count is None or not 1 <= count <= MAX_PARTS or not 0 <= index <= count:
        raise NoWaveformError("id, index and count do not say which part of which block this is")
    return Part(capture, int(index), int(count), time_us, samples)


class Assembly:
    """The blocks of a sensor that wait for a part. Parts are counted from 0 or from 1."""

    def __init__(self, memory: Memory, key: str) -> None:
        self._memory = memory
        self._key = key
        self._waiting: dict[str, dict[int, int]] = memory.read(key, _WAITING) or {}

    def add(self, part: Part) -> tuple[array[float], int] | None:
        """Keep a part; return the block and its newest time when none is missing. Raises NoWaveformError."""
        sizes = self._waiting.setdefault(part.capture, {})
        sizes[part.index] = len(part.samples)
        self._memory.keep(self._name(part.capture, part.index), _encode((part.time_us, part.samples.tobytes())))
        complete = any(all(at in sizes for at in range(first, part.count + first)) for first in (0, 1))
        parts = [self._memory.read(self._name(part.capture, at), _PART) for at in sorted(sizes)] if complete else []
        if complete:
            self._forget(part.capture)
        elif sum(sizes.values()) > MAX_SAMPLES or len(self._waiting) > MAX_CAPTURES:
            self._forget(next(iter(self._waiting)))
        self._memory.keep(self._key, _encode(self._waiting))
        return _joined(parts) if complete else None

    def _name(self, capture: str, index: int) -> str:
        return f"{self._key}\x1f{capture}\x1f{index}"

    def _forget(self, capture: str) -> None:
        for index in self._waiting.pop(capture, {}):
            self._memory.drop(self._name(capture, index))


def _joined(parts: list[tuple[int, bytes] | None]) -> tuple[array[float], int]:
    kept = [part for part in parts if part is not None]
    block = b"".join(samples for _, samples in kept)
    whole: array[float] = array("f")
    if len(kept) < len(parts) or len(block) % whole.itemsize:
        raise NoWaveformError("a part was given up for newer ones, or damaged, before the last one came")
    whole.frombytes(block)
    return finite(whole), max(time for time, _ in kept)


def features(samples: array[float]) -> dict[str, float]:
    """Return RMS, peak, crest factor and Pearson's kurtosis of a block without its mean.

    A block that does not move has an RMS and a peak of 0, and no shape.
    """
    count = len(samples)
    if count < SMALLEST_BLOCK:
        return {}
    mean = fsum(samples) / count
    squares = [(sample - mean) * (sample - mean) for sample in samples]
    variance = fsum(squares) / count
    peak = sqrt(max(squares))
    found = {"rms": sqrt(variance), "peak": peak}
    fourth = variance * variance
    if fourth > 0:
        found["crestFactor"] = peak / found["rms"]
        found["kurtosis"] = fsum([square * square for square in squares]) / count / fourth
    return found


def part_paths(spec: WaveformSpec) -> list[Path]:
    """Return the paths of everything but the samples."""
    settings = [each for each in (spec.rate, spec.interval, spec.scale, spec.unit_path) if isinstance(each, tuple)]
    return settings + ([spec.parts.id, spec.parts.index, spec.parts.count] if spec.parts else [])


def has_samples(spec: WaveformSpec, element: Any, axis: str) -> bool:
    """Tell whether a message has samples of an axis."""
    return find(element, spec.of_axis(axis)) is not ABSENT
