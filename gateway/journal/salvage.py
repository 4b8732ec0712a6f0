"""A damaged journal: noticed, set aside, and whatever can be read of it kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.api import Notification
from gateway.domain.alerts import Alert
from gateway.domain.decoding import EVENT
from gateway.errors import JournalError
from gateway.journal.database import open_for_writing
from gateway.journal.states import decode_state

log = structlog.get_logger(__name__)

RUNNING = "running"
"""The note that is there while a gateway runs; found at a start it says that the last one did not stop in order."""

_NEWEST_ROWS = 20_000
_SLICE = 500
_SMALL_TABLES = ("sensors", "alerts", "outbox", "cursors", "detector", "notes")
BIG_TABLES = ("readings", "events", "dead_letters")
_SUFFIXES = ("", "-wal", "-shm")

_decode_json = msgspec.json.decode
_DECODE: dict[str, Callable[[tuple[Any, ...]], object]] = {
    "sensors": lambda row: _decode_json(row[2], type=dict[str, str]),
    "readings": lambda row: EVENT.decode(row[9]),
    "events": lambda row: _decode_json(row[8], type=dict[str, Any]),
    "alerts": lambda row: _decode_json(row[4], type=Alert),
    "outbox": lambda row: _decode_json(row[9], type=Notification),
    "detector": lambda row: decode_state(row[1]),
}
"""What is encoded in the rows, by their columns' positions: SQLite does not notice damage inside a value."""


def open_or_salvage(path: Path) -> tuple[sqlite3.Connection, str | None]:
    """Open the journal; if it is damaged, set it aside and start a new one with what could be read.

    Return the connection and, in the second case, what happened, in a sentence. After an orderly stop nothing is
    looked through; after any other, the small tables and the newest rows, which bounds the time it takes.
    """
    suspect = suspicion(path)
    try:
        connection = open_for_writing(path)
        if suspect.exists():
            check_everything(connection)
        elif is_running(connection):
            check_newest(connection)
    except (JournalError, sqlite3.DatabaseError) as error:
        if not _is_damage(error):
            raise
        suspect.unlink(missing_ok=True)
        return _salvage(path, error)
    suspect.unlink(missing_ok=True)
    return connection, None


def suspicion(path: Path) -> Path:
    """Return the file that is made when the database says that it is damaged while it is in use."""
    return path.with_name(f"{path.name}.suspect")


def check_everything(connection: sqlite3.Connection) -> None:
    """Look through the whole file, however long it takes. Raises sqlite3.DatabaseError if something is wrong."""
    verdict = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def is_running(connection: sqlite3.Connection) -> bool:
    """Tell whether the journal is one that a gateway has not closed in order."""
    return connection.execute("SELECT 1 FROM notes WHERE name = ?", (RUNNING,)).fetchone() is not None


def check_newest(connection: sqlite3.Connection) -> None:
    """Look through the small tables and the newest rows. Raises sqlite3.DatabaseError if something is wrong."""
    for table in _SMALL_TABLES:
        verdict = connection.execute(f"PRAGMA integrity_check({table})").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"{table}: {verdict}")
        for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 - of the table of tables above
            if not _makes_sense(table, row):
                raise sqlite3.DatabaseError(f"{table}: what row {row[0]} holds cannot be decoded")
    for table in BIG_TABLES:
        newest = connection.execute(f"SELECT coalesce(max(seq), 0) FROM {table}").fetchone()[0]  # noqa: S608 - of the table of tables above
        check_slice(connection, table, newest - _NEWEST_ROWS, newest)


def check_slice(connection: sqlite3.Connection, table: str, after: int, until: int) -> None:
    """Read the rows after < seq <= until, and each reading's entry in the index. Raises sqlite3.DatabaseError."""
    for row in connection.execute(f"SELECT * FROM {table} WHERE seq > ? AND seq <= ?", (after, until)):  # noqa: S608
        if not _makes_sense(table, row):
            raise sqlite3.DatabaseError(f"{table}: what row {row[0]} holds cannot be decoded")
    if table != "readings":
        return
    missing = connection.execute(
        "SELECT count(*) FROM readings AS r WHERE seq > ? AND seq <= ? AND NOT EXISTS ("
        " SELECT 1 FROM readings INDEXED BY readings_key"
        " WHERE event_us = r.event_us AND sensor = r.sensor AND event_id = r.event_id)",
        (after, until),
    ).fetchone()[0]
    if missing:
        raise sqlite3.DatabaseError(f"{missing} readings after {after} are not in the index readings_key")


