"""The write-ahead log in bounds: while somebody reads, SQLite cannot begin it anew, and it grows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gateway.errors import JournalUnavailableError
from gateway.journal.sqlite.writer import Journal

LONGEST = 64 * 1024 * 1024
"""Bytes that the log may have: sixteen times as many as it needs."""

_MOST_NAMED = 3
_PROCESSES = Path("/proc")


async def folded(journal: Journal, path: Path) -> int:
    """Fold the log into the journal at `path` as far as readers allow; return the bytes that it has now."""
    with suppress(JournalUnavailableError):  # said where batches are written
        await journal.call(journal.fold_log)
    return log_bytes(path)


def log_bytes(path: Path) -> int:
    """Return the size of the log of the journal at a path."""
    with suppress(OSError):
        return path.with_name(f"{path.name}-wal").stat().st_size
    return 0


def too_long(path: Path, size: int) -> str | None:
    """Return what is wrong with a log of so many bytes that was just folded, and who is in its way; None if nothing."""
    if size <= LONGEST:
        return None
    found = list(_readers(path.resolve()))[:_MOST_NAMED]
    who = f"end what reads it for so long: {', '.join(found)}" if found else "something reads it for very long"
    return f"the write-ahead log of the journal has grown to {size / 1e6:.0f} MB and fills the disk; {who}"


def _readers(path: Path) -> Iterator[str]:
    """Yield the other processes that have the journal open, as far as we may see them."""
    wanted = {str(path), f"{path}-wal", f"{path}-shm"}
    for process in _PROCESSES.glob("[0-9]*"):
        with suppress(OSError):
            if int(process.name) != os.getpid() and wanted & {_target(each) for each in (process / "fd").iterdir()}:
                yield f"process {process.name} ({(process / 'comm').read_text().strip()})"


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
