"""Who did what over HTTP, from where: an append-only chain of lines, each with the SHA-256 of the one before."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

log = structlog.get_logger(__name__)

FILE_NAME, OLDER = "audit.log", "audit.log.1"
LARGEST_FILE = 8_000_000
"""Bytes. With more a new file begins, and the one before takes the place of the older one: some 60,000 entries."""

_LONGEST = 300  # characters of any text from outside
_FIRST = "0" * 64


class Entry(Struct, frozen=True):
    """One thing that somebody did, or was refused; `before` is the SHA-256 of the line before it."""

    seq: int
    at: str
    who: str
    how: str
    address: str
    did: str
    status: int
    before: str


_DECODER = msgspec.json.Decoder(Entry)


class Audit:
    """The chain in a folder; without one nothing is kept."""

    def __init__(self, folder: Path | None = None, largest: int = LARGEST_FILE) -> None:
        self._folder = folder
        self._largest = largest
        self._seq, self._before = _end_of(folder) if folder is not None else (0, _FIRST)

    def record(self, who: str, how: str, address: str, did: str, status: int) -> None:
        """Append an entry. What cannot be written is said in the log: no alert waits for room on a disk."""
        if self._folder is None:
            return
        path = self._folder / FILE_NAME
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = Entry(self._seq + 1, now, who[:_LONGEST], how, address, did[:_LONGEST], status, self._before)
        line = msgspec.json.encode(entry)
        try:
            if path.exists() and path.stat().st_size + len(line) > self._largest:
                path.replace(self._folder / OLDER)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
                file.write(line + b"\n")
        except OSError as error:
            log.warning("an entry of the audit could not be written", who=who, did=did, status=status, error=str(error))
            return
        self._seq, self._before = entry.seq, _digest(line)


def verify(folder: Path) -> tuple[list[str], int, str]:
    """Return what is wrong with the chain, its last number, and the SHA-256 of its last line.

    What was cut off at its end is seen only by who has noted these two before.
    """
    problems: list[str] = []
    before, seq = None, 0
    for place, line in _lines(folder):
        try:
            entry = _DECODER.decode(line)
        except msgspec.MsgspecError:
            problems.append(f"{place}: is no entry")
            before = _digest(line)
            continue
        if before is not None and entry.before != before:
            problems.append(f"{place}: does not follow the line before it; something was changed, taken out or put in")
        elif before is None and entry.seq == 1 and entry.before != _FIRST:
            problems.append(f"{place}: is no first entry")
        elif seq and entry.seq != seq + 1:
            problems.append(f"{place}: has the number {entry.seq} after {seq}")
        before, seq = _digest(line), entry.seq
    return problems, seq, before or _FIRST


def _lines(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in (OLDER, FILE_NAME):
        if (folder / name).exists():
            with (folder / name).open("rb") as file:
                for number, line in enumerate(file, start=1):
                    yield f"{folder / name}:{number}", line.rstrip(b"\n")


def _end_of(folder: Path) -> tuple[int, str]:
    """Return where the chain goes on; a last line that a power cut left without an end gets one."""
    try:
        _mend(folder / FILE_NAME)
        _, seq, before = verify(folder)
    except OSError as error:
        log.warning("the audit cannot be read", error=str(error))
        return 0, _FIRST
    return seq, before


def _mend(path: Path) -> None:
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()
