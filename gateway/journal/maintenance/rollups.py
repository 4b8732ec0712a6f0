"""Rollups: lowest, mean and highest level and the number of readings of every 10 seconds, minute and hour.

A row and the cursor that led to it are one transaction: however often a reading is handed over, it counts once. A late
reading is a later entry of the journal like any other, and amends the row of its time.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from gateway.config import RetentionSection
from gateway.errors import JournalUnavailableError
from gateway.journal.log.stream import Stream
from gateway.journal.queries.reader import Reader
from gateway.journal.queries.resolutions import OVERDUE, RESOLUTIONS, SECOND_NS, Resolution
from gateway.journal.sqlite.rows import RollupRow
from gateway.journal.sqlite.writer import Journal

EVERY = 60.0
"""Seconds between two rounds: a sensor's rows lie in pages of their own, which are written anew each time."""

MOST_READINGS = 50_000
MOST_ROWS = 2_000
"""What one slice reads, and writes into each table: its transaction takes some 20 ms of the journal's thread."""

_BETWEEN_SLICES = 0.05
_BYTES = 48
"""What a row takes up in the file, as measured."""


def ages(section: RetentionSection, sensors: int) -> dict[str, int]:
    """Return table -> for how long its rows are kept, in ns.

    Where rollups would take more than half of `max_size`, all are kept for a shorter time, in proportion.
    """
    wanted = {each.table: getattr(section, each.table) for each in RESOLUTIONS}
    size = sensors * _BYTES * sum(wanted[each.table] / SECOND_NS / each.step for each in RESOLUTIONS)
    share = min(1.0, section.max_size / 2 / max(size, 1.0))
    return {table: int(age_ns * share) for table, age_ns in wanted.items()}


async def follow_journal(journal: Journal, stream: Stream) -> None:
    """Bring the rollups up to date for ever."""
    while True:
        with suppress(JournalUnavailableError):  # said where batches are written; the cursors have not moved
            await catch_up(journal, stream)
        await asyncio.sleep(EVERY)


async def catch_up(journal: Journal, stream: Stream) -> None:
    """Take in what has come since the last time; tables that are equally far, as all mostly are, go together."""
    last, behind = stream.last_seq, defaultdict[int, list[Resolution]](list)
    for resolution in RESOLUTIONS:
        behind[await stream.cursor(resolution.table)].append(resolution)
    for after, resolutions in behind.items():
        await _take_in(journal, stream, resolutions, after, last)


async def _take_in(journal: Journal, stream: Stream, resolutions: Sequence[Resolution], after: int, last: int) -> None:
    """Take in the readings after < seq <= last, in slices that keep no batch waiting for long.

    They are summed up once, at the finest resolution. A slice that comes to too many rows is read again, half of it;
    the next ones are as large as this one suggests.
    """
    size = MOST_READINGS
    while after < last:
        until = min(after + size, last)
        while len(rows := await stream.read(Reader.summaries, resolutions[0].step, after, until)) > MOST_ROWS:
            until = (after + until) // 2
        tables = {each.table: [_within(row, each.step) for row in rows] for each in resolutions}
        await journal.call(journal.add_rollups, tables, until)
        size = min(MOST_READINGS, (until - after) * MOST_ROWS // max(len(rows), 1))
        after = until
        await asyncio.sleep(_BETWEEN_SLICES)


def _within(row: RollupRow, step: int) -> RollupRow:
    """Return what a row comes to in one that is as long or longer."""
    sensor, time, low, mean, high, count = row
    return sensor, time // step * step, low, mean, high, count


async def trim(journal: Journal, stream: Stream, section: RetentionSection, now_ns: int) -> None:
    """Delete rows that are older than they are kept, a sensor at a time, each once there are many of its rows."""
    kept = ages(section, len(await stream.read(Reader.sensors)))
    for resolution in RESOLUTIONS:
        age_ns = kept[resolution.table]
        overdue = (now_ns - int(age_ns * OVERDUE)) // SECOND_NS
        for sensor in await stream.read(Reader.sensors_with_rollups_before, resolution.table, overdue):
            arguments = (resolution.table, sensor, (now_ns - age_ns) // SECOND_NS, MOST_ROWS * resolution.step)
            while await journal.call(journal.trim_rollups, *arguments):
                pass
