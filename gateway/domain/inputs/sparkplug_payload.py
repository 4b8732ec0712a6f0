"""Sparkplug B payloads: a protocol buffer as it is on the wire -> what was sent.

The schema is that of the Eclipse Sparkplug 3.0 specification, chapter 6, as far as a host needs it. It is read from the
wire format itself: a field is a number, a wire type and a value.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import islice
from math import isfinite
from struct import Struct, calcsize, iter_unpack
from typing import Any, Final, Literal

import msgspec

MAX_BYTES: Final = 2 * 1024 * 1024
"""Of a payload, unpacked: a birth of 10,000 metrics with their properties has half as many."""
MAX_METRICS: Final = 10_000
"""Of one payload, members of templates and cells of data sets with them."""
MAX_DEPTH: Final = 4
"""Templates within templates."""
MAX_NAME: Final = 512
"""Characters of a metric's name."""
MAX_PROPERTIES: Final = 100

Raw = int | bytes
Choice = Literal["int", "long", "float", "double", "boolean", "string", "bytes"]
Schema = dict[int, tuple[str, type]]
"""The number of a field -> its name, and `int` for a varint or `bytes` for anything else."""


def _choices(first: int, *others: str) -> Schema:
    """Return the fields of a choice of values, of which the first has this number; the order is the same in all."""
    names = ("int", "long", "float", "double", "boolean", "string", *others)
    return {first + k: (name, int if name in ("int", "long", "boolean") else bytes) for k, name in enumerate(names)}


_PAYLOAD: Final[Schema] = {
    1: ("timestamp", int),
    2: ("metric", bytes),
    3: ("seq", int),
    4: ("uuid", bytes),
    5: ("body", bytes),
}
_METRIC: Final[Schema] = {
    1: ("name", bytes),
    2: ("alias", int),
    3: ("timestamp", int),
    4: ("datatype", int),
    5: ("is_historical", int),
    6: ("is_transient", int),
    7: ("is_null", int),
    9: ("properties", bytes),
    **_choices(10, "bytes", "dataset", "template"),
}
_PROPERTIES: Final[Schema] = {1: ("key", bytes), 2: ("value", bytes)}
_PROPERTY: Final[Schema] = {1: ("datatype", int), 2: ("is_null", int), **_choices(3)}
_TEMPLATE: Final[Schema] = {2: ("metric", bytes), 3: ("parameter", bytes), 5: ("is_definition", int)}
_PARAMETER: Final[Schema] = {1: ("name", bytes), 2: ("datatype", int), **_choices(3)}
_DATA_SET: Final[Schema] = {2: ("column", bytes), 3: ("datatype", int), 4: ("row", bytes)}
_ROW: Final[Schema] = {1: ("element", bytes)}
_ELEMENT: Final[Schema] = _choices(1)

_BOOLEAN, _DATE_TIME = 11, 13
_SIGNED: Final = {1: 8, 2: 16, 3: 32, 4: 64}
_UNSIGNED: Final = {5: 8, 6: 16, 7: 32, 8: 64, _DATE_TIME: 64}
_REAL: Final = (9, 10)
_ARRAYS: Final = {22 + k: f"<{layout}" for k, layout in enumerate("bhiqBHIQfd")}
"""The data types by their numbers: bits of integers, and layouts of the elements of arrays."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MORE = 0x80
"""The bit of a varint's byte that says that another one follows."""
_LONGEST_VARINT = 10
_FLOATS: Final = {"float": Struct("<f"), "double": Struct("<d")}
_COMPRESSED: Final = "SPBV1.0_COMPRESSED"
_UNITS: Final = ("engunit", "unit", "units")
_QUALITIES: Final = {192: "good", 0: "bad", 500: "stale"}
_EITHER_HEADER = 47
"""zlib's window for deflate and for gzip."""


class MalformedError(ValueError):
    """A payload that is no Sparkplug B, or that has more in it than is read. The text says what and where."""


class Sent(msgspec.Struct):
    """A metric as it was sent; what is left out stands in its birth. `time` is in epoch milliseconds.

    `value` is the choice and what stood there; None where the sender has no value. A template and a data set have
    `members` instead: its metrics or its cells. `unit` and `quality` ("good", "bad", "stale") are properties.
    """

    name: str = ""
    alias: int | None = None
    kind: int = 0
    value: tuple[str, Raw] | None = None
    members: list[Sent] | None = None
    time: int | None = None
    unit: str = ""
    quality: str = "good"
    historical: bool = False
    transient: bool = False


