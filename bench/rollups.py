"""A year of a hundred sensors in rollups, as large as it gets: its size in the journal, and how soon it answers.

    python -m bench.rollups

Written as a running gateway writes it: all sensors in turn, a minute (an hour, a day) at a time.
"""

from __future__ import annotations

import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from gateway.config import RetentionSection
from gateway.journal import Journal, Reader, level_history
from gateway.journal.maintenance.rollups import ages
from gateway.journal.queries.resolutions import RESOLUTIONS, SECOND_NS, Resolution
from gateway.journal.sqlite.rows import RollupRow

SENSORS = 100
DAY = 86_400
GOAL_BYTES, GOAL_SECONDS = 10**9, 0.1
_AT_ONCE = 30


def main() -> None:
    """Print the figures beside their goals; exit with 1 if one is missed."""
    now = int(time.time())
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.db")
        with journal.transaction():  # a registry without readings, which nobody else needs
            rows = ((key, f"VB-{key}", "{}", "m/s²", "", 0) for key in range(1, SENSORS + 1))
            journal.many("insert_sensor", rows)
        kept = ages(RetentionSection(), SENSORS)
        for resolution in RESOLUTIONS:
            length = min(kept[resolution.table] // SECOND_NS, 365 * DAY)
            _fill(journal, resolution, now - length, now)
        used = journal.used_bytes()
        reader = Reader(Path(folder) / "journal.db")
        slowest = max(_ask(reader, days, now) for days in (0.01, 1, 7, 30, 90, 365))
        reader.close()
        journal.close()
    print(f"size      {used / 1e6:8.0f} MB   goal < {GOAL_BYTES / 1e6:.0f} MB")
    print(f"answer    {slowest * 1000:8.1f} ms   goal < {GOAL_SECONDS * 1000:.0f} ms, the slowest of six spans")
    raise SystemExit(used >= GOAL_BYTES or slowest >= GOAL_SECONDS)


def _fill(journal: Journal, resolution: Resolution, start: int, end: int) -> None:
    chance = Random(1)
    step = resolution.step * _AT_ONCE
    for begin in range(start // step * step, end, step):
        rows: list[RollupRow] = []
        for sensor in range(1, SENSORS + 1):
            for number in range(_AT_ONCE):
                level = chance.random()
                rows.append((sensor, begin + number * resolution.step, level, level + 0.1, level + 0.2, 10))
        journal.add_rollups({resolution.table: rows}, 1)


def _ask(reader: Reader, days: float, now: int) -> float:
    kept = ages(RetentionSection(), SENSORS)
    window = int((now - days * DAY) * SECOND_NS), now * SECOND_NS
    start = time.perf_counter()
    found = level_history(reader, "VB-50", window, 1000, kept)
    seconds = time.perf_counter() - start
    count, step, resolution = len(found["time"]), found["step"], found["resolution"]
    print(f"{days:6g} days: {count} points of {step} s from {resolution}: {seconds * 1000:.1f} ms")
    return seconds


if __name__ == "__main__":
    main()
