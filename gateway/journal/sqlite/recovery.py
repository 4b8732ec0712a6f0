"""A damaged journal: noticed, set aside, and whatever can be read of it kept."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.domain.alerting.alert import Alert
from gateway.domain.detection.state import SensorState
from gateway.domain.engine.event_log import BODY
from gateway.domain.inputs.native import decode_event
from gateway.domain.notification.model import Notification
from gateway.domain.notification.silences import Silence
from gateway.errors import JournalError, JournalUnavailableError
from gateway.journal.sealed import block, salvage
from gateway.journal.sqlite.codec import REGISTRY_SEQ, SNAPSHOT_SEQ, decode_state, encode_state
from gateway.journal.sqlite.connection import load_queries, migrations, open_for_writing
from gateway.journal.sqlite.read_errors import (
    READS_AGAIN_WITHIN,
    TRY_AGAIN,
    is_corrupt,
    is_read_error,
    reads,
    suspicion,
)

log = structlog.get_logger(__name__)

RUNNING = "running"
"""The note that is there while a gateway runs; found at a start it says that the last one did not stop in order."""

MISSING = "journal_missing"
"""The note of a journal that was begun where another one belongs: why it is thought so."""

_NEWEST_ROWS = 20_000
_SLICE = 500
_SMALL_TABLES = (
    "sensors", "alerts", "outbox", "told", "planner", "silences", "cursors", "detector", "notes", "input_memory",
)  # fmt: skip
BIG_TABLES = ("sealed", "readings", "events", "dead_letters", "originals")
_LARGE_ROWS = ("waveforms",)
"""Not looked through at a start: their rows are large, and nothing follows from them but what is asked for."""

_ROLLUPS = ("rollups_10s", "rollups_1m", "rollups_1h")
_SUFFIXES = ("", "-wal", "-shm")
_DAMAGE = ("Could not decode", "malformed JSON", "unsupported file format")
"""Of what SQLite reports like a passing trouble: no UTF-8, no JSON, a number in the file's header that nobody wrote."""

_decode_json = msgspec.json.decode
_DECODE: dict[str, Callable[[tuple[Any, ...]], object]] = {
    "sensors": lambda row: _decode_json(row[2], type=dict[str, str]),
    "readings": lambda row: decode_event(row[BODY]),
    "sealed": lambda row: block.check(row[1:]),
    "events": lambda row: _decode_json(row[8], type=dict[str, Any]),
    "alerts": lambda row: _decode_json(row[4], type=Alert),
    "outbox": lambda row: _decode_json(row[9], type=Notification),
    "planner": lambda row: _decode_json(row[2], type=dict),
    "silences": lambda row: _decode_json(row[2], type=Silence),
    "detector": lambda row: decode_state(row[1]),
    "notes": lambda row: int(row[1]) if row[0] in {SNAPSHOT_SEQ, REGISTRY_SEQ} else row[1],
}
"""What is encoded in the rows, by their columns' positions: SQLite does not notice damage inside a value."""


def open_or_salvage(path: Path) -> tuple[sqlite3.Connection, str | None]:
    """Open the journal; if it is damaged, set it aside and start a new one with what could be read.

    Return the connection and, in the second case, what happened, in a sentence. After an orderly stop only the ends
    of the tables are looked at; after any other, the small tables and the newest rows, which bounds the time it takes.
    """
    suspect = suspicion(path)
    finish_salvage(path)
    try:
        connection = _opened(path)
    except (JournalError, JournalUnavailableError, sqlite3.DatabaseError, UnicodeDecodeError) as error:
        cause = error.__cause__ if isinstance(error, (JournalError, JournalUnavailableError)) else error
        if not is_damage(cause) and not is_read_error(cause):
            raise
        suspect.unlink(missing_ok=True)
        return _salvage(path, error)
    suspect.unlink(missing_ok=True)
    return connection, None


def _opened(path: Path) -> sqlite3.Connection:
    """Open and check the journal; a disk that does not read is given some time. Raises as what it calls."""
    end = time.monotonic() + READS_AGAIN_WITHIN
    while True:
        try:
            return _checked(path)
        except (JournalError, JournalUnavailableError, sqlite3.DatabaseError) as error:
            cause = error.__cause__ if isinstance(error, (JournalError, JournalUnavailableError)) else error
            does_not_read = is_read_error(cause) or (is_corrupt(cause) and not reads(path, is_open=False))
            if not does_not_read or time.monotonic() > end:
                raise
            log.warning("the journal cannot be read; trying again", error=str(error))
            time.sleep(TRY_AGAIN)


