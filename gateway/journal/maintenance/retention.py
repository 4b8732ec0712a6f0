"""Keeping the journal in bounds: what is too old goes, what is too much goes, and the disk is never filled to the brim.

Everything is done in slices, each a transaction of its own, so that no batch waits long for one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Protocol

import structlog

from gateway.config import RetentionSection
from gateway.domain.model.events import Severity
from gateway.errors import JournalError, JournalUnavailableError
from gateway.journal.log.stream import Stream
from gateway.journal.maintenance import rollups, sealing
from gateway.journal.maintenance.letters import LetterBound
from gateway.journal.maintenance.log_size import LONGEST, folded, log_bytes, too_long
from gateway.journal.maintenance.our_clock import LOOK_BACK, clock_problem, latest_believable
from gateway.journal.queries.reader import Reader
from gateway.journal.sqlite.connection import FILE_NAME
from gateway.journal.sqlite.recovery import BIG_TABLES
from gateway.journal.sqlite.writer import Journal

log = structlog.get_logger(__name__)

SLICE = 2000
SIZE_SLICE = 200
"""Where size decides, less at a time: nothing goes that need not."""
_EVERY = 2.0
_TRIM_EVERY = 30
_BEFORE_IT_BITES = 0.9
_ORPHANS = "trim_originals_without_readings"
_ANY_AGE = _ANY_SEQ = 2**63 - 1
_PUT_BACK = (
    "stop the gateway, mount the disk or put the journal back, start it; 'vibration-gateway init' begins a new one"
)
_WHY_NEW = "its disk may not be mounted, the folder moved, or the volume left out"
_INSPECT_EVERY = 24 * 3600
_BETWEEN_SLICES = 0.05


class Report(Protocol):
    """Raises or clears an alert about a part of the gateway itself."""

    async def __call__(self, subject: str, problem: str | None, severity: Severity = "warning", /) -> None:
        """Say what is wrong with `subject`; None means that it is well."""


class Ballast:
    """A file that holds `size` bytes of the disk back: a database on a full disk cannot even delete."""

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size

    @property
    def is_there(self) -> bool:
        """Tell whether the bytes are held back."""
        return self._path.exists() and self._path.stat().st_size == self._size

    def take(self) -> None:
        """Hold the bytes back; raises OSError if there are not so many."""
        with self._path.open("wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, self._size)
            except OSError:
                self._path.unlink()
                raise

    def give(self) -> None:
        """Give the bytes free."""
        self._path.unlink(missing_ok=True)


class Upkeep:
    """Watches over the journal's size and the disk's. `problem` says why nothing should be written, or is None.

    `snapshot`, called in the journal's thread, saves the sensors' state, so that a crash replays nothing older.
    `is_foreign` tells of a new journal whether the broker knows of an earlier one.
    """

    def __init__(
        self,
        journal: Journal,
        stream: Stream,
        state_dir: Path,
        section: RetentionSection,
        snapshot: Callable[[], None],
        *,
        is_foreign: Callable[[], bool] = lambda: False,
    ) -> None:
        self._journal = journal
        self._stream = stream
        self._state_dir = state_dir
        self._path = state_dir / FILE_NAME
        self._section = section
        self._snapshot = snapshot
        self._letters = LetterBound(journal, stream, section.dead_letters_size)
        self._ballast = Ballast(state_dir / "ballast", section.reserve)
        self._displaced: str | None = None
        self._is_foreign = is_foreign
        self._full: str | None = None
        self._begun: tuple[int, int] | None = None
        self._room = asyncio.Event()
        self._room.set()

    @property
    def problem(self) -> str | None:
        """Why nothing should be written, or None."""
        return self._displaced or self._missing or self._full

    @property
    def reading_problem(self) -> str | None:
        """Why the disk does not read, or None."""
        return self._journal.reading.problem

    @property
    def _missing(self) -> str | None:
        reason = self._journal.missing
        return None if reason is None else f"{reason}; nothing is stored or acknowledged: {_PUT_BACK}"

    async def room(self) -> None:
        """Wait until there is room for more, in the file that the next start will open, and that belongs here."""
        await self._look_whose_it_is()  # before each batch, as the next: what is acknowledged into a wrong file is lost
        self._look_for_the_file()
        await self._room.wait()

    async def _look_whose_it_is(self) -> None:
        if self._journal.missing is None and self._is_foreign():
            reason = f"the journal in {self._state_dir} is new, but the broker has a session of this gateway"
            await self._journal.call(self._journal.is_missing, f"{reason}: {_WHY_NEW}")
            log.error(self._missing)

    async def run(self, consumers: Sequence[str], now_ns: Callable[[], int], report: Report) -> None:
        """Look after the journal for ever; what `consumers` have not had yet is kept as long as possible."""
        rounds = 0
        while True:
            await self.check_file(report)
            await report("journal disk", self.reading_problem, "critical")
            await self.check_disk(report)
            await self.check_log(report)
            if self.problem is None:
                with suppress(JournalUnavailableError):
                    if rounds % _TRIM_EVERY == 0:
                        await self.trim(consumers, await self.believable(now_ns(), report))
                    await self._letters.limit()
                    await self.limit_size(consumers, report)
            rounds += 1
            await asyncio.sleep(_EVERY)

    async def inspect(self, report: Report) -> None:
        """Look through the whole journal once a day, in slices: none holds the write-ahead log back for long."""
        while True:
            await asyncio.sleep(_INSPECT_EVERY)
            try:
                for table in BIG_TABLES:
                    await self._inspect(table)
            except JournalUnavailableError:
                continue  # said where it is read; the next day it is looked through again
            except JournalError as error:
                await report("journal", f"{error} and keeps what can be read")
            else:
                await report("journal", None)

    async def _inspect(self, table: str) -> None:
        until = self._journal.next_seq
        for after in range(0, until, SLICE):
            await self._stream.read(Reader.check, table, after, min(after + SLICE, until))
            await asyncio.sleep(_BETWEEN_SLICES)

    async def check_file(self, report: Report) -> None:
        """Stop writing when the journal's file has been deleted or replaced, and go on when it is back."""
        with suppress(JournalUnavailableError):
            await self._look_whose_it_is()
        self._look_for_the_file()
        await report("journal file", self._displaced or self._missing, "critical")

    def _look_for_the_file(self) -> None:
        in_place = self._journal.is_in_place
        if self._displaced is None and not in_place:
            self._displaced = (
                f"the journal's file in {self._state_dir} has been deleted or replaced while the gateway runs; nothing"
                " is stored or acknowledged: stop the gateway, put the file back, start it"
            )
            log.error(self._displaced)
        elif self._displaced is not None and in_place:
            self._displaced = None
            log.info("the journal's file is back")
        self._open_or_close()

    def _open_or_close(self) -> None:
        if self.problem is None:
            self._room.set()
        else:
            self._room.clear()

    async def check_disk(self, report: Report) -> None:
        """Stop writing before the disk is full, and go on when there is room again.

        What the ballast holds counts as left, so that a restart in between sees the same.
        """
        reserve = self._section.reserve
        try:
            left = disk_free(self._state_dir) + reserve * self._ballast.is_there
        except OSError as error:  # moved, unmounted, or broken: the file itself is looked after elsewhere
            log.warning("the disk cannot be asked for its room", folder=str(self._state_dir), error=error.strerror)
            return
        if self._full is None and left < 2 * reserve:
            self._full = (
                f"the disk of {self._state_dir} has less than retention.reserve ({reserve / 1e6:g} MB) left;"
                " nothing is stored or acknowledged until there is room"
            )
            log.error(self._full)
            self._ballast.give()  # so that the alert itself can be written
        elif self._full is not None and left > 3 * reserve:
            self._full = None
            log.info("there is room on the disk again")
        self._open_or_close()
        await report("disk", self._full)  # every time: it may not have been possible to write it before
        if not self._ballast.is_there and left > 3 * reserve:
            with suppress(OSError):
                self._ballast.take()

    async def check_log(self, report: Report) -> None:
        """Fold the write-ahead log once it is long, on a full disk too, and name who keeps it from being folded."""
        size = log_bytes(self._path)
        if size > LONGEST:
            size = await folded(self._journal, self._path)
        await report("journal log", too_long(self._path, size))

    async def believable(self, now_ns: int, report: Report) -> int:
        """Return the time by which what is too old may go: our clock, as far as the journal does not contradict it."""
        rows = await self._journal.call(self._journal.newest_times, LOOK_BACK)
        if not rows:
            return now_ns
        if self._begun is None:
            self._begun = round(median(time_ns for time_ns, _, _ in rows)), time.monotonic_ns()
        before_ns, started_ns = self._begun
        uptime_ns = time.monotonic_ns() - started_ns
        await report("clock", clock_problem(rows))
        return latest_believable(now_ns, rows, before_ns + uptime_ns)

    async def trim(self, consumers: Sequence[str], now_ns: int) -> None:
        """Delete what is older than it is kept and what every consumer has had."""
        section = self._section
        done = await self._journal.call(self._journal.settled_seq, consumers)
        ages = {
            "trim_readings": section.readings,
            "trim_originals": section.readings,
            _ORPHANS: section.readings,
            "trim_events": section.events,
            "trim_dead_letters": section.dead_letters,
            "trim_outbox": section.events,
            "trim_silences": section.events,
            "trim_alerts": section.events,
        }
        while await self._journal.call(sealing.trim, self._journal, done, now_ns - section.readings, SLICE):
            pass
        for query, age_ns in ages.items():
            while await self._journal.call(self._journal.trim, query, done, SLICE, now_ns - age_ns) == SLICE:
                pass
        await rollups.trim(self._journal, self._stream, section, now_ns)

    async def limit_size(self, consumers: Sequence[str], report: Report) -> None:
        """Keep the content under `max_size`: dead letters go first, then the readings that every consumer has had.

        Between them go the messages that inputs have made readings of. Rather than stop, readings that a consumer has
        not had yet follow, but never what a crash would replay.
        """
        largest = self._section.max_size
        used = await self._journal.call(self._journal.used_bytes)
        if (
            used <= largest < used + log_bytes(self._path)
        ):  # what of the log does not go is a reader's, and no reading's fault
            await folded(self._journal, self._path)
        if used > _BEFORE_IT_BITES * largest:
            days = self._section.readings / 86400e9
            await report(
                "journal size",
                f"the journal takes up {used / 1e6:.0f} MB of retention.max_size {largest / 1e6:.0f} MB: its oldest"
                f" readings go before they are {days:g} days old; allow more, or keep them for a shorter time",
            )
        elif used < (_BEFORE_IT_BITES - 0.1) * largest:
            await report("journal size", None)
        if used <= largest:
            return
        journal = self._journal
        if await self._shrink("trim_dead_letters", _ANY_SEQ):  # those that come meanwhile go, too, before any reading
            return
        if await self._shrink("trim_originals", await journal.call(journal.settled_seq, [])):
            return
        if not await self._shrink("trim_readings", await journal.call(journal.settled_seq, consumers)):
            await journal.call(self._snapshot)
            await self._shrink("trim_readings", await journal.call(journal.settled_seq, []))

    async def _shrink(self, query: str, seq: int) -> bool:
        """Delete the oldest rows up to `seq` until the content is under `max_size`; tell whether it is."""
        while await self._journal.call(self._journal.used_bytes) > self._section.max_size:
            if not await self._journal.call(self._trim_first, query, seq):
                return False
            while await self._journal.call(self._journal.trim, _ORPHANS, seq, SIZE_SLICE, _ANY_AGE) == SIZE_SLICE:
                pass  # or readings would go for the room that messages nobody needs any more take up
        return True

    def _trim_first(self, query: str, seq: int) -> int:
        """Delete some of the first rows, which of readings are sealed; return how many went."""
        sealed = sealing.trim(self._journal, seq, _ANY_AGE, SIZE_SLICE) if query == "trim_readings" else 0
        return sealed or self._journal.trim(query, seq, SIZE_SLICE, _ANY_AGE)


def disk_free(folder: Path) -> int:
    """Return the bytes that are left for us on the disk of a folder."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