class Payload(msgspec.Struct):
    """A whole payload. `unread` counts the rows of data sets that have no time to tell them apart."""

    time: int | None = None
    seq: int | None = None
    metrics: list[Sent] = []
    unread: int = 0


def read(data: bytes) -> Payload:
    """Return what a payload holds. Raises MalformedError."""
    return _Reading().payload(data)


def number_of(kind: int, sent: tuple[str, Raw] | None) -> Any:
    """Return a value as its data type says: int, float, bool, str, bytes or a list of numbers. None: it has none.

    Signed numbers come as the unsigned ones of their two's complement, in 32 bits or, from some libraries, in 64. A
    number of no known type is taken as it stands.
    """
    if sent is None:
        return None
    choice, raw = sent
    if isinstance(raw, int):
        return raw != 0 if choice == "boolean" or kind == _BOOLEAN else _integer(kind, raw)
    if layout := _FLOATS.get(choice):
        number = layout.unpack(raw)[0] if len(raw) == layout.size else None
        return number if number is not None and isfinite(number) else None
    return _array(kind, raw) if choice == "bytes" else raw.decode(errors="replace")


def _integer(kind: int, raw: int) -> float:
    if bits := _SIGNED.get(kind):
        raw &= (1 << bits) - 1
        return raw - (1 << bits) if raw >> (bits - 1) else raw
    if bits := _UNSIGNED.get(kind):
        return raw & ((1 << bits) - 1)
    return float(raw) if kind in _REAL else raw


def _array(kind: int, raw: bytes) -> bytes | list[float]:
    """Return the elements of an array of numbers, without an incomplete last one; of another type the bytes."""
    if layout := _ARRAYS.get(kind):
        return [element for (element,) in iter_unpack(layout, raw[: len(raw) - len(raw) % calcsize(layout)])]
    return raw


def _fields(data: bytes, schema: Schema) -> Iterator[tuple[str, Any]]:
    """Iterate over name and value of the fields that the schema has. Raises MalformedError.

    A field of another wire type than the schema says is an unknown one to every reader of protocol buffers.
    """
    at, end = 0, len(data)
    while at < end:
        key, at = (data[at], at + 1) if data[at] < _MORE else _varint(data, at)
        wire = key & 7
        value: Raw
        if wire == _VARINT:
            value, at = _varint(data, at)
        else:
            size, at = _size(data, at, wire)
            if size > end - at:
                raise MalformedError(f"cut off: {size} bytes were to follow byte {at}, and {end - at} do")
            value = data[at : at + size]
            at += size
        known = schema.get(key >> 3)
        if known is not None and isinstance(value, known[1]):
            yield known[0], value


