"""The gateway's own clock, which a test puts forward and back while the gateway runs.

Copied as sitecustomize.py to a folder on PYTHONPATH, it adds the seconds in the file beside it to the wall clock of the
program. The monotonic clock goes on as ever, as it does when a real clock is set.
"""

import os
import time
from datetime import datetime
from pathlib import Path

OFFSET, DIGITS = "offset", 20


class OurClock:
    """A folder for PYTHONPATH, and the offset of the clock of every program that runs with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(Path(__file__).read_text(encoding="utf-8"))
        self.set_off(0)

    def set_off(self, seconds: float) -> None:
        """Let the clock be so many seconds ahead."""
        file = os.open(self.folder / OFFSET, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(file, b"%+0*d" % (DIGITS, round(seconds)), 0)  # over what is there: it is never seen empty
        finally:
            os.close(file)

    def set_to(self, moment: datetime) -> None:
        """Let the clock be there now."""
        self.set_off(moment.timestamp() - time.time())


def take_over(offset: Path) -> None:
    """Put a clock with the offset in a file into the place of this program's own."""
    file = os.open(offset, os.O_RDONLY)
    seconds, nanoseconds = time.time, time.time_ns
    time.time = lambda: seconds() + int(os.pread(file, DIGITS, 0))
    time.time_ns = lambda: nanoseconds() + int(os.pread(file, DIGITS, 0)) * 10**9


if __name__ == "sitecustomize":
    take_over(Path(__file__).with_name(OFFSET))
