"""In which blocks an id may be: 32 bits of each, those of equal beginning beside each other for 64 blocks at a time.

So an id is looked for in one row for every 262,144 readings, which lie beside each other; in one of some hundred of
these it is taken for another one, and a block is looked at in vain. An entry takes up three bytes.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from sys import byteorder

SEGMENT = 64
"""Blocks whose ids are kept together."""

BUCKETS = 1024
_BUCKET_SHIFT, _REST_SHIFT, _REST = 22, 6, 0xFFFF
_CHECKSUM = 4
_ENTRY = 3


def bucket_of(hashed: int) -> int:
    """Return in which row an id's entry is, by its 32 bits."""
    return hashed >> _BUCKET_SHIFT


def packed_hashes(hashes: Iterable[int]) -> bytes:
    """Return the 32 bits of the ids of a block as bytes, little-endian, with a checksum before them."""
    return _with_checksum(_little(array("I", hashes)))


def hashes_in(packed: bytes) -> array[int] | None:
    """Return what `packed_hashes` was given; None if it is damaged."""
    content = _checked(packed)
    return None if content is None or len(content) % 4 else _array("I", content)


def entries_of(blocks: Sequence[tuple[int, array[int]]]) -> Iterator[tuple[int, bytes]]:
    """Yield (bucket, entries) of the blocks of a segment, given as (number within it, hashes); none is left out."""
    rests: list[array[int]] = [array("H") for _ in range(BUCKETS)]
    places = [bytearray() for _ in range(BUCKETS)]
    for place, hashes in blocks:
        for hashed in hashes:
            bucket = hashed >> _BUCKET_SHIFT
            rests[bucket].append(hashed >> _REST_SHIFT & _REST)
            places[bucket].append(place)
    for bucket in range(BUCKETS):
        yield bucket, _with_checksum(_little(rests[bucket]) + bytes(places[bucket]))


def blocks_in(entries: bytes, hashed: int) -> set[int] | None:
    """Return the blocks, by their place within the segment, where an id may be; None if the entries are damaged."""
    content = _checked(entries)
    if content is None or len(content) % _ENTRY:
        return None
    count = len(content) // _ENTRY
    rests, wanted = _array("H", content[: 2 * count]), hashed >> _REST_SHIFT & _REST
    if wanted not in rests:  # as in nearly all, and much faster than to look at each
        return set()
    return {content[2 * count + place] for place, rest in enumerate(rests) if rest == wanted}


def is_whole(entries: bytes) -> bool:
    """Tell whether entries are as they were written."""
    return _checked(entries) is not None


def _with_checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM, "little") + content


def _checked(packed: bytes) -> bytes | None:
    content = packed[_CHECKSUM:]
    return content if zlib.crc32(content) == int.from_bytes(packed[:_CHECKSUM], "little") else None


def _little(values: array[int]) -> bytes:
    if byteorder == "big":
        values.byteswap()
    return values.tobytes()


def _array(typecode: str, content: bytes) -> array[int]:
    values: array[int] = array(typecode)
    values.frombytes(content)
    if byteorder == "big":
        values.byteswap()
    return values
