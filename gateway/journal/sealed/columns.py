"""Columns of a block as bytes: integers as differences, numbers as decimals, what repeats as a choice among few."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from sys import byteorder
from typing import Any

import msgspec

_LEVEL = 6
"""Of zlib: 20 bytes for the seed's event where zstd's 3 comes to 19, and it is there on every device."""

_MOST_CHOICES = 255
_DECIMALS = tuple(10**digits for digits in range(7))
_RAW, _DIFFERENCES = "raw", "differences"

Packed = list[Any]
"""A column as MessagePack has it: how it is packed, and the parts that this needs."""


def pack_integers(values: Sequence[int], *, differences: bool = True) -> Packed:
    """Return 64-bit integers as bytes; neighbours that are near to each other take up little."""
    if differences and values:
        try:
            return [_DIFFERENCES, values[0], _planes([_folded(after - before) for before, after in pairwise(values)])]
        except OverflowError:
            pass
    return [_RAW, 0, _planes([_folded(value) for value in values])]


def unpack_integers(packed: Packed) -> list[int]:
    """Return what `pack_integers` was given."""
    how, first, planes = packed
    values = [(value >> 1) ^ -(value & 1) for value in _from_planes(planes)]
    return list(accumulate(values, initial=first)) if how == _DIFFERENCES else values


def _folded(value: int) -> int:
    """Return a number without a sign that is small where this one is near zero."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def pack_choices(values: Sequence[Any]) -> Packed:
    """Return values of which few are different as these few and a number for each."""
    choices = list(dict.fromkeys(values))
    place = {choice: number for number, choice in enumerate(choices)}
    numbers = array("B" if len(choices) <= _MOST_CHOICES else "I", map(place.__getitem__, values))
    return [choices, numbers.typecode, zlib.compress(_little(numbers), _LEVEL)]


def unpack_choices(packed: Packed) -> list[Any]:
    """Return what `pack_choices` was given."""
    choices, typecode, compressed = packed
    return [choices[number] for number in _array(typecode, zlib.decompress(compressed))]


def pack_numbers(values: Sequence[float | None]) -> Packed:
    """Return floats or None, exactly: as choices, as decimals of a few digits, or as they are."""
    different = set(values)
    if len(different) <= _MOST_CHOICES:
        return ["choices", *pack_choices(values)]
    missing = [place for place, value in enumerate(values) if value is None] if None in different else []
    numbers = [0.0 if value is None else value for value in values] if missing else list(values)
    for scale in _DECIMALS:
        try:
            scaled = [round(value * scale) for value in numbers]
            if [value / scale for value in scaled] == numbers:
                return ["decimals", missing, scale, *pack_integers(scaled, differences=False)]
        except (OverflowError, ValueError):  # infinite, or too large
            break
    whole = _little(array("d", numbers))
    return ["floats", missing, zlib.compress(b"".join(whole[place::8] for place in range(8)), _LEVEL)]


def unpack_numbers(packed: Packed) -> list[float | None]:
    """Return what `pack_numbers` was given."""
    how, *parts = packed
    if how == "choices":
        return unpack_choices(parts)
    values: list[float | None]
    if how == "decimals":
        scale = parts[1]
        values = [value / scale for value in unpack_integers(parts[2:])]
    else:
        values = list(_array("d", _woven(zlib.decompress(parts[1]), 8)))
    for place in parts[0]:
        values[place] = None
    return values


def pack_texts(texts: Sequence[bytes]) -> Packed:
    """Return byte strings of any length, compressed together: each is shown by what differs from those before it."""
    return [pack_integers([len(text) for text in texts]), zlib.compress(b"".join(texts), _LEVEL)]


def unpack_texts(packed: Packed) -> list[bytes]:
    """Return what `pack_texts` was given."""
    lengths, compressed = packed
    whole = zlib.decompress(compressed)
    ends = list(accumulate(unpack_integers(lengths), initial=0))
    return [whole[start:end] for start, end in pairwise(ends)]


def pack_fixed(texts: Sequence[bytes], size: int) -> bytes:
    """Return byte strings of one length, compressed by their places: what all have in common takes up nothing."""
    whole = b"".join(texts)
    return zlib.compress(b"".join(whole[place::size] for place in range(size)), _LEVEL)


def unpack_fixed(packed: bytes, size: int) -> bytes:
    """Return what `pack_fixed` was given, joined."""
    return bytes(_woven(zlib.decompress(packed), size))


def _planes(values: Sequence[int]) -> bytes:
    return pack_fixed([_little(array("Q", values))], 8)


def _from_planes(packed: bytes) -> array[int]:
    return _array("Q", unpack_fixed(packed, 8))


def _woven(planes: bytes, size: int) -> bytearray:
    woven, count = bytearray(len(planes)), len(planes) // size
    for place in range(size):
        woven[place::size] = planes[place * count : (place + 1) * count]
    return woven


def _little(values: array[Any]) -> bytes:
    if byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _array(typecode: str, content: bytes | bytearray) -> array[Any]:
    values: array[Any] = array(typecode)
    values.frombytes(content)
    if byteorder == "big":
        values.byteswap()
    return values


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list).decode
