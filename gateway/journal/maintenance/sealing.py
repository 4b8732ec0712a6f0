"""Sealing: readings that nobody waits for any more become blocks, which take up a tenth of the room.

A block is made beside the journal's thread, which then only puts it in the place of its readings, in one transaction.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import takewhile
from pathlib import Path

from msgspec import Struct

from gateway.domain.engine.event_log import BODY, RECEIVED, SENSOR, ReadingRow
from gateway.errors import JournalUnavailableError
from gateway.journal.queries.reader import Reader
from gateway.journal.sealed import block, finding
from gateway.journal.sealed.block import Sealed, index_row
from gateway.journal.sealed.blocks import CHANGED, NEXT
from gateway.journal.sealed.finding import SEGMENT
from gateway.journal.sqlite.executor import ask
from gateway.journal.sqlite.recovery import passing_trouble
from gateway.journal.sqlite.writer import Journal

EVERY = 10.0
"""Seconds between two looks at whether there is enough for a block."""

_BETWEEN_BLOCKS = 0.2
"""Seconds of rest: an old journal is sealed beside everything else, some 15,000 readings a second."""


async def seal_for_ever(
    journal: Journal, path: Path, consumers: Sequence[str], age_ns: int, now_ns: Callable[[], int]
) -> None:
    """Seal what is older than `age_ns` and what all of `consumers` have had, for as long as we run.

    Blocks are made by a reader and in a thread of their own.
    """
    reader = Reader(path)
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal-sealing")
    try:
        while True:
            is_sealed = False
            with suppress(
                JournalUnavailableError
            ):  # a full disk is told of elsewhere; the readings are where they were
                until = await journal.call(journal.settled_seq, consumers)
                window = now_ns() - age_ns, now_ns()
                with passing_trouble(), journal.reading.unavailable():
                    step = await ask(thread, partial(next_block, reader, until, window))
                is_sealed = step is not None and await journal.call(put, journal, step)
            await asyncio.sleep(_BETWEEN_BLOCKS if is_sealed else EVERY)
    finally:
        thread.shutdown(wait=True)
        reader.close()


class Step(Struct, frozen=True):
    """What is to be put into the journal: a block, and the entries of a segment that it completes."""

    sealed: Sealed
    segment: int | None = None
    entries: Sequence[tuple[int, bytes]] = ()


def next_block(reader: Reader, until: int, window_ns: tuple[int, int], size: int = block.READINGS) -> Step | None:
    """Make the next block of readings up to a sequence number; None while there are too few for one.

    None of them was received within the window: what was later, before somebody set the clock, is as old as any.
    """
    since_ns, until_ns = window_ns
    rows: list[ReadingRow] = []
    weight, is_whole = 0, False
    for row in takewhile(lambda row: not since_ns < row[RECEIVED] <= until_ns, reader.to_seal(until, size)):
        rows.append(row)
        weight += len(row[BODY])
        is_whole = len(rows) == size or weight > block.MOST_BYTES
        if is_whole:
            break
    if not is_whole:
        return None
    number = reader.next_block_number()
    sealed = block.seal(number, rows)
    segment, place = divmod(number, SEGMENT)
    if place < SEGMENT - 1:
        return Step(sealed)
    earlier = reader.hashes_of_blocks(segment * SEGMENT, number)
    return Step(sealed, segment, list(finding.entries_of([*earlier, (place, array("I", sealed.hashes))])))


def put(journal: Journal, step: Step) -> bool:
    """Put a block in the place of its readings; tell whether they were still all there. In the journal's thread."""
    head = step.sealed.head
    with journal.transaction():
        if journal.all("count_between", head.first, head.last)[0][0] != head.count:
            return False  # a sensor has been purged meanwhile
        _insert_block(journal, step.sealed)
        journal.many("insert_sealed_hashes", [(head.number, finding.packed_hashes(step.sealed.hashes))])
        journal.many("upsert_note", [(NEXT, str(head.number + 1))])
        journal.count("delete_between", head.first, head.last)
        if step.segment is not None:
            _insert_segment(journal, step.segment, step.entries)
    return True


def _insert_segment(journal: Journal, segment: int, entries: Sequence[tuple[int, bytes]]) -> None:
    journal.many("insert_sealed_ids", ((bucket, segment, each) for bucket, each in entries))
    journal.count("delete_sealed_hashes", segment * SEGMENT, (segment + 1) * SEGMENT)


def _insert_block(journal: Journal, sealed: Sealed) -> None:
    journal.many("insert_sealed", [(sealed.head.first, *sealed.parts)])
    journal.many("insert_sealed_index", [index_row(sealed.head, sum(map(len, sealed.parts)))])


def trim(journal: Journal, until: int, before_ns: int, most: int) -> int:
    """Delete the oldest blocks up to a sequence number in which all is older than a time; return how many readings.

    No more blocks than it takes for `most` readings go at once.
    """
    index = journal.both.blocks.index
    gone = 0
    if not len(index):
        return gone
    with journal.transaction():
        for place in range(len(index)):
            if index.lasts[place] > until or gone >= most:
                break
            if index.newest[place] < before_ns:
                _delete(journal, index.seqs[place], index.numbers[place])
                gone += index.counts[place]
        if gone:
            _forget_ids(journal)
    return gone


def _delete(journal: Journal, seq: int, number: int) -> None:
    journal.count("delete_sealed", seq)
    journal.count("delete_sealed_index", seq)
    journal.count("delete_sealed_hashes", number, number + 1)
    _note_change(journal)


def _note_change(journal: Journal) -> None:
    journal.many("upsert_note", [(CHANGED, str(int(journal.note(CHANGED) or 0) + 1))])


def _forget_ids(journal: Journal) -> None:
    """Delete the entries of segments of which no block is left."""
    left = {number // SEGMENT for number in journal.both.blocks.index.numbers}
    for (segment,) in journal.all("sealed_segments"):
        if segment not in left:
            journal.count("delete_sealed_ids", segment)


def delete_readings(journal: Journal, keys: Sequence[int], after: int, until: int) -> None:
    """Write the blocks with after < seq <= until anew without the readings of some sensors; within a transaction."""
    blocks, wanted = journal.both.blocks, set(keys)
    index = blocks.index
    for place in index.after(after, until):
        made = blocks.block(place)
        if made is None or wanted.isdisjoint(made.head.sensors):
            continue
        kept = [row for row in made.rows() if row[SENSOR] not in wanted]
        seq, number = index.seqs[place], index.numbers[place]
        journal.count("delete_sealed", seq)
        journal.count("delete_sealed_index", seq)
        if kept:
            _insert_block(
                journal, block.seal(number, kept)
            )  # the entries of its ids may be too many, but never too few
        _note_change(journal)