def _makes_sense(table: str, row: tuple[Any, ...]) -> bool:
    """Tell whether what a row holds can be decoded."""
    try:
        _DECODE.get(table, len)(row)
    except (msgspec.MsgspecError, UnicodeError, ValueError):
        return False
    return True


def _is_damage(error: Exception) -> bool:
    cause = error.__cause__ if isinstance(error, JournalError) else error
    undecodable = "Could not decode" in str(cause)  # a text that is no UTF-8, which Python calls operational
    return isinstance(cause, sqlite3.DatabaseError) and (
        undecodable or not isinstance(cause, sqlite3.OperationalError)
    )


def _salvage(path: Path, error: Exception) -> tuple[sqlite3.Connection, str]:
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for suffix in _SUFFIXES:
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(aside.with_name(aside.name + suffix))
    connection = open_for_writing(path)
    counts: dict[str, int] = {}
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(aside)) as damaged:
        damaged.execute("PRAGMA writable_schema = ON")  # or a file that is too short would not be read at all
        for table in (*_SMALL_TABLES, *BIG_TABLES):
            counts[table] = _keep(connection, table, _readable_rows(damaged, table))
    _name_orphans(connection)
    # Without its cursor the notifier would tell everything again that was ever told.
    newest = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
    connection.execute("INSERT OR IGNORE INTO cursors VALUES ('notifier', ?)", (newest,))
    kept = ", ".join(f"{count} {table.replace('_', ' ')}" for table, count in counts.items() if count) or "nothing"
    sentence = f"the journal was damaged ({error}); it is set aside as {aside.name}; what could be kept of it: {kept}"
    log.error(sentence)
    return connection, sentence


def _readable_rows(damaged: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """Yield what can be read of a table: from its beginning up to the damage, then from its end back to it."""
    if table not in BIG_TABLES:
        with suppress(sqlite3.DatabaseError):
            yield from damaged.execute(f"SELECT * FROM {table}")  # noqa: S608 - of the table of tables above
        return
    last = yield from _walk(damaged, f"SELECT * FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?", -1)  # noqa: S608
    yield from _walk(damaged, f"SELECT * FROM {table} WHERE seq < ? AND seq > {last} ORDER BY seq DESC LIMIT ?", 2**62)  # noqa: S608


def _walk(damaged: sqlite3.Connection, query: str, seq: int) -> Generator[tuple[Any, ...], None, int]:
    """Yield rows in steps, each from the last one's seq on, until there are no more or one cannot be read.

    Return the seq of the last one.
    """
    limit = _SLICE
    while limit:
        try:
            rows = damaged.execute(query, (seq, limit)).fetchall()
        except sqlite3.DatabaseError:
            limit //= 2
            continue
        if not rows:
            break
        yield from rows
        seq = rows[-1][0]
    return seq


def _keep(connection: sqlite3.Connection, table: str, rows: Iterator[tuple[Any, ...]]) -> int:
    """Write rows into the new journal; return how many."""
    before = connection.total_changes
    connection.execute("BEGIN IMMEDIATE")
    for row in rows:
        if not _makes_sense(table, row):
            continue
        marks = ", ".join("?" * len(row))
        with suppress(sqlite3.IntegrityError):
            connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608
    connection.execute("COMMIT")
    return connection.total_changes - before


def _name_orphans(connection: sqlite3.Connection) -> None:
    """Give readings whose sensor could not be read one again: the event itself says whose it is."""
    orphans = connection.execute(
        "SELECT sensor, min(received), body FROM readings WHERE sensor NOT IN (SELECT key FROM sensors) GROUP BY sensor"
    ).fetchall()
    for key, received, body in orphans:
        event = EVENT.decode(body)
        connection.execute(
            "INSERT OR IGNORE INTO sensors VALUES (?, ?, '{}', ?, ?, ?)",
            (key, event.data.sensor_id, event.data.unit, event.sensor_location or "", received),
        )
