"""Looking at a gateway from outside while it works, without adding to its work: its journal, its processor time."""

import sqlite3
import threading
import time
from bisect import bisect_left
from contextlib import closing
from types import TracebackType
from typing import Self

from gateway.journal import FILE_NAME
from tests.programs import Gateway
from tests.servers.waiting import until

GLANCE = 0.002  # s between two looks at a journal
PATIENCE = 300.0  # s


class Watch:
    """Notes when each sequence number became visible in a gateway's journal, to `GLANCE` seconds."""

    def __init__(self, gateway: Gateway) -> None:
        self._file = gateway.state_dir / FILE_NAME
        until(self._file.exists, PATIENCE, "a journal")
        self._times: list[float] = []
        self._seqs: list[int] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def visible_at(self, seq: int) -> float:
        """Return when a row could be read, in seconds since 1970."""
        return self._times[bisect_left(self._seqs, seq)]

    def saw(self, seq: int) -> bool:
        """Tell whether a row has become visible since the watch began, and not before."""
        return bool(self._seqs) and self._seqs[0] < seq <= self._seqs[-1]

    def _run(self) -> None:
        with closing(sqlite3.connect(f"{self._file.as_uri()}?mode=ro", uri=True)) as journal:
            while not self._stop.wait(GLANCE):
                readings, events = journal.execute(
                    "SELECT coalesce((SELECT max(seq) FROM readings), 0), coalesce((SELECT max(seq) FROM events), 0)"
                ).fetchone()
                seq = max(readings, events)
                if not self._seqs or seq > self._seqs[-1]:
                    self._times.append(time.time())
                    self._seqs.append(seq)


def rows(gateway: Gateway, query: str) -> list[tuple[int, ...]]:
    """Ask a gateway's journal."""
    file = gateway.state_dir / FILE_NAME
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as journal:
        return journal.execute(query).fetchall()


def wait_for_readings(gateway: Gateway, count: int) -> tuple[float, float]:
    """Wait until the journal has so many readings; return readings/s and processor µs per reading.

    Both count from the first reading that is there, so that the start of the program does not.
    """
    last = 0
    began = cpu = 0.0
    first = 0
    while last < count:
        last = _last(gateway)
        if last and not first:
            first, began, cpu = last, time.perf_counter(), gateway.cpu_seconds()
        time.sleep(10 * GLANCE)
    if first == last:
        raise RuntimeError(f"the gateway took {count} readings in one batch; nothing can be measured")
    seconds = time.perf_counter() - began
    return (last - first) / seconds, (gateway.cpu_seconds() - cpu) / (last - first) * 1e6


def _last(gateway: Gateway) -> int:
    try:
        return rows(gateway, "SELECT coalesce(max(seq), 0) FROM readings")[0][0]
    except sqlite3.OperationalError:  # not made yet
        return 0
