"""A sealed block: some thousand readings by columns, in a few parts that are each known to be whole by a checksum.

Nothing outside a block is needed to read it. An id is not kept beside its body: where it is in there it is cut out, and
where the gateway made it of the content it is made again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from hashlib import sha256
from itertools import repeat
from operator import sub
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from gateway.domain.engine.event_log import ReadingRow
from gateway.domain.model.events import derived_id
from gateway.domain.model.reading import Flag
from gateway.journal.sealed import columns

T = TypeVar("T")

READINGS = 4096
"""In a block, at most."""

MOST_BYTES = 4_000_000
"""A block ends with the reading that makes its bodies larger than this."""

_CHECKSUM = 4
_UUID = 16
_TEXT, _IS_UUID, _OF_CONTENT = range(3)
_REPLACED = int(Flag.CLOCK_REPLACED)


class Head(Struct, frozen=True, array_like=True):
    """What is known of a block without its readings. `number` counts the blocks; times are as a reading's."""

    number: int
    first: int
    last: int
    count: int
    event_low: int
    event_high: int
    time_low: int
    time_high: int
    newest: int
    replaced: int
    sensors: list[int]
    version: int = 1


class Sealed(Struct, frozen=True):
    """A block as the table `sealed` has it, and what its ids come to for finding them again."""

    head: Head
    parts: tuple[bytes, bytes, bytes, bytes]
    hashes: list[int]


class DamagedBlockError(ValueError):
    """A part of a block is not what was written."""


def id_hash(event_id: str) -> int:
    """Return 32 bits of an id."""
    return zlib.crc32(event_id.encode(errors="surrogatepass"))


def seal(number: int, rows: Sequence[ReadingRow]) -> Sealed:
    """Make a block of readings, in the order of their sequence numbers."""
    seqs, events, sensors, ids, times, received, levels, baselines, flags, bodies = zip(*rows, strict=True)
    head = Head(
        number, seqs[0], seqs[-1], len(rows), min(events), max(events), min(times), max(times),
        max(*received, *times), sum(1 for flag in flags if flag & _REPLACED), sorted(set(sensors)),
    )  # fmt: skip
    kinds, places, cut, uuids, texts = _without_ids(ids, bodies)
    measured = [event * 1000 for event in events]
    numbers = [
        columns.pack_integers(seqs),
        columns.pack_integers(events),
        columns.pack_choices(sensors),
        columns.pack_integers(list(map(sub, times, measured)), differences=False),
        columns.pack_integers(list(map(sub, received, measured))),
        columns.pack_numbers(levels),
        columns.pack_numbers(baselines),
        columns.pack_choices(flags),
    ]
    parts = (
        columns.encode(head),
        columns.encode([columns.pack_choices(kinds), columns.pack_fixed(uuids, _UUID), columns.pack_texts(texts)]),
        columns.encode(numbers),
        columns.encode([columns.pack_choices(places), columns.pack_texts(cut)]),
    )
    first, second, third, fourth = map(_with_checksum, parts)
    return Sealed(head, (first, second, third, fourth), list(map(id_hash, ids)))


def _without_ids(
    ids: Sequence[str], bodies: Sequence[bytes]
) -> tuple[list[int], list[int], list[bytes], list[bytes], list[bytes]]:
    """Return for each reading the kind of its id, where in the body it is, the body without it; and the ids by kind."""
    kinds, places, cut, uuids, texts = list[int](), list[int](), list[bytes](), list[bytes](), list[bytes]()
    for event_id, body in zip(ids, bodies, strict=True):
        encoded = event_id.encode()
        place = body.find(encoded) if encoded else -1
        places.append(place)
        cut.append(body if place < 0 else body[:place] + body[place + len(encoded) :])
        raw = _uuid_bytes(event_id)
        if raw is None:
            kinds.append(_TEXT)
            texts.append(encoded)
        elif place < 0 and event_id == _content_id(body):
            kinds.append(_OF_CONTENT)
        else:
            kinds.append(_IS_UUID)
            uuids.append(raw)
    return kinds, places, cut, uuids, texts


def _content_id(body: bytes) -> str:
    return derived_id(sha256(body).hexdigest())


def _uuid_bytes(event_id: str) -> bytes | None:
    """Return a UUID that is spelled as most are, as bytes; None for every other text."""
    if len(event_id) != 36:  # noqa: PLR2004 - the letters of a UUID
        return None
    digits = event_id.replace("-", "")
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        return None
    return raw if len(raw) == _UUID and _spelled(raw.hex()) == event_id else None


