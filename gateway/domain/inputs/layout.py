"""Bytes with a layout: fields of fixed size, one after the other."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64Error
from struct import Struct as Packed
from typing import Any, Final, Literal

from msgspec import Struct

Encoding = Literal["raw", "base64", "hex"]
Endian = Literal["big", "little"]

MAX_RECORD: Final = 64 * 1024
"""Bytes of a layout."""

_TYPES: Final = {
    "u8": "B", "i8": "b", "u16": "H", "i16": "h", "u32": "I", "i32": "i", "u64": "Q", "i64": "q",
    "f16": "e", "f32": "f", "f64": "d",
}  # fmt: skip
_ODD: Final = {"u24": False, "i24": True}
_FIELD = re.compile(r"([^:{}]+):([uif][0-9]{1,2})(le|be)?")
_SKIPPED = re.compile(r"_:([0-9]{1,5})")
_HEX = re.compile(r"0x|[\s:,-]")
_SIGNS: Final = {"big": ">", "little": "<"}


class Part(Struct, frozen=True):
    """A field of a layout. `signed` is set for those of three bytes, which struct does not know."""

    name: str
    packed: Packed
    offset: int
    signed: bool | None = None
    endian: Endian = "big"

    def value(self, raw: Any) -> Any:
        """Return a number."""
        return raw if self.signed is None else int.from_bytes(raw, self.endian, signed=self.signed)


class Layout:
    """Fields at their places. `size` is that of all of them together."""

    def __init__(self, texts: tuple[str, ...], endian: Endian = "big") -> None:
        self.parts: list[Part] = []
        self.size = 0
        for text in texts:
            self._add(text, endian)
        if not self.parts:
            raise ValueError("a layout needs one field at least, such as x:i16")
        if self.size > MAX_RECORD:
            raise ValueError(f"a layout has at most {MAX_RECORD} bytes")

    def _add(self, text: str, endian: Endian) -> None:
        if skipped := _SKIPPED.fullmatch(text):
            self.size += int(skipped[1])
            return
        found = _FIELD.fullmatch(text)
        if found is None or (found[2] not in _TYPES and found[2] not in _ODD):
            raise ValueError(
                f"{text!r} is no field of a layout: name:type, with a type of {', '.join([*_TYPES, *_ODD])},"
                " or _:n for n bytes that nobody needs"
            )
        order: Endian = {"le": "little", "be": "big"}.get(found[3] or "", endian)  # type: ignore[assignment]
        packed = Packed("3s" if found[2] in _ODD else _SIGNS[order] + _TYPES[found[2]])
        self.parts.append(Part(found[1], packed, self.size, _ODD.get(found[2]), order))
        self.size += packed.size

    def record(self, block: bytes, at: int = 0) -> dict[str, Any]:
        """Return the fields that a block has; those beyond its end are absent."""
        found: dict[str, Any] = {}
        for part in self.parts:
            start = at + part.offset
            if start + part.packed.size <= len(block):
                found[part.name] = part.value(part.packed.unpack_from(block, start)[0])
        return found

    def columns(self, block: bytes) -> dict[str, Any]:
        """Return each field's values in a block of records; what is left over at its end is none."""
        starts = range(0, len(block) - self.size + 1, self.size)
        return {
            part.name: [part.value(part.packed.unpack_from(block, at + part.offset)[0]) for at in starts]
            for part in self.parts
        }


def bytes_of(value: Any, encoding: str) -> bytes | None:
    """Return the bytes that a value stands for, or None. Arrays of numbers and Node.js's Buffers are raw ones too."""
    if isinstance(value, bytes | bytearray):
        value = bytes(value) if encoding == "raw" else value.decode("ascii", "replace")
    if isinstance(value, bytes):
        return value
    if isinstance(value, dict):
        value = value.get("data")
    if isinstance(value, list):
        return _from_numbers(value)
    return _from_text(value, encoding) if isinstance(value, str) else None


def _from_numbers(value: list[Any]) -> bytes | None:
    try:
        return bytes(value)
    except (ValueError, TypeError):
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
