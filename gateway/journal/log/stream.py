"""The journal as a stream, for the event loop: cursors, steps, and a wake-up when something new is in it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import msgspec
import structlog

from gateway.domain.detection.state import Sensor
from gateway.domain.engine.commands import MoveCursor, Writer
from gateway.domain.engine.event_log import LogSlice
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.errors import JournalError, JournalUnavailableError
from gateway.journal.log.recent_rows import Tail
from gateway.journal.queries.reader import Reader
from gateway.journal.sqlite.executor import ask
from gateway.journal.sqlite.read_errors import ReadErrors, suspect
from gateway.journal.sqlite.recovery import passing_trouble

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Written(Writer, Protocol):
    """What a stream has of the writer, in this process or another one: how far it is, and what is wrong with reading.

    There is no fact after `last_fact`. `on_written` is called with what it wrote, if that is in this process.
    """

    next_seq: int
    last_fact: int
    reading: ReadErrors
    on_written: Callable[[UnitOfWork], None]


class Stream:
    """Reads in a thread of its own, so that a long question delays neither the batches nor the event loop."""

    def __init__(self, journal: Written, path: Path) -> None:
        self._journal = journal
        self._path = path
        self._reader = Reader(path)
        self._tail = Tail(self._reader.name)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal-reader")
        self._last = journal.next_seq - 1
        self._written: deque[UnitOfWork] = deque()
        journal.on_written = self._written.append
        self._news = asyncio.Event()
        self._is_readable = True

    def know(self, sensors: Iterable[Sensor]) -> None:
        """Take over the registry from who has just read it, before anything is asked."""
        self._reader.know(sensors)

    @property
    def last_seq(self) -> int:
        """The newest sequence number that has been announced."""
        return self._last

    def announce(self) -> None:
        """Wake everybody who waits, if anything has been written."""
        last = self._journal.next_seq - 1
        while self._written:
            self._tail.add(self._written.popleft())
        if last > self._last:
            self._last = last
            self._news.set()
            self._news = asyncio.Event()

    async def wait(self, after: int) -> None:
        """Wait until there is something after a sequence number."""
        while self._last <= after:
            await self._news.wait()

    async def read(self, function: Callable[Concatenate[Reader, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a method of Reader: `await stream.read(Reader.sensors)`. Raises JournalError if the file is damaged.

        Raises JournalUnavailableError if it cannot be read right now; the log says so once.
        """
        reading = self._journal.reading
        try:
            with passing_trouble(), reading.unavailable():
                found = await ask(self._thread, lambda: reading.twice(lambda: function(self._reader, *args, **kwargs)))
        except JournalUnavailableError as error:
            if self._is_readable:
                log.warning("the journal cannot be read right now; trying again", error=str(error))
            self._is_readable = False
            raise
        except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError):  # our mistake, no damage
            raise
        except (sqlite3.DatabaseError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            suspect(self._path)
            raise JournalError(f"{self._path} is damaged ({error}); the next start sets it aside") from error
        if not self._is_readable:
            log.info("the journal can be read again")
        self._is_readable = True
        reading.succeeded()
        return found

    async def step(self, after: int, limit: int, *, readings: bool) -> LogSlice:
        """Return what follows `after`."""
        if not readings and self._journal.last_fact <= after:  # as after most batches: nobody need look
            return LogSlice([], [], self._last)
        kept = self._tail.step(after, limit, readings=readings)
        if kept is not None:
            return kept
        return await self.read(Reader.step, after, limit, readings=readings, known=self._last)

    async def cursor(self, consumer: str) -> int:
        """Return the last sequence number a consumer is done with."""
        return (await self.places()).get(consumer, 0)

    async def places(self) -> Mapping[str, int]:
        """Return consumer -> last sequence number it is done with, for all that have a cursor."""
        return await self.read(Reader.cursors)

    async def move_cursor(self, consumer: str, seq: int) -> None:
        """Remember that a consumer is done with everything up to `seq`."""
        await self._journal.ask(MoveCursor(consumer, seq))

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True)
        self._reader.close()