def _spelled(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _with_checksum(part: bytes) -> bytes:
    return zlib.crc32(part).to_bytes(_CHECKSUM, "little") + part


def _checked(part: bytes) -> bytes:
    content = part[_CHECKSUM:]
    if zlib.crc32(content) != int.from_bytes(part[:_CHECKSUM], "little"):
        raise DamagedBlockError("its checksum is wrong")
    return content


def index_row(head: Head, size: int) -> tuple[int, ...]:
    """Return a block of so many bytes as the table `sealed_index` has it."""
    number, first, last, count, *times, replaced, _, _ = astuple(head)
    return first, number, last, count, *times, replaced, size


def head_of(part: bytes) -> Head:
    """Return the head of a block. Raises DamagedBlockError."""
    try:
        return msgspec.msgpack.decode(_checked(part), type=Head)
    except msgspec.MsgspecError as error:
        raise DamagedBlockError(f"its head cannot be decoded: {error}") from error


def check(parts: Sequence[bytes]) -> Head:
    """Return the head of a block whose parts are all as they were written. Raises DamagedBlockError."""
    for part in parts[1:]:
        _checked(part)
    return head_of(parts[0])


class Block:
    """The readings of a block; each column is decoded when it is first asked for. All raise DamagedBlockError."""

    def __init__(self, parts: Sequence[bytes]) -> None:
        self.head = head_of(parts[0])
        self._parts = parts

    def _part(self, number: int) -> list[Any]:
        return _decoded(lambda: columns.decode(_checked(self._parts[number])))

    @cached_property
    def _numbers(self) -> list[Any]:
        return self._part(2)

    def _column(self, unpack: Callable[[Any], list[T]], number: int) -> list[T]:
        return _decoded(lambda: unpack(self._numbers[number]))

    @cached_property
    def seqs(self) -> list[int]:
        """The sequence numbers."""
        return self._column(columns.unpack_integers, 0)

    @cached_property
    def events(self) -> list[int]:
        """The times as the sensors gave them, in µs."""
        return self._column(columns.unpack_integers, 1)

    @cached_property
    def sensors(self) -> list[int]:
        """The keys of the sensors."""
        return self._column(columns.unpack_choices, 2)

    @cached_property
    def times(self) -> list[int]:
        """The times that count, in ns."""
        return [
            more + event * 1000
            for more, event in zip(self._column(columns.unpack_integers, 3), self.events, strict=True)
        ]

    @cached_property
    def received(self) -> list[int]:
        """The times of receipt, in ns."""
        return [
            more + event * 1000
            for more, event in zip(self._column(columns.unpack_integers, 4), self.events, strict=True)
        ]

    @cached_property
    def levels(self) -> list[float | None]:
        """The levels."""
        return self._column(columns.unpack_numbers, 5)

    @cached_property
    def baselines(self) -> list[float | None]:
        """What the levels were compared with."""
        return self._column(columns.unpack_numbers, 6)

    @cached_property
    def flags(self) -> list[int]:
        """The flags."""
        return self._column(columns.unpack_choices, 7)

    @cached_property
    def _kept_ids(self) -> tuple[list[int], str, list[bytes]]:
        kinds, uuids, texts = self._part(1)
        ids = _decoded(lambda: columns.unpack_fixed(uuids, _UUID).hex())
        return _decoded(lambda: columns.unpack_choices(kinds)), ids, _decoded(lambda: columns.unpack_texts(texts))

    @cached_property
    def ids(self) -> list[str]:
        """The ids."""
        kinds, uuids, texts = self._kept_ids
        spelled = (_spelled(uuids[place : place + 2 * _UUID]) for place in range(0, len(uuids), 2 * _UUID))
        written = iter(texts)
        made = iter(self._cut[1]) if _OF_CONTENT in kinds else repeat(b"")
        return [
            next(spelled) if kind == _IS_UUID else next(written).decode() if kind == _TEXT else _content_id(body)
            for kind, body in zip(kinds, made, strict=False)
        ]

    @cached_property
    def _cut(self) -> tuple[list[int], list[bytes]]:
        places, cut = self._part(3)
        return _decoded(lambda: (columns.unpack_choices(places), columns.unpack_texts(cut)))

    def body(self, index: int) -> bytes:
        """Return the event of a reading as it was published."""
        places, cut = self._cut
        place, rest = places[index], cut[index]
        return rest if place < 0 else rest[:place] + self.ids[index].encode() + rest[place:]

    def row(self, index: int) -> ReadingRow:
        """Return a reading as the table `readings` had it."""
        return (
            self.seqs[index], self.events[index], self.sensors[index], self.ids[index], self.times[index],
            self.received[index], self.levels[index], self.baselines[index], self.flags[index], self.body(index),
        )  # fmt: skip

    def rows(self) -> Iterator[ReadingRow]:
        """Yield all readings, in the order of their sequence numbers."""
        return map(self.row, range(self.head.count))

    def ids_that_begin(self, text: str) -> set[str]:
        """Return the ids that begin with a text, without making all of them where that can be helped."""
        kinds, uuids, texts = self._kept_ids
        if _OF_CONTENT in kinds:
            return {each for each in self.ids if each.startswith(text)}
        found = {each.decode() for each in texts if each.startswith(text.encode())}
        digits = text.replace("-", "")
        place = uuids.find(digits)
        while place >= 0:
            begin = place - place % (2 * _UUID)
            if begin == place and (spelled := _spelled(uuids[begin : begin + 2 * _UUID])).startswith(text):
                found.add(spelled)
            place = uuids.find(digits, place + 1)
        return found


def _decoded(decode: Callable[[], T]) -> T:
    try:
        return decode()
    except (msgspec.MsgspecError, zlib.error, ValueError, TypeError, IndexError) as error:
        raise DamagedBlockError(f"it cannot be decoded: {error}") from error
