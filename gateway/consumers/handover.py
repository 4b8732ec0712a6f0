"""Handing rows to one consumer until each is taken or refused: what is refused costs only itself."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

import structlog
from msgspec import Struct
from msgspec.structs import replace

from gateway.api import Consumer, Refused, Taken
from gateway.consumers.cursor import patiently
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.errors import DeliveryError, GatewayError, JournalError

T = TypeVar("T")

log = structlog.get_logger(__name__)

MOST_SEARCHES = 200
"""Times that a step is halved in search of what a consumer refuses: enough for ten rows among 5,000."""

_LATELY, _MANY = 200, 10
"""Of so many rows the share that is refused is looked at, from so many refused ones on."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_LONGEST_REQUEST = 3600.0
_LONGEST_TEXT = 300

Refusal = tuple[StoredReading | EventRecord, str]
"""A row, and why its consumer does not take it."""


class Account(Protocol):
    """Where it is said how a consumer is getting on."""

    def taken(self, rows: int) -> None:
        """Count rows that it has taken."""
        ...

    def skipped(self, rows: int) -> None:
        """Count rows that it has left out, with which nothing is wrong."""
        ...

    def failed(self) -> None:
        """Count a call that it raised in."""
        ...

    async def refuse(self, refusals: Sequence[Refusal]) -> None:
        """Keep what it does not take as dead letters. Raises JournalUnavailableError."""
        ...

    async def report(self, problem: str | None) -> None:
        """Raise or clear the alert about it."""
        ...


