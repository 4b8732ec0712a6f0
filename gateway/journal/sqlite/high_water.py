"""How far the journal had come, kept beside it: SQLite forgets a damaged end of its write-ahead log without a word.

The mark is written after each commit and not synced: it survives whatever ends the process, and after a power cut it
may be half a minute old. It never says more than what was committed, so it never raises a false alarm.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.journal.sqlite.read_errors import descriptor_of

_SIZE = 256
"""Bytes of the file, always the same, so that it is overwritten as a whole."""

_INDEX_HEADER = struct.Struct("=16xII8x8s")
"""Of SQLite's wal-index (https://sqlite.org/walformat.html): the frames of the log, the pages, its salts."""
_BACKFILLED = struct.Struct("=I")
_BACKFILLED_AT = 96
_NONE = bytes(8).hex()
"""The salts where SQLite could not make use of a log."""


class Mark(Struct, frozen=True):
    """`seq` is the newest entry; of the write-ahead log: salts, frames, and how many of these are in the file, too."""

    seq: int = 0
    schema: int = 0
    salts: str = ""
    frames: int = 0
    backfilled: int = 0


class HighWater:
    """The mark of one journal, which is open. `before` is what an earlier process has left.

    The wal-index is read through SQLite's own descriptor: to open and close it would end SQLite's locks on it.
    """

    def __init__(self, path: Path, schema: int) -> None:
        self.before = _read(_file(path))
        self._path, self._schema = path, schema
        self._file = os.open(_file(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._index = descriptor_of(f"{path.resolve()}-shm")

    def lost(self, seq: int) -> str | None:
        """Return what is missing of a journal that has just been opened and whose newest entry is `seq`, or None."""
        before = self.before
        if before.seq > seq:
            return (
                f"the journal lacks its newest {before.seq - seq} entries ({seq + 1} to {before.seq}): the write-ahead"
                " log was damaged or removed, or an older copy was put in its place; the readings and alerts in them"
                " are lost"
            )
        if before.schema != self._schema or before.frames <= before.backfilled or not self._log_size():
            return None
        now = self._now(seq)
        if now.salts not in {before.salts, _NONE}:  # another program has begun the log anew
            return None
        pages = before.frames - (now.frames if now.salts == before.salts else 0)
        if pages <= 0:
            return None
        return (
            f"the write-ahead log of the journal was damaged, and its newest {pages} pages are lost: no entry is among"
            " them, but messages may go out once more"
        )

    def note(self, seq: int) -> None:
        """Keep how far the journal has come; call it after each commit. A full disk, or none, is told elsewhere."""
        content = msgspec.json.encode(self._now(seq))
        line = content + b" " + f"{zlib.crc32(content):08x}".encode()
        with suppress(OSError):
            os.pwrite(self._file, line.ljust(_SIZE), 0)

    def close(self) -> None:
        """Let go of the mark's file."""
        os.close(self._file)

    def _now(self, seq: int) -> Mark:
        if self._index is None:
            return Mark(seq, self._schema)
        header = os.pread(self._index, _BACKFILLED_AT + _BACKFILLED.size, 0)
        frames, _, salts = _INDEX_HEADER.unpack_from(header)
        return Mark(seq, self._schema, salts.hex(), frames, *_BACKFILLED.unpack_from(header, _BACKFILLED_AT))

    def _log_size(self) -> int:
        try:
            return self._path.with_name(f"{self._path.name}-wal").stat().st_size
        except OSError:
            return 0


def _file(path: Path) -> Path:
    return path.with_name(f"{path.name}.mark")


def _read(file: Path) -> Mark:
    """Return a mark; one that cannot be read says nothing."""
    with suppress(OSError, msgspec.MsgspecError, ValueError):
        content, _, checksum = file.read_bytes().strip().rpartition(b" ")
        if zlib.crc32(content) == int(checksum, 16):
            return msgspec.json.decode(content, type=Mark)
    return Mark()