def _checked(path: Path) -> sqlite3.Connection:
    with ExitStack() as stack:
        connection = open_for_writing(path)
        stack.callback(connection.close)
        check_schema(connection)
        if suspicion(path).exists():
            check_everything(connection)
        elif is_running(connection):
            check_newest(connection)
        else:
            check_ends(connection)
        stack.pop_all()
    return connection


def is_there(path: Path) -> bool:
    """Tell whether there is a journal at a path, or one that was salvaged and waits for its place."""
    return path.exists() or path.with_name(f"{path.name}.salvaged").exists()


def check_schema(connection: sqlite3.Connection) -> None:
    """Compare the schema with what it is to be. Raises sqlite3.DatabaseError if something of it is missing."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        for script in migrations():
            fresh.executescript(script)
        query = "SELECT type, name, sql FROM sqlite_schema"
        if missing := set(fresh.execute(query)) - set(connection.execute(query)):
            raise sqlite3.DatabaseError(f"its schema lacks the right {', '.join(sorted(row[1] for row in missing))}")


def check_everything(connection: sqlite3.Connection) -> None:
    """Look through the whole file, however long it takes. Raises sqlite3.DatabaseError if something is wrong."""
    verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    for table in (*_SMALL_TABLES, *BIG_TABLES, *_LARGE_ROWS, *_ROLLUPS):
        _check_rows(connection, table)
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        raise sqlite3.DatabaseError("readings of a sensor that there is not")


def is_running(connection: sqlite3.Connection) -> bool:
    """Tell whether the journal is one that a gateway has not closed in order."""
    return connection.execute("SELECT 1 FROM notes WHERE name = ?", (RUNNING,)).fetchone() is not None


def check_newest(connection: sqlite3.Connection) -> None:
    """Look through the small tables and the newest rows. Raises sqlite3.DatabaseError if something is wrong."""
    for table in _SMALL_TABLES:
        verdict = connection.execute(f"PRAGMA integrity_check({table})").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"{table}: {verdict}")
        _check_rows(connection, table)
    for table in BIG_TABLES:
        newest = connection.execute(f"SELECT coalesce(max(seq), 0) FROM {table}").fetchone()[0]  # noqa: S608 - of the table of tables above
        check_slice(connection, table, newest - _NEWEST_ROWS, newest)


def check_ends(connection: sqlite3.Connection) -> None:
    """Read the last row of each table that grows. Raises sqlite3.DatabaseError if something is wrong."""
    for table in BIG_TABLES:
        _check_rows(connection, table, "ORDER BY seq DESC LIMIT 1")


def check_slice(connection: sqlite3.Connection, table: str, after: int, until: int) -> None:
    """Read the rows after < seq <= until, and each reading's entry in the index. Raises sqlite3.DatabaseError."""
    _check_rows(connection, table, "WHERE seq > ? AND seq <= ?", (after, until))
    if table != "readings":
        return
    missing = connection.execute(
        "SELECT count(*) FROM readings AS r WHERE seq > ? AND seq <= ? AND ("
        " sensor NOT IN (SELECT key FROM sensors) OR NOT EXISTS ("
        " SELECT 1 FROM readings INDEXED BY readings_key"
        " WHERE event_us = r.event_us AND sensor = r.sensor AND event_id = r.event_id))",
        (after, until),
    ).fetchone()[0]
    if missing:
        raise sqlite3.DatabaseError(
            f"{missing} readings after {after} are of no sensor or not in the index readings_key"
        )


def _check_rows(connection: sqlite3.Connection, table: str, which: str = "", values: tuple[int, ...] = ()) -> None:
    for row in connection.execute(f"SELECT * FROM {table} {which}", values):  # noqa: S608 - of the table of tables above
        if not _makes_sense(table, row):
            what = f"the block of readings from {row[0]} on" if table == "sealed" else f"what row {row[0]} holds"
            raise sqlite3.DatabaseError(f"{table}: {what} cannot be decoded")


def _makes_sense(table: str, row: tuple[Any, ...]) -> bool:
    """Tell whether what a row holds can be decoded."""
    try:
        _DECODE.get(table, len)(row)
    except (msgspec.MsgspecError, ValueError, TypeError):
        return False
    return True


