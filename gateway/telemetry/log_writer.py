"""Log lines on their way out: whoever logs never waits for whoever reads, and what was lost is counted."""

from __future__ import annotations

import atexit
import os
import select
import threading
from collections import deque
from collections.abc import Callable
from functools import cache

import structlog

MOST_BYTES = 1_000_000
"""Of lines that wait: more than a busy minute, and nothing beside the gateway's own memory."""

FLUSH_WITHIN = 1.0
"""Seconds that an end waits for what has not been written: a terminal that is stopped takes nothing for ever."""

_LOOK_AGAIN = 0.5
_STDERR = 2


class LogWriter:
    """Writes lines to a file descriptor in a thread of its own; what is too much, or cannot be written, is dropped.

    `dropped` counts such lines. `tell` is called with how many were dropped, in the thread, when one gets out again.
    """

    def __init__(self, descriptor: int, tell: Callable[[int], object], most_bytes: int = MOST_BYTES) -> None:
        self.dropped = 0
        self._descriptor, self._tell, self._most = descriptor, tell, most_bytes
        self._lines = deque[bytes]()
        self._waiting = self._told = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, text: str) -> int:
        """Take a line. It is written soon, or dropped and counted if too much waits already."""
        line = text.encode(errors="replace")
        with self._changed:
            if self._waiting + len(line) > self._most:
                self.dropped += 1
            else:
                self._lines.append(line)
                self._waiting += len(line)
                self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: nobody is to wait for whoever reads."""

    def drain(self, within: float = FLUSH_WITHIN) -> None:
        """Wait until everything is written, but not for long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, within)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                line = self._lines.popleft()
            is_out = self._put(line)
            with self._changed:
                self._waiting -= len(line)
                self.dropped += not is_out
                self._changed.notify_all()
            if is_out and self.dropped > self._told:
                lost, self._told = self.dropped - self._told, self.dropped
                self._tell(lost)

    def _put(self, line: bytes) -> bool:
        """Write a line; tell whether all of it could be: a full disk and a closed terminal take none."""
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:  # somebody else has made it so
                select.select([], [self._descriptor], [], _LOOK_AGAIN)
            except OSError:
                return False
        return True


@cache
def standard_error() -> LogWriter:
    """Return the one writer of this process: loggers keep it through every new configuration."""
    writer = LogWriter(_STDERR, _tell_of_lost_lines)
    atexit.register(writer.drain)
    return writer


def _tell_of_lost_lines(count: int) -> None:
    structlog.get_logger(__name__).warning("lines of the log are lost: nobody took them", lines=count)
