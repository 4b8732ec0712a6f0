"""The features of waveforms, off the batch: a block is on disk and acknowledged before anybody computes with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec
import structlog

from gateway.domain.inputs.results import Reading
from gateway.domain.inputs.stored_waveforms import from_row
from gateway.domain.inputs.waveform_reading import reading_of
from gateway.domain.model.events import Message
from gateway.errors import JournalUnavailableError
from gateway.ingest.processor import Pipeline
from gateway.journal import Journal

log = structlog.get_logger(__name__)

_AT_ONCE = 4
"""Blocks, which hold the interpreter while they are computed with."""
_TRY_AGAIN = 1.0
_BETWEEN = 0.01
"""Seconds for everybody else, between some blocks and the next."""

Row = tuple[int, Message, bytes, bytes]


async def measure_waveforms(
    journal: Journal, pipeline: Pipeline, announce: Callable[[], None], wake: asyncio.Event, most_bytes: int
) -> None:
    """Make readings of the blocks that have none, for ever, and keep `most_bytes` of the newest blocks.

    A crash in between leaves blocks without a reading, which are found at the next start.
    """
    while True:
        wake.clear()
        try:
            rows = await journal.call(journal.waveforms_to_measure, _AT_ONCE)
            if rows:
                measured = await asyncio.to_thread(_measured, rows)
                await journal.call(pipeline.measure, measured, time.time_ns())
                await journal.call(journal.trim_waveforms, most_bytes)
                announce()
        except JournalUnavailableError as error:  # said where batches are written
            log.debug("waveforms have to wait", error=str(error))
            await asyncio.sleep(_TRY_AGAIN)
            continue
        if rows:
            await asyncio.sleep(_BETWEEN)
        else:
            await wake.wait()


def _measured(rows: Sequence[Row]) -> list[tuple[int, Message, Reading | None]]:
    return [(number, message, _reading(about, samples)) for number, message, about, samples in rows]


def _reading(about: bytes, samples: bytes) -> Reading | None:
    try:
        return reading_of(from_row(about, samples))
    except (msgspec.MsgspecError, ValueError, ArithmeticError) as error:
        log.error("a waveform in the journal cannot be read; it gives no reading", error=str(error))  # noqa: TRY400 - the reason is in the message
        return None
