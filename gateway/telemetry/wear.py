"""What the gateway writes to its disk, which wears a card: as the system counts it, journal, checkpoints and all."""

from __future__ import annotations

import time
from pathlib import Path

from msgspec import Struct


class Wear(Struct, frozen=True):
    """Bytes that a process has written to devices, and for how many seconds it has run."""

    written: int
    seconds: float

    @property
    def a_day(self) -> float:
        """Bytes in a day, if it goes on so."""
        return self.written / self.seconds * 86400


def written_bytes(process: int | str = "self") -> int | None:
    """Return the bytes that a process has had written to devices; None where the system does not say."""
    try:
        lines = Path(f"/proc/{process}/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    counts = {name: int(value) for name, _, value in (line.partition(": ") for line in lines)}
    return max(0, counts["write_bytes"] - counts["cancelled_write_bytes"])


def wear_of(lock: Path) -> Wear | None:
    """Return what the gateway that holds the lock of a state directory has written; None where nobody can tell.

    Its process is named in the file, which it writes when it starts.
    """
    try:
        process, since = int(lock.read_text(encoding="ascii")), lock.stat().st_mtime
    except (OSError, ValueError):
        return None
    written = written_bytes(process)
    return None if written is None else Wear(written, max(1.0, time.time() - since))
