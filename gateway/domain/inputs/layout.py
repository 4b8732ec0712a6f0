"""Bytes with a layout: fields of fixed size in bytes or bits, one after the other."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64Error
from struct import Struct as Packed
from typing import Any, Final, Literal

from msgspec import Struct

Encoding = Literal["raw", "base64", "hex", "registers"]
Endian = Literal["big", "little"]

MAX_RECORD: Final = 64 * 1024
"""Bytes of a layout."""

_TYPES: Final = {
    "u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q",
    "f16": "e", "f32": "f", "f64": "d",
}  # fmt: skip
_BITS: Final = 8
MAX_BITS: Final = 64
"""Of a whole number."""
_REGISTER: Final = 2
"""Bytes of a Modbus register."""
_FIELD = re.compile(r"([^:{}]+):([uif][0-9]{1,2})(le|be)?")
_SKIPPED = re.compile(r"_:(u?)([0-9]{1,5})")
_HEX = re.compile(r"0x|[\s:,-]")
_SIGNS: Final = {"big": ">", "little": "<"}


class Part(Struct, frozen=True):
    """A field of a layout. `bits` is set for one that struct does not know: so many, `shift` above the lowest."""

    name: str
    packed: Packed
    offset: int
    bits: int = 0
    shift: int = 0
    is_signed: bool = False
    endian: Endian = "big"

    def value(self, raw: Any) -> Any:
        """Return a number."""
        if not self.bits:
            return raw
        found = int.from_bytes(raw, self.endian) >> self.shift & (1 << self.bits) - 1
        return found - (1 << self.bits) if self.is_signed and found >> self.bits - 1 else found


class Layout:
    """Fields at their places. `size` is that of all of them together, in bytes.

    Fields of bits follow one another from the highest bit of a byte on in big endian, from the lowest in little endian.
    """

    def __init__(self, texts: tuple[str, ...], endian: Endian = "big") -> None:
        self.parts: list[Part] = []
        self._bits = 0
        for text in texts:
            self._add(text, endian)
        self.size, rest = divmod(self._bits, _BITS)
        if rest:
            raise ValueError(f"the layout ends within a byte: _:u{_BITS - rest} is what is left of it")
        if not self.parts:
            raise ValueError("a layout needs one field at least, such as x:i16")
        if self.size > MAX_RECORD:
            raise ValueError(f"a layout has at most {MAX_RECORD} bytes")

    def _add(self, text: str, endian: Endian) -> None:
        if skipped := _SKIPPED.fullmatch(text):
            self._bits += int(skipped[2]) * (1 if skipped[1] else _BITS)
            return
        found = _FIELD.fullmatch(text)
        bits = int(found[2][1:]) if found else 0
        if found is None or (found[2] not in _TYPES and (found[2][0] == "f" or not 1 <= bits <= MAX_BITS)):
            raise ValueError(
                f"{text!r} is no field of a layout: name:type, with a type of {', '.join(_TYPES)},"
                " u or i with another number of bits, or _:n for n bytes that nobody needs"
            )
        order: Endian = {"le": "little", "be": "big"}.get(found[3] or "", endian)  # type: ignore[assignment]
        self.parts.append(self._part(found[1], found[2], bits, order))
        self._bits += bits

    def _part(self, name: str, kind: str, bits: int, order: Endian) -> Part:
        offset, before = divmod(self._bits, _BITS)
        if not before and kind in _TYPES:
            return Part(name, Packed(_SIGNS[order] + _TYPES[kind]), offset)
        if kind[0] == "f":
            raise ValueError(f"{name}:{kind} begins within a byte, which a float cannot")
        size, rest = divmod(before + bits + _BITS - 1, _BITS)
        shift = before if order == "little" else _BITS - 1 - rest
        return Part(name, Packed(f"{size}s"), offset, bits, shift, kind[0] == "i", order)

    def record(self, block: bytes, at: int = 0) -> dict[str, Any]:
        """Return the fields that a block has; those beyond its end are absent."""
        found: dict[str, Any] = {}
        for part in self.parts:
            start = at + part.offset
            if start + part.packed.size <= len(block):
                found[part.name] = part.value(part.packed.unpack_from(block, start)[0])
        return found

    def records(self, block: bytes, at: int) -> list[dict[str, Any]]:
        """Return the records that follow from a place on; what is left over at the end is none."""
        return [self.record(block, start) for start in range(at, len(block) - self.size + 1, self.size)]

    def columns(self, block: bytes, at: int = 0) -> dict[str, Any]:
        """Return each field's values in a block of records; what is left over at its end is none."""
        starts = range(at, len(block) - self.size + 1, self.size)
        return {
            part.name: [part.value(part.packed.unpack_from(block, start + part.offset)[0]) for start in starts]
            for part in self.parts
        }


def bytes_of(value: Any, encoding: str, endian: Endian = "big") -> bytes | None:
    """Return the bytes that a value stands for, or None. Arrays of numbers and Node.js's Buffers are raw ones too.

    Registers are Modbus's, an array of 16-bit numbers; a value of several has its high word first in big endian.
    """
    if isinstance(value, bytes | bytearray):
        value = bytes(value) if encoding == "raw" else value.decode("ascii", "replace")
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        value = value.get("data")
    if isinstance(value, list):
        return _from_registers(value, endian) if encoding == "registers" else _from_numbers(value)
    return _from_text(value, encoding) if isinstance(value, str) else None


def _from_numbers(value: list[Any]) -> bytes | None:
    try:
        return bytes(value)
    except (ValueError, TypeError):
        return None


def _from_registers(value: list[Any], endian: Endian) -> bytes | None:
    try:
        return b"".join((each & 0xFFFF if each < 0 else each).to_bytes(_REGISTER, endian) for each in value)
    except (OverflowError, TypeError, AttributeError):
        return None


def _from_text(text: str, encoding: str) -> bytes | None:
    try:
        if encoding == "hex":
            return bytes.fromhex(_HEX.sub("", text))
        if encoding == "base64":
            plain = "".join(text.split()).rstrip("=").translate(str.maketrans("-_", "+/"))
            return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (ValueError, NotBase64Error):
        return None
    return None