class Rows(Struct, frozen=True):
    """What a consumer is handed in one call."""

    readings: Sequence[StoredReading]
    entries: Sequence[EventRecord]

    def __len__(self) -> int:
        return len(self.readings) + len(self.entries)

    def all(self) -> list[StoredReading | EventRecord]:
        """Return every row, the readings first."""
        return [*self.readings, *self.entries]

    def only(self, condition: Callable[[int], bool]) -> Rows:
        """Return the rows whose `seq` fulfils a condition."""
        return Rows([one for one in self.readings if condition(one.seq)], [e for e in self.entries if condition(e.seq)])

    def halves(self) -> list[Rows]:
        """Return the rows before the middle one, and it with those after it."""
        middle = sorted(row.seq for row in self.all())[len(self) // 2]
        return [self.only(lambda seq: seq < middle), self.only(lambda seq: seq >= middle)]


class _Answer(Struct, frozen=True):
    """What became of rows: `refused` are settled, `rest` is to be handed over again."""

    refused: list[Refusal]
    rest: list[Rows]


class Handover:
    """Hands rows to one consumer, one call at a time. Somebody else's may do with what it is handed what it likes.

    `busy_since` is the moment, by the monotonic clock, since which it owes an answer; `problem` is what it last raised.
    `refusing` says why it refuses most rows of late, if it does.
    """

    def __init__(self, name: str, consumer: Consumer, account: Account, *, is_foreign: bool = False) -> None:
        self.busy_since: float | None = None
        self.problem: Exception | None = None
        self.refusing = ""
        self._rows = self._refused_rows = 0  # lately
        self._name = name
        self._consumer = consumer
        self._account = account
        self._is_foreign = is_foreign
        self._turn = asyncio.Lock()

    async def hand_over(self, rows: Rows) -> None:
        """Return when every row is taken or is a dead letter."""
        all_refused = list[Refusal]()

        async def refuse(refused: Sequence[Refusal]) -> None:
            await patiently(partial(self._account.refuse, refused))
            all_refused.extend(refused)

        await self._settle(rows, self._insist, refuse)
        self._weigh(len(rows), all_refused)

    def _weigh(self, rows: int, refused: Sequence[Refusal]) -> None:
        """Notice when most rows of late are refused: then something else than the rows is wrong."""
        self._rows, self._refused_rows = self._rows + rows, self._refused_rows + len(refused)
        while self._rows > _LATELY:
            self._rows, self._refused_rows = self._rows // 2, self._refused_rows // 2
        if self._refused_rows < _MANY or 2 * self._refused_rows <= self._rows:
            self.refusing = ""
        elif refused and not self.refusing:
            self.refusing = f"it refuses most of what it is handed, which is kept as dead letters: {refused[-1][1]}"

    async def once_more(self, rows: Rows) -> set[int]:
        """Hand over dead letters again, without a second attempt; return the `seq` of those that are taken now."""
        left: set[int] = set()

        async def leave(refused: Sequence[Refusal]) -> None:
            left.update(row.seq for row, _ in refused)

        await self._settle(rows, self._offer, leave)
        return {row.seq for row in rows.all()} - left

    async def insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Try until it succeeds, after pauses that grow."""
        pause, failures = _FIRST_PAUSE, 0
        self.busy_since = time.monotonic()
        while True:
            try:
                result = await call()
            except JournalError:
                raise
            except Exception as error:  # noqa: BLE001 - a consumer may be foreign code: whatever it raises, the others go on
                failures += 1
                self._note(error, is_first=failures == 1)
                await asyncio.sleep(max(pause * random.uniform(0.8, 1.2), _requested(error)))
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                if failures:
                    log.info("a consumer delivers again", consumer=self._name, failures=failures)
                self.busy_since = self.problem = None
                return result

    def _note(self, error: Exception, *, is_first: bool) -> None:
        self.problem = error
        self._account.failed()
        if is_first:
            tell = log.warning if isinstance(error, GatewayError) else log.exception
            tell("a consumer cannot deliver; trying again", consumer=self._name, error=words(error))

    async def _settle(
        self,
        rows: Rows,
        offer: Callable[[Rows, bool], Awaitable[_Answer]],
        refuse: Callable[[Sequence[Refusal]], Awaitable[None]],
    ) -> None:
        """Offer the rows, and what remains of them, in order."""
        waiting, searches = [rows], 0
        while waiting:
            part = waiting.pop()
            answer = await offer(part, searches < MOST_SEARCHES)
            searches += len(answer.rest) > 1
            waiting += reversed(answer.rest)
            if answer.refused:
                await refuse(answer.refused)

    async def _insist(self, rows: Rows, may_search: bool) -> _Answer:  # noqa: FBT001 - the shape of an offer
        return await self.insist(partial(self._offer, rows, may_search))

    async def _offer(self, rows: Rows, may_search: bool) -> _Answer:  # noqa: FBT001 - the shape of an offer
        """Call the consumer once. Raises whatever says that it should be called again."""
        try:
            async with self._turn:
                answer = await self._consume(rows)
                refused, skipped = self._refused(answer, rows), _skipped(answer, rows)
        except DeliveryError as error:
            if error.retry:
                raise
            return self._without(error, rows, may_search=may_search)
        self._account.taken(max(len(rows) - len(refused) - skipped, 0))
        if skipped:
            self._account.skipped(skipped)
        return _Answer(refused, [])

    async def _consume(self, rows: Rows) -> object:
        readings, entries = rows.readings, rows.entries
        if not self._is_foreign:
            return await harmless(partial(self._consumer.consume, readings, entries))
        readings, entries = [replace(one, tags={**one.tags}) for one in readings], [*entries]
        try:
            return await harmless(partial(self._consumer.consume, readings, entries))
        except JournalError as error:  # that of our journal is none that somebody else raises
            raise RuntimeError(f"it raised {type(error).__name__}: {words(error)}") from error

    def _refused(self, answer: object, rows: Rows) -> list[Refusal]:
        """Return what a consumer has named; anything but a Taken says that everything is taken."""
        if not isinstance(answer, Taken) or not answer.refused:
            return []
        return self._named({one.seq: storable(one.reason) for one in answer.refused if _is_well(one)}, rows)

    def _named(self, reasons: dict[int, str], rows: Rows) -> list[Refusal]:
        found: list[Refusal] = [(row, reasons[row.seq]) for row in rows.all() if row.seq in reasons]
        if len(found) < len(reasons):  # they are left alone
            log.warning("a consumer names rows that it was not handed", consumer=self._name, named=len(reasons))
        return found

    def _without(self, error: DeliveryError, rows: Rows, *, may_search: bool) -> _Answer:
        """Return what a refusal for good costs: the rows that it names; else they are searched for, within reason."""
        reason = storable(words(error))
        named = self._named(dict.fromkeys(error.rows, reason), rows)
        if named:
            gone = {row.seq for row, _ in named}
            rest = rows.only(lambda seq: seq not in gone)
            return _Answer(named, [rest] if len(rest) else [])
        if len(rows) > 1 and may_search:
            return _Answer([], rows.halves())
        return _Answer([(row, reason) for row in rows.all()], [])


async def harmless(call: Callable[[], Awaitable[T]]) -> T:
    """Return what a consumer's call returns. What would end the gateway, such as SystemExit, is not its to raise."""
    try:
        return await call()
    except (Exception, GeneratorExit):
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        raise RuntimeError(f"it raised {type(error).__name__}") from error


def words(error: Exception) -> str:
    """Return what an exception says, if it can say it: it may be foreign code, too."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - as above
        return f"{type(error).__name__}, which does not say why"


def _requested(error: Exception) -> float:
    """Return for how many seconds the other side wants us to wait; what is no number is foreign code's mistake."""
    seconds = error.retry_after if isinstance(error, DeliveryError) else None
    return min(seconds, _LONGEST_REQUEST) if isinstance(seconds, int | float) else 0.0


def storable(text: str) -> str:
    """Return somebody else's words so that they can be written down: not too many, and no half of a character."""
    return text[:_LONGEST_TEXT].encode(errors="replace").decode()


def _skipped(answer: object, rows: Rows) -> int:
    """Return how many rows a consumer has left out; what is no number of them is foreign code's mistake."""
    count = answer.skipped if isinstance(answer, Taken) else 0
    return min(max(count, 0), len(rows)) if isinstance(count, int) else 0


def _is_well(one: object) -> bool:
    return isinstance(one, Refused) and isinstance(one.seq, int) and isinstance(one.reason, str)