def is_damage(error: BaseException | None) -> bool:
    """Tell whether an error says that the file is damaged, not that it cannot be used right now or by this program."""
    if isinstance(error, sqlite3.OperationalError):
        return any(words in str(error) for words in _DAMAGE)
    return type(error) is sqlite3.DatabaseError or isinstance(error, (msgspec.MsgspecError, UnicodeDecodeError))


@contextmanager
def passing_trouble() -> Iterator[None]:
    """Let what keeps the journal from being read right now, but is no damage, raise JournalUnavailableError."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_damage(error):
            raise
        raise JournalUnavailableError(f"the journal cannot be read: {error}") from error


def _salvage(path: Path, error: Exception) -> tuple[sqlite3.Connection, str]:
    """Fill a new file with what can be read, then put it in the place of the damaged one.

    A kill at any moment leaves either the damaged file, which is then salvaged again, or the finished new one. Raises
    JournalUnavailableError, and leaves everything as it was, if there is no room for the new one.
    """
    new, done = path.with_name(f"{path.name}.salvaging"), path.with_name(f"{path.name}.salvaged")
    _remove(new)
    (path.parent / "ballast").unlink(missing_ok=True)  # held back for a moment like this
    try:
        with closing(open_for_writing(new)) as connection:
            counts = _keep_all(connection, path)
            connection.execute("PRAGMA journal_mode = DELETE")  # everything is in the one file, and on the disk
    except JournalUnavailableError:
        _remove(new)
        raise
    kept = ", ".join(f"{count} {table.replace('_', ' ')}" for table, count in counts.items() if count) or "nothing"
    new.rename(done)
    aside = finish_salvage(path)
    sentence = f"the journal was damaged ({error}); it is set aside as {aside}; what could be kept of it: {kept}"
    log.error(sentence)
    return open_for_writing(path), sentence


def finish_salvage(path: Path) -> str | None:
    """Put a salvaged journal in its place, if one is waiting; return the name of what was there before."""
    done = path.with_name(f"{path.name}.salvaged")
    if not done.exists():
        return None
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for suffix in reversed(_SUFFIXES):  # the file itself last: as long as it is there, all of it is
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    done.rename(path)
    return aside.name


def _remove(path: Path) -> None:
    for suffix in _SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _keep_all(connection: sqlite3.Connection, path: Path) -> dict[str, int]:
    counts: dict[str, int] = {}
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError), closing(sqlite3.connect(path)) as damaged:
        damaged.execute("PRAGMA writable_schema = ON")  # or a file that is too short would not be read at all
        damaged.text_factory = lambda text: text.decode(errors="surrogateescape")  # which cannot be written again
        for table in (*_SMALL_TABLES, *BIG_TABLES, *_LARGE_ROWS, *_ROLLUPS):
            counts[table] = _keep(connection, table, _readable_rows(damaged, table))
        counts["sealed blocks"] = counts.pop("sealed")
        counts["readings"] += _index_blocks(connection, damaged)
    _name_orphans(connection)
    _remember_times(connection)
    # Without their cursors the notifier would tell everything again, and the rollups would count readings twice.
    both = "(SELECT seq FROM readings UNION ALL SELECT last AS seq FROM sealed_index)"
    for name, table in (("notifier", "events"), *((name, both) for name in _ROLLUPS)):
        connection.execute(
            f"INSERT OR IGNORE INTO cursors SELECT ?, coalesce(max(seq), 0) FROM {table}",  # noqa: S608 - as above
            (name,),
        )
    connection.execute(  # nothing is sealed that a start would still take up
        "INSERT OR IGNORE INTO notes SELECT ?, max(last) FROM sealed_index HAVING max(last) > 0", (SNAPSHOT_SEQ,)
    )
    return counts


def _index_blocks(connection: sqlite3.Connection, damaged: sqlite3.Connection) -> int:
    """Make anew what leads to the sealed blocks, and name those that are lost; return the number of their readings."""
    _write(connection, "BEGIN IMMEDIATE")
    salvage.name_orphans(connection, load_queries())
    count = salvage.index_blocks(connection, load_queries(), _readable_rows(damaged, "sealed_ids"))
    _write(connection, "COMMIT")
    with suppress(sqlite3.DatabaseError):
        for readings in salvage.lost(damaged, connection):
            log.error("a block of readings of the damaged journal could not be kept", readings=readings)
    return count


def _remember_times(connection: sqlite3.Connection) -> None:
    """Give sensors whose state could not be read one that knows their newest reading: it says what is a duplicate."""
    query = (
        "SELECT sensor, max(event_us) FROM readings WHERE sensor NOT IN (SELECT sensor FROM detector) GROUP BY sensor"
    )
    newest = dict(connection.execute(query).fetchall())
    without = {
        key for (key,) in connection.execute("SELECT key FROM sensors WHERE key NOT IN (SELECT sensor FROM detector)")
    }
    for key, newest_us in salvage.newest_times(connection, load_queries(), without).items():
        newest[key] = max(newest.get(key, newest_us), newest_us)
    for key, newest_us in newest.items():
        state = SensorState(newest_us=newest_us, seen_us=newest_us)
        connection.execute("INSERT INTO detector VALUES (?, ?)", (key, encode_state(state)))


def _readable_rows(damaged: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield what can be read of a table: from its beginning up to the damage, then from its end back to it."""
    if table not in (*BIG_TABLES, *_LARGE_ROWS):
        with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
            yield from damaged.execute(f"SELECT * FROM {table}")  # noqa: S608 - of the table of tables above
        return
    forward = f"SELECT * FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - as above
    size = salvage.ROWS_AT_ONCE if table == "sealed" else _SLICE
    last = yield from _walk(damaged, forward, -1, 1, size)
    backward = f"SELECT * FROM {table} WHERE seq < ? AND seq > {last} ORDER BY seq DESC LIMIT ?"  # noqa: S608 - as above
    yield from _walk(damaged, backward, 2**62, -1, size)