def _size(data: bytes, at: int, wire: int) -> tuple[int, int]:
    if wire == _BYTES:
        return _varint(data, at)
    if wire in (_FIXED64, _FIXED32):
        return (8 if wire == _FIXED64 else 4), at
    raise MalformedError(f"a field of wire type {wire} before byte {at}: Sparkplug B has none")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at `at`, of 64 bits at most, and where it ends."""
    if at < len(data) and data[at] < _MORE:
        return data[at], at + 1
    result = shift = 0
    for position in range(at, min(at + _LONGEST_VARINT, len(data))):
        byte = data[position]
        if byte < _MORE:
            return (result | byte << shift) & 0xFFFF_FFFF_FFFF_FFFF, position + 1
        result |= (byte ^ _MORE) << shift
        shift += 7
    raise MalformedError(f"no number ends after byte {at}")


class _Reading:
    """The reading of one payload: how many metrics it has given so far, and what was left out."""

    def __init__(self) -> None:
        self._metrics = 0
        self._unread = 0

    def payload(self, data: bytes, *, unpacked: bool = False) -> Payload:
        if len(data) > MAX_BYTES:
            raise MalformedError(f"{len(data)} bytes; at most {MAX_BYTES} make a Sparkplug payload")
        facts: dict[str, Any] = {}
        metrics: list[Sent] = []
        for name, value in _fields(data, _PAYLOAD):
            if name == "metric":
                metrics.append(self._metric(value, 0))
            else:
                facts[name] = value
        if facts.get("uuid") == _COMPRESSED.encode() and not unpacked:
            inner = self.payload(_unpack(facts.get("body", b"")), unpacked=True)
            facts = {"timestamp": inner.time, "seq": inner.seq} | facts
            metrics += inner.metrics
        return Payload(facts.get("timestamp"), facts.get("seq"), metrics, self._unread)

    def _count(self) -> None:
        self._metrics += 1
        if self._metrics > MAX_METRICS:
            raise MalformedError(f"more than {MAX_METRICS} metrics in one message")

    def _metric(self, data: bytes, depth: int) -> Sent:
        self._count()
        sent, null = Sent(), False
        for name, value in _fields(data, _METRIC):
            match name:
                case "template":
                    sent.members = self._template(value, depth + 1)
                case "dataset":
                    sent.members = self._data_set(value)
                case "properties":
                    _note_properties(sent, value)
                case "is_null":
                    null = value != 0
                case _:
                    _note(sent, name, value)
        if null:
            sent.value = sent.members = None
        return sent

    def _template(self, data: bytes, depth: int) -> list[Sent]:
        """Return metrics and parameters of a template's instance; of a definition, which has no values, none."""
        if depth > MAX_DEPTH:
            raise MalformedError(f"templates within templates, more than {MAX_DEPTH} deep")
        members: list[Sent] = []
        for name, value in _fields(data, _TEMPLATE):
            if name == "is_definition" and value:
                return []
            if name == "metric":
                members.append(self._metric(value, depth))
            elif name == "parameter":
                members.append(self._parameter(value))
        return members

    def _parameter(self, data: bytes) -> Sent:
        self._count()
        sent = Sent()
        for name, value in _fields(data, _PARAMETER):
            _note(sent, name, value)
        return sent

    def _data_set(self, data: bytes) -> list[Sent]:
        """Return each cell as a metric that is named after its column, at the time of the first date in its row."""
        found: dict[str, list[Any]] = {"column": [], "datatype": [], "row": []}
        for name, value in _fields(data, _DATA_SET):
            found[name].append(value)
        if len(found["row"]) > 1 and _DATE_TIME not in found["datatype"]:
            self._unread += len(found["row"])
            return []
        columns = [_text(name) for name in found["column"]]
        return [sent for row in found["row"] for sent in self._row(row, columns, found["datatype"])]

    def _row(self, data: bytes, columns: list[str], kinds: list[int]) -> list[Sent]:
        elements = (next(_fields(value, _ELEMENT), None) for _, value in _fields(data, _ROW))
        sent: list[Sent] = []
        for name, kind, element in zip(columns, kinds, elements, strict=False):
            self._count()
            sent.append(Sent(name, kind=kind, value=element))
        time = next((number_of(one.kind, one.value) for one in sent if one.kind == _DATE_TIME), None)
        for one in sent:
            one.time = time
        return sent


def _note(sent: Sent, name: str, value: Any) -> None:
    """Take in a field that is as simple as it looks."""
    match name:
        case "name":
            sent.name = _text(value)
        case "alias":
            sent.alias = value
        case "timestamp":
            sent.time = value
        case "datatype":
            sent.kind = value
        case "is_historical":
            sent.historical = value != 0
        case "is_transient":
            sent.transient = value != 0
        case _:
            sent.value = name, value


def _note_properties(sent: Sent, data: bytes) -> None:
    """Take the unit and the quality from a property set: its keys and its values are two lists."""
    found: dict[str, list[bytes]] = {"key": [], "value": []}
    for name, value in islice(_fields(data, _PROPERTIES), 2 * MAX_PROPERTIES):
        found[name].append(value)
    for key, value in zip(found["key"], found["value"], strict=False):
        name = _text(key).casefold()
        if name in _UNITS:
            unit = _property(value)
            sent.unit = unit if isinstance(unit, str) else sent.unit
        elif name == "quality":
            quality = _property(value)
            sent.quality = _QUALITIES.get(quality, "bad") if isinstance(quality, int) else sent.quality


def _property(data: bytes) -> Any:
    one = Sent()
    for name, value in _fields(data, _PROPERTY):
        if name == "is_null" and value:
            return None
        _note(one, name, value)
    return number_of(one.kind, one.value)


def _text(data: bytes) -> str:
    return data[: 4 * MAX_NAME].decode(errors="replace")[:MAX_NAME]


def _unpack(body: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=_EITHER_HEADER)
    try:
        data = unpacking.decompress(body, MAX_BYTES)
    except zlib.error as error:
        raise MalformedError(f"the compressed body cannot be unpacked: {error}") from error
    if not unpacking.eof:
        raise MalformedError(f"the compressed body is cut off, or has more than {MAX_BYTES} bytes")
    return data
