"""Writing the journal. One thread owns the one writing connection; everybody else asks it by `call`."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import msgspec
import structlog
from msgspec.structs import astuple

from gateway.domain.alerting.alert import ALERT_FACTS, Alert
from gateway.domain.detection.state import Sensor
from gateway.domain.engine.checkpoint import Checkpoint
from gateway.domain.engine.commands import Command
from gateway.domain.engine.event_log import ReadingRow
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.model.assets import AssetPath
from gateway.domain.model.events import DomainEvent, Message
from gateway.errors import JournalError, JournalUnavailableError
from gateway.journal.sqlite.both import Both
from gateway.journal.sqlite.codec import (
    MACHINES,
    NEWEST_SEQ,
    OVER_QUOTA,
    REGISTRY_SEQ,
    SNAPSHOT_SEQ,
    counted,
    decode_machines,
    encode_machines,
    encode_state,
)
from gateway.journal.sqlite.connection import identity, load_queries, migrations
from gateway.journal.sqlite.executor import ask
from gateway.journal.sqlite.high_water import HighWater
from gateway.journal.sqlite.read_errors import ReadErrors, suspect
from gateway.journal.sqlite.recovery import MISSING, RUNNING, is_damage, is_there, open_or_salvage, passing_trouble
from gateway.journal.sqlite.rows import JSON, RollupRow, alert_row, letter_row, sensor_of, sensor_row

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

_ROWS = 50
"""Readings that one statement inserts; more take as long each."""

_LETTERS, _LETTERS_BYTES = 500, 4_000_000
"""Dead letters in one slice: its transaction takes some 20 ms of the journal's thread."""
_END = 2**63 - 1