def _walk(
    damaged: sqlite3.Connection, query: str, seq: int, direction: int, limit: int
) -> Generator[tuple[Any, ...], None, int]:
    """Yield rows in steps, each from the last one's seq on, until there are no more or one cannot be read.

    Return the seq of the last one. In a damaged tree a step may lead back; there it ends.
    """
    while limit:
        try:
            rows = damaged.execute(query, (seq, limit)).fetchall()
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            limit //= 2
            continue
        if not rows or direction * (rows[-1][0] - seq) <= 0:
            break
        yield from rows
        seq = rows[-1][0]
    return seq


def _keep(connection: sqlite3.Connection, table: str, rows: Iterator[tuple[Any, ...]]) -> int:
    """Write rows into the new journal; return how many. Raises JournalUnavailableError if it takes no more."""
    before = connection.total_changes
    names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    _write(connection, "BEGIN IMMEDIATE")
    for row in rows:
        if not _makes_sense(table, row):
            continue
        marks = ", ".join("?" * len(row))
        columns = ", ".join(names[: len(row)])  # a newer schema's come last: an older journal's rows are shorter
        with suppress(sqlite3.IntegrityError, UnicodeEncodeError):
            _write(connection, f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})", row)  # noqa: S608 - as above
    _write(connection, "COMMIT")
    return connection.total_changes - before


def _write(connection: sqlite3.Connection, statement: str, row: tuple[Any, ...] = ()) -> None:
    try:
        connection.execute(statement, row)
    except sqlite3.OperationalError as error:
        raise JournalUnavailableError(
            f"the damaged journal cannot be salvaged: {error}; make room on the disk for a second copy of it"
        ) from error


def _name_orphans(connection: sqlite3.Connection) -> None:
    """Give readings whose sensor could not be read one again: the event itself says whose it is."""
    orphans = connection.execute(
        "SELECT sensor, min(received), body FROM readings WHERE sensor NOT IN (SELECT key FROM sensors) GROUP BY sensor"
    ).fetchall()
    for key, received, body in orphans:
        event = decode_event(body)
        connection.execute(
            "INSERT OR IGNORE INTO sensors (key, id, tags, unit, location, first_seen) VALUES (?, ?, '{}', ?, ?, ?)",
            (key, event.data.sensor_id, event.data.unit, event.sensor_location or "", received),
        )
        (own,) = connection.execute("SELECT key FROM sensors WHERE id = ?", (event.data.sensor_id,)).fetchone()
        connection.execute("UPDATE OR IGNORE readings SET sensor = ? WHERE sensor = ?", (own, key))
        if own != key:
            connection.execute("DELETE FROM readings WHERE sensor = ?", (key,))
    for table in ("detector", *_ROLLUPS):
        connection.execute(f"DELETE FROM {table} WHERE sensor NOT IN (SELECT key FROM sensors)")  # noqa: S608 - as above
