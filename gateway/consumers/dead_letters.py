"""The rows that a consumer does not take: kept as dead letters that name the row, and handed to it again on request."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from gateway.consumers.handover import Refusal, Rows
from gateway.consumers.runner import Runner
from gateway.domain.engine.commands import ForgetLetters, KeepRefused, RefusedRow, RefusedRows, Writer
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.inputs.native import KEPT_BYTES
from gateway.errors import DeliveryError
from gateway.journal import Reader, Stream

_LOST = "{}: the rows of {} dead letters are not in the journal any more"


def kept(consumer: str, refusals: Sequence[Refusal]) -> KeepRefused:
    """Return the command that keeps rows as dead letters."""
    return KeepRefused(consumer, [RefusedRow(row.seq, reason, _shown(row)) for row, reason in refusals], time.time_ns())


def _shown(row: StoredReading | EventRecord) -> bytes:
    """Return what people see of a row: the reading's body, or the fact."""
    return (row.body if isinstance(row, StoredReading) else msgspec.json.encode(row.fact))[:KEPT_BYTES]


class Replayed(Struct, frozen=True):
    """How many dead letters were asked for, the numbers of those that are none any more, and why others still are."""

    asked: int
    replayed: list[int]
    problems: list[str]


class ConsumerLetters:
    """The dead letters of consumers. `runners` are those of a running gateway, by the names of their cursors."""

    def __init__(self, writer: Writer, stream: Stream | None, runners: Mapping[str, Runner]) -> None:
        self._writer = writer
        self._stream = stream
        self._runners = runners

    async def replay(self, numbers: Sequence[int], end: int) -> Replayed:
        """Hand them to their consumers again: those with these numbers, or all before `end`."""
        asked, after, replayed = 0, 0, list[int]()
        problems, lost = dict[str, str](), Counter[str]()
        while letters := await self._writer.ask(RefusedRows(numbers, after, end)):
            asked, after = asked + len(letters), letters[-1][0]
            by_consumer = defaultdict[str, dict[int, int]](dict)
            for number, consumer, seq in letters:
                by_consumer[consumer][seq] = number
            for consumer in by_consumer.keys() - problems.keys():
                try:
                    taken, gone = await self._to_consumer(consumer, by_consumer[consumer])
                except DeliveryError as error:
                    problems[consumer] = f"{consumer}: {error}"
                else:
                    replayed += taken
                    lost[consumer] += gone
        problems |= {name: _LOST.format(name, gone) for name, gone in lost.items() if gone and name not in problems}
        return Replayed(asked, sorted(replayed), list(problems.values()))

    async def _to_consumer(self, consumer: str, letters: Mapping[int, int]) -> tuple[list[int], int]:
        """Hand rows, seq -> number of the dead letter, to a consumer.

        Return the numbers of those that it takes now, and how many rows the journal does not have any more.
        """
        if self._stream is None or consumer not in self._runners:
            raise DeliveryError("no such consumer is running; start the gateway with it, and replay again")
        rows = await self._stream.read(rows_at, sorted(letters))
        numbers = [letters[seq] for seq in await self._runners[consumer].replay(rows)] if len(rows) else []
        if numbers:
            await self._writer.ask(ForgetLetters(numbers))
        return numbers, len(letters) - len(rows)


def rows_at(reader: Reader, numbers: Sequence[int]) -> Rows:
    """Return the readings and facts with these sequence numbers."""
    readings, entries = list[StoredReading](), list[EventRecord]()
    for seq in numbers:
        step = reader.step(seq - 1, 1)
        readings += [one for one in step.readings if one.seq == seq]
        entries += [one for one in step.entries if one.seq == seq]
    return Rows(readings, entries)
