"""Payloads of any format -> objects, arrays, texts and numbers. What cannot be read raises UnreadableError, no more."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.domain.inputs.text_formats import csv_lines, line_protocol, pairs, python_literal, value

FORMATS: Final = ("json", "cbor", "msgpack", "line", "csv", "value", "pairs", "python", "sparkplug", "binary")
LINEWISE: Final = ("line", "csv", "pairs")
"""Formats whose messages are arrays of readings by themselves; `where` is then what each has to hold to."""

MAX_BYTES: Final = 4 * 1024 * 1024
"""Of a payload that is read as a whole, unpacked: as objects it takes up to 35 times its size in memory."""
MAX_ZIPPED: Final = 2
"""Times that a payload may be packed into itself."""
DEEPEST: Final = 100

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's number for gzip with its largest window
_PADDING = b" \t\r\n\0"
_BOM = b"\xef\xbb\xbf"
_SURROGATE = "\\ud"  # what the escape of one begins with


class UnreadableError(Exception):
    """A payload that is not what it should be. `reason` is one of the reasons for a dead letter."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(detail)


def unzipped(payload: bytes) -> bytes:
    """Return a payload without its packing. Raises UnreadableError."""
    zipped = 0
    while payload.startswith(_GZIP) and zipped < MAX_ZIPPED:
        payload = _unzip(payload)
        zipped += 1
    if len(payload) > MAX_BYTES:
        raise UnreadableError("too_large", f"more than {MAX_BYTES} bytes, unpacked")
    return payload


def _unzip(payload: bytes) -> bytes:
    try:
        found = zlib.decompressobj(_GZIP_WINDOW).decompress(payload, MAX_BYTES + 1)
    except zlib.error as error:
        raise UnreadableError("not_understood", f"begins like gzip, and is none: {error}") from None
    return found


def read(format_: str, payload: bytes, columns: tuple[str, ...] = ()) -> Any:
    """Return what a payload holds. Raises UnreadableError."""
    try:
        if format_ == "csv":
            return csv_lines(_text(payload), columns)
        return _READERS[format_](payload)
    except RecursionError:
        raise UnreadableError("too_deep", "the payload is nested too deeply") from None
    except UnreadableError:
        raise
    except (ValueError, msgspec.MsgspecError) as error:
        raise UnreadableError("not_understood", f"is not {format_}: {_brief(error)}") from None


def _brief(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _text(payload: bytes) -> str:
    return payload.removeprefix(_BOM).strip(_PADDING).decode("utf-8", "replace")


_any_json = msgspec.json.Decoder().decode
_any_lines = msgspec.json.Decoder().decode_lines


def _json(payload: bytes) -> Any:
    try:
        return _any_json(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return _lenient_json(payload, error)


def _lenient_json(payload: bytes, error: Exception) -> Any:
    """Return what many senders call JSON: with NaN, numbers beyond any float, a zero byte, or an object a line."""
    text = _text(payload)
    if not text:
        raise UnreadableError("empty", "the message has no payload")
    if not text.startswith(("{", "[", '"')):
        raise UnreadableError("not_json", f"the payload is not JSON in UTF-8: {_brief(error)}")
    try:
        return _loaded(text)
    except ValueError:
        pass
    try:
        return [_loaded(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        raise UnreadableError("not_json", f"the payload is not JSON in UTF-8: {_brief(error)}") from None


def _loaded(text: str) -> Any:
    """Return what a text holds, with "?" for halves of surrogate pairs, which nothing that stores texts can encode."""
    found = json.loads(text)
    if _SURROGATE not in text.lower():
        return found
    return json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))


def _msgpack(payload: bytes) -> Any:
    return msgspec.msgpack.decode(payload, strict=False)


def _cbor(payload: bytes) -> Any:
    import cbor2  # noqa: PLC0415 - only where an input says so

    try:
        return cbor2.loads(payload, max_depth=DEEPEST, str_errors="replace")
    except (cbor2.CBORError, ArithmeticError, TypeError, MemoryError) as error:
        raise UnreadableError("not_understood", f"is not cbor: {_brief(error)}") from None


def _raw(payload: bytes) -> Any:
    return payload


_READERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "json": _json,
    "cbor": _cbor,
    "msgpack": _msgpack,
    "line": lambda payload: line_protocol(_text(payload)),
    "value": lambda payload: value(_text(payload)),
    "pairs": lambda payload: pairs(_text(payload)),
    "python": lambda payload: _any_json(python_literal(_text(payload))),
    "binary": _raw,
}