class Journal:
    """The writing side. Its methods run in its thread: `await journal.call(journal.write, batch)`.

    `salvaged` says what happened if the file was found damaged, or lacked something, when it was opened; `missing` says
    why it is not the one that belongs here, in which case nothing may be stored. There is no fact after `last_fact`.
    `on_written` is called, in the journal's thread, with everything numbered that has come to be on disk, and `execute`
    with every command.
    """

    def __init__(self, path: Path) -> None:
        self._sql = load_queries()
        self._path = path
        is_new = not is_there(path)
        self._db, salvaged = open_or_salvage(path)
        self._file = identity(path)
        self.both = Both(self._db, self._sql)
        self._mark = HighWater(path, len(migrations()))
        self.reading = ReadErrors(path)
        one = self._sql["insert_reading"].removesuffix(";")
        self._insert_many = one + ("," + one.partition("VALUES")[2]) * (_ROWS - 1)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        newest, before = self._one("last_seq")[0], self._mark.before.seq
        self.next_seq: int = max(newest, before) + 1  # no number stands for two entries
        self.missing = self.note(MISSING)
        if before and is_new and not salvaged:
            self.is_missing(f"{path} is gone, and it had {before} entries")
        lost = None if self.missing else self._mark.lost(newest)
        self.salvaged = "; ".join(filter(None, (salvaged, lost))) or None
        self.last_fact = self.next_seq - 1
        self.on_written: Callable[[UnitOfWork], None] = lambda _: None
        self.execute: Callable[[Command[Any]], Any] = _nobody_executes

    @property
    def is_in_place(self) -> bool:
        """Tell whether the path still leads to the file that was opened: what is written to another one is lost."""
        return identity(self._path) == self._file

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in the journal's thread, after everything asked for before.

        Raises JournalUnavailableError, beside what that raises, while the journal cannot be read.
        """
        with passing_trouble(), self.reading.unavailable():
            return await ask(self._thread, lambda: function(*args, **kwargs))

    async def ask(self, command: Command[T]) -> T:
        """Have a command executed in the journal's thread, after everything asked for before; return the answer."""
        answer: T = await self.call(self.execute, command)
        return answer

    def begin(self) -> None:
        """Note that a gateway runs; found at a start, it says that the last one did not stop in order."""
        self.write_note(RUNNING, "yes")

    def is_missing(self, reason: str) -> None:
        """Note that this journal is new and another one belongs here: only people know where that is."""
        self.missing = reason
        self.write_note(MISSING, reason)

    def is_found(self) -> None:
        """Let this be the journal that belongs here."""
        with self.transaction():
            self.many("delete_note", [(MISSING,)])
        self.missing = None

    def close(self) -> None:
        """End the thread and fold the write-ahead log into the file."""
        self._thread.shutdown(wait=True)
        with suppress(JournalUnavailableError), self.transaction():
            self._db.execute(self._sql["delete_note"], (RUNNING,))
        self._note_mark()
        self._db.close()
        self._mark.close()

    def suspect(self, _type: object, error: BaseException | None, _trace: object) -> None:
        """Let the next start look through the whole file if this one ends with an error that damage has caused."""
        if is_damage(error):
            suspect(self._path)
            log.error("the journal seems to be damaged; the next start sets it aside", path=str(self._path))

    def write(self, batch: UnitOfWork) -> None:
        """Write a batch in one transaction. Raises JournalUnavailableError and has then written nothing."""
        with self.transaction():
            self.many("insert_sensor", map(sensor_row, batch.sensors.values()))
            if batch.is_move:
                self._db.execute(self._sql["upsert_note"], (REGISTRY_SEQ, str(batch.next_seq)))
            self._insert_readings(batch.readings)
            self._insert_facts(batch)
            self.many("insert_dead_letter", (letter_row(letter) for letter in batch.dead_letters))
            self.many("delete_dead_letter", ((number,) for number in batch.replayed))
            self._write_inputs(batch)
            if batch.over_quota:
                self.many("upsert_note", [(OVER_QUOTA, counted(self.note(OVER_QUOTA), batch.over_quota))])
            self.many("upsert_alert", (alert_row(alert) for alert in batch.alerts.values()))
            self.many("rename_alerts", batch.renamed)
            self.many("rename_events", batch.renamed)
            if batch.replayed or batch.unused:  # numbers that no row bears any more
                self._db.execute(self._sql["upsert_note"], (NEWEST_SEQ, str(batch.next_seq - 1)))
        self._written(batch)

    def _write_inputs(self, batch: UnitOfWork) -> None:
        """Write what the inputs leave beside the readings, within a transaction."""
        self.many("insert_original", (astuple(each) for each in batch.originals))
        self.many("insert_waveform", (astuple(each) for each in batch.waveforms))
        self.many("waveform_measured", ((number,) for number in batch.measured))
        self.many("upsert_memory", ((key, value) for key, value in batch.memory.items() if value is not None))
        self.many("delete_memory", ((key,) for key, value in batch.memory.items() if value is None))

    def waveforms_to_measure(self, limit: int) -> list[tuple[int, Message, bytes, bytes]]:
        """Return the oldest blocks without a reading: number, topic and receive time, what is known, samples."""
        return [
            (number, Message(topic, b"", received), bytes(about), bytes(samples))
            for number, topic, received, about, samples in self.all("waveforms_to_measure", limit)
        ]

    def trim_waveforms(self, most_bytes: int) -> int:
        """Delete the oldest measured blocks that are beyond so many bytes; return how many went."""
        with self.transaction():
            return self.count("trim_waveforms", most_bytes)

    def find_reading(self, event_us: int, sensor: int, event_id: str) -> bytes | None:
        """Return the body of the reading with this key, or None."""
        return self.reading.patiently(lambda: self.both.body(event_us, sensor, event_id))

    def count_same_time(self, event_us: int, sensor: int) -> int:
        """Return how many readings of a sensor have the same time."""
        return self.reading.patiently(lambda: self.both.count_same_time(event_us, sensor))

    def has_dead_letter(self, digest: bytes, packet_id: int) -> bool:
        """Tell whether this very message is a dead letter already."""
        return bool(self._patiently("find_dead_letter", digest, packet_id))

    def sensors(self) -> list[Sensor]:
        """Return the registry, each sensor with its state as the last snapshot has it."""
        return [sensor_of(row) for row in self._db.execute(self._sql["sensors_with_states"])]

    def open_alerts(self) -> list[Alert]:
        """Return every alert that is not cleared."""
        return [msgspec.json.decode(alert, type=Alert) for (alert,) in self._db.execute(self._sql["open_alerts"])]

    def shelved_alerts(self) -> list[Alert]:
        """Return every alert that has cleared and is still shelved."""
        return [msgspec.json.decode(alert, type=Alert) for (alert,) in self._db.execute(self._sql["shelved_alerts"])]

    def saved(self, look_back: int, messages: int = 0) -> Checkpoint:
        """Return what a start takes up: the last snapshot, what came since, so many readings and messages before."""
        seq = self._snapshot_seq()
        return Checkpoint(
            self.sensors(),
            [*self.open_alerts(), *self.shelved_alerts()],
            self._db.execute(self._sql["replay"], (seq,)),
            self.both.recent(seq, look_back),
            decode_machines(self.note(MACHINES)),
            {key: bytes(value) for key, value in self.all("input_memory")},
            [(packet_id, bytes(digest)) for packet_id, digest in reversed(self.all("newest_messages", messages))],
        )

    def _snapshot_seq(self) -> int:
        return int(self.note(SNAPSHOT_SEQ) or 0)

    def dead_letters(self, numbers: Sequence[int], after: int = 0, before: int = _END) -> list[tuple[int, Message]]:
        """Return (number, the message as it came in) of dead letters, the oldest first; of all without numbers.

        They are the first ones with after < number < before: a slice of a bounded number and size.
        """
        query, wanted = ("_with_numbers", (JSON.encode(numbers).decode(),)) if numbers else ("", ())
        rows = self._db.execute(self._sql[f"dead_letter_messages{query}"], (*wanted, after, before, _LETTERS))
        found: list[tuple[int, Message]] = []
        for seq, topic, payload, received, retained in rows:
            found.append((seq, Message(topic, payload, received, retained=bool(retained))))
            if sum(len(letter.payload) for _, letter in found) > _LETTERS_BYTES:
                break
        rows.close()
        return found

    def refused_rows(self, numbers: Sequence[int], after: int, before: int) -> list[tuple[int, str, int]]:
        """Return (number of the dead letter, consumer, seq of the row) of rows that consumers did not take.

        Of all without numbers; a slice of a bounded number and size, as `dead_letters` gives.
        """
        wanted = JSON.encode(numbers).decode()
        rows = self._db.execute(self._sql["refused_rows"], (wanted, after, before, _LETTERS)).fetchall()
        sizes = accumulate(row[-1] for row in rows)
        return [row[:-1] for row, size in zip(rows, sizes, strict=True) if size - row[-1] <= _LETTERS_BYTES]

    def save_detector(self, sensors: Iterable[Sensor], machines: Mapping[AssetPath, str], seq: int) -> None:
        """Save the state of `sensors`, and those of all machines, as they are after `seq`."""
        with self.transaction():
            self.many("upsert_detector", ((sensor.key, encode_state(sensor.state)) for sensor in sensors))
            self._db.execute(self._sql["upsert_note"], (MACHINES, encode_machines(machines)))
            self._db.execute(self._sql["upsert_note"], (SNAPSHOT_SEQ, str(seq)))

    def note(self, name: str) -> str | None:
        """Return what was noted under a name, or None."""
        rows = self.all("note", name)
        return str(rows[0][0]) if rows else None

    def write_note(self, name: str, value: str) -> None:
        """Keep a small text under a name."""
        with self.transaction():
            self._db.execute(self._sql["upsert_note"], (name, value))

    def cursor(self, consumer: str) -> int:
        """Return the last sequence number a consumer is done with."""
        rows = self.all("cursor", consumer)
        return rows[0][0] if rows else 0

    def move_cursor(self, consumer: str, seq: int) -> None:
        """Remember that a consumer is done with everything up to `seq`."""
        with self.transaction():
            self._db.execute(self._sql["upsert_cursor"], (consumer, seq))

    def settled_seq(self, consumers: Iterable[str]) -> int:
        """Return up to where nobody needs the journal any more: neither a consumer nor a replay after a crash."""
        return min([self._snapshot_seq(), *(self.cursor(consumer) for consumer in consumers)])

    def newest_times(self, count: int) -> list[tuple[int, int, int]]:
        """Return the time that counts, that of receipt, and the flags of so many of the newest readings."""
        return self.both.newest_times(count)

    def trim(self, query: str, seq: int, limit: int, before_ns: int) -> int:
        """Delete the oldest rows up to `seq` and older than a time, `limit` at most; return how many went."""
        with self.transaction():
            return self._db.execute(self._sql[query], (seq, limit, before_ns)).rowcount

    def add_rollups(self, tables: Mapping[str, Iterable[RollupRow]], seq: int) -> None:
        """Let readings count in tables of rollups, and move the cursors of these names, in one transaction."""
        with self.transaction():
            for table, rows in tables.items():
                self._db.executemany(self._sql["add_rollup"].replace("ROLLUPS", table), rows)
                self._db.execute(self._sql["upsert_cursor"], (table, seq))

    def trim_rollups(self, table: str, sensor: int, before: int, most: int) -> int:
        """Delete rows of a sensor from before a time, those of `most` seconds at once; return how many went."""
        query = self._sql["trim_rollups"].replace("ROLLUPS", table)
        with self.transaction():
            return self._db.execute(query, (sensor, before, most)).rowcount

    def used_bytes(self) -> int:
        """Return what the content takes up in the file, without its free pages."""
        pragmas = (f"PRAGMA {name}" for name in ("page_count", "freelist_count", "page_size"))
        pages, free, size = (self._db.execute(pragma).fetchone()[0] for pragma in pragmas)
        return (pages - free) * size  # type: ignore[no-any-return] # numbers, by SQLite's documentation

    def fold_log(self) -> None:
        """Fold the write-ahead log into the file and begin it anew, as far as nobody reads what is in it."""
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._db.execute("PRAGMA busy_timeout = 10000")
        self._note_mark()

    @contextmanager
    def appending(self, recorded_ns: int) -> Iterator[list[DomainEvent]]:
        """Write all of the block and the facts that are put into the list, or nothing; raises as `transaction`."""
        batch, facts = UnitOfWork(next_seq=self.next_seq, recorded_ns=recorded_ns), list[DomainEvent]()
        with self.transaction():
            yield facts
            batch.facts = [(batch.take_seq(), fact) for fact in facts]
            self._insert_facts(batch)
        self._written(batch)

    def _written(self, batch: UnitOfWork) -> None:
        self.next_seq = batch.next_seq
        self._note_mark()
        self.on_written(batch)

    def _note_mark(self) -> None:
        if self.missing is None:  # else the mark is that of the journal that is to come back
            self._mark.note(self.next_seq - 1)

    def _insert_facts(self, batch: UnitOfWork) -> None:
        for seq, fact in batch.facts:
            self.last_fact = seq  # too soon, should the transaction fail, only makes somebody look in vain
            self._db.execute(
                self._sql["insert_event"],
                (
                    seq, fact.id, fact.type, fact.time_ns, batch.recorded_ns, fact.subject, fact.correlation_id,
                    fact.causation_id, JSON.encode(fact.data).decode(),
                    fact.data.get("id" if fact.type in ALERT_FACTS else "alertId"),
                ),
            )  # fmt: skip

    def _insert_readings(self, rows: Sequence[ReadingRow]) -> None:
        """Insert many rows by one statement: that takes a third less time, and hardly ever the interpreter's lock."""
        whole = len(rows) - len(rows) % _ROWS
        for start in range(0, whole, _ROWS):
            self._db.execute(self._insert_many, list(chain.from_iterable(rows[start : start + _ROWS])))
        self.many("insert_reading", rows[whole:])

    def many(self, query: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Run a statement of queries.sql for every row, within a transaction."""
        self._db.executemany(self._sql[query], rows)

    def _one(self, query: str, *values: object) -> tuple[int, ...]:
        return self.all(query, *values)[0]

    def _patiently(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Read in the middle of a batch, which nobody can begin again."""
        return self.reading.patiently(lambda: self.all(query, *values))

    def all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a statement of queries.sql gives."""
        return self._db.execute(self._sql[query], values).fetchall()

    def count(self, query: str, *values: object) -> int:
        """Run a statement of queries.sql within a transaction; return how many rows it changed."""
        return self._db.execute(self._sql[query], values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything in it, or nothing. Raises JournalUnavailableError, and JournalError for a damaged file."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
            self._note_mark()
        except sqlite3.OperationalError as error:
            self._roll_back()
            self.reading.passes(error)
            raise JournalUnavailableError(f"the journal cannot be written: {error}") from error
        except (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError):  # our mistake, no damage
            self._roll_back()
            raise
        except sqlite3.DatabaseError as error:
            self._roll_back()
            if self.reading.passes(error, benefit=True):
                raise JournalUnavailableError(f"the journal cannot be written: {error}") from error
            suspect(self._path)
            raise JournalError(f"{self._path} is damaged ({error}); the next start sets it aside") from error
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _nobody_executes(command: Command[Any]) -> Any:
    raise RuntimeError(f"{type(command).__name__} was asked of a journal that no pipeline has been restored from")
