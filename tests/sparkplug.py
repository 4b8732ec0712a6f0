"""Sparkplug B payloads, written field by field: also such as no library would write."""

import struct
from typing import NamedTuple

INT16, INT32, INT64, FLOAT, DOUBLE, BOOLEAN, STRING, DATE_TIME, TEMPLATE = 2, 3, 4, 9, 10, 11, 12, 13, 19
INT16_ARRAY, FLOAT_ARRAY = 23, 30


class Float32(NamedTuple):
    number: float


Value = int | float | str | bytes | Float32


def varint(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def field(number: int, value: Value) -> bytes:
    match value:
        case int():
            return varint(number << 3) + varint(value)
        case float():
            return varint(number << 3 | 1) + struct.pack("<d", value)
        case Float32():
            return varint(number << 3 | 5) + struct.pack("<f", value.number)
        case str():
            return field(number, value.encode())
        case _:
            return varint(number << 3 | 2) + varint(len(value)) + value


def properties(**values: str | int) -> bytes:
    keys = b"".join(field(1, key) for key in values)
    told = (
        field(1, INT32) + field(3, value) if isinstance(value, int) else field(8, value) for value in values.values()
    )
    return keys + b"".join(field(2, one) for one in told)


def metric(
    name: str | None = None,
    value: Value | None = None,
    kind: int = 0,
    *,
    alias: int | None = None,
    at: int | None = None,
    more: bytes = b"",
) -> bytes:
    """Write a metric; of the choices of its value the one that this Python type goes to."""
    number = {int: 11, float: 13, Float32: 12, str: 15, bytes: 16, bool: 14}.get(type(value))
    parts: list[tuple[int, Value | None]] = [(1, name), (2, alias), (3, at), (4, kind or None)]
    body = b"".join(field(k, part) for k, part in parts if part is not None)
    return body + (field(number, value) if number and value is not None else b"") + more


def payload(*metrics: bytes, seq: int | None = None, at: int = 1_796_034_600_000) -> bytes:
    return field(1, at) + b"".join(field(2, one) for one in metrics) + (b"" if seq is None else field(3, seq))
