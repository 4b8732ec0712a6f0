"""A disk that does not read: tried again, told, and only if that lasts is the journal taken for damaged."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import structlog

from gateway.errors import JournalError, JournalUnavailableError

T = TypeVar("T")

log = structlog.get_logger(__name__)

TRY_AGAIN = 1.0
READS_AGAIN_WITHIN = 20.0
"""Seconds that a start waits for a disk that does not read, before the journal is set aside."""

_LASTING, _QUIET = 60.0, 30.0
"""Errors for so long, without a pause of so long, are none that pass."""

_DOUBTFUL = 600.0

_READ_ERRORS = {"SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPTFS"}
_CORRUPT = "SQLITE_CORRUPT"
"""What SQLite makes of EIO, too: whether it is that is found out by reading the files."""

_CHUNK = 1024 * 1024


class ReadErrors:
    """Since when the disk does not read; `problem` says so, or is None."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.problem: str | None = None
        self._path, self._clock = path, clock
        self._first = self._last = clock() - _DOUBTFUL

    def passes(self, error: BaseException, *, benefit: bool = False) -> bool:
        """Take note of an error; tell whether it is one of reading, so that it may be gone the next time.

        With the `benefit` of the doubt, so is the first one for long that says that something in the file is wrong.
        Raises JournalError if the disk has not read for long: the next start mends that.
        """
        pause = self._clock() - self._last
        in_doubt = is_corrupt(error) and ((benefit and pause >= _DOUBTFUL) or not reads(self._path, is_open=True))
        if not is_read_error(error) and not in_doubt:
            return False
        self._last = self._clock()
        if pause >= _QUIET:
            self._first = self._last
        if self.problem is None:
            log.error("the disk does not read; trying again", path=str(self._path), error=str(error))
        self.problem = f"{self._path} cannot be read ({error}); look at the disk"
        if self._last - self._first >= _LASTING:
            suspect(self._path)
            raise JournalError(f"{self.problem}; the next start sets aside what it cannot read") from error
        return True

    def twice(self, read: Callable[[], T]) -> T:
        """Return what a read gives, if not at once, then the next time: what is wrong in the file stays so."""
        try:
            return read()
        except sqlite3.DatabaseError as error:
            if not is_corrupt(error):
                raise
            return read()

    @contextmanager
    def unavailable(self) -> Iterator[None]:
        """Let errors of reading raise JournalUnavailableError within the block, as long as they may pass."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if self.passes(error):
                raise JournalUnavailableError(f"the journal cannot be read: {error}") from error
            raise

    def patiently(self, read: Callable[[], T]) -> T:
        """Return what a read gives; while the disk does not read, wait. Raises JournalError if that lasts."""
        while True:
            try:
                found = self.twice(read)
            except sqlite3.DatabaseError as error:
                if not self.passes(error):
                    raise
                time.sleep(TRY_AGAIN)
            else:
                self.succeeded()
                return found

    def succeeded(self) -> None:
        """Take note that it reads."""
        if self.problem is not None and self._clock() - self._last >= TRY_AGAIN:
            self.problem = None
            log.info("the disk reads again", path=str(self._path))


def is_read_error(error: BaseException | None) -> bool:
    """Tell whether an error says that the disk could not be read."""
    return getattr(error, "sqlite_errorname", "") in _READ_ERRORS


def is_corrupt(error: BaseException | None) -> bool:
    """Tell whether an error says that something in the file is wrong, or that it could not be read."""
    return str(getattr(error, "sqlite_errorname", "")).startswith(_CORRUPT)


def reads(path: Path, *, is_open: bool) -> bool:
    """Tell whether all of a journal's files can be read.

    While SQLite has them open they are read by its own descriptors: to open and close one would end SQLite's locks.
    """
    for file in (path, path.with_name(f"{path.name}-wal")):
        number = descriptor_of(str(file.resolve())) if is_open else None
        try:
            if number is not None:
                _read_all(number)
            elif not is_open and file.exists():
                with file.open("rb", buffering=0) as opened:
                    _read_all(opened.fileno())
        except OSError:
            return False
    return True


def _read_all(number: int) -> None:
    offset = 0
    while chunk := os.pread(number, _CHUNK, offset):
        offset += len(chunk)


def descriptor_of(path: str) -> int | None:
    """Return this process's descriptor of a file that it has open; None where that cannot be told."""
    with suppress(OSError):
        for each in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # that of the folder itself is gone by now
                if str(each.readlink()) == path:
                    return int(each.name)
    return None


def suspicion(path: Path) -> Path:
    """Return the file that is made when the database says that it is damaged while it is in use."""
    return path.with_name(f"{path.name}.suspect")


def suspect(path: Path) -> None:
    """Let the next start look through the whole file; where its folder is gone, there is nothing to look through."""
    with suppress(OSError):
        suspicion(path).touch()
