"""Opening the journal's file: pragmas, schema versions, the lock, copies."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from contextlib import ExitStack, closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.engine.event_log import READING_COLUMNS
from gateway.errors import JournalError, JournalInUseError, JournalUnavailableError

log = structlog.get_logger(__name__)

FILE_NAME = "journal.db"
_MIGRATION = re.compile(r"(\d{4})_\w+\.sql")
_PACKAGE = files("gateway.journal")


def load_queries() -> dict[str, str]:
    """Return name -> statement of queries.sql."""
    text = (_PACKAGE / "queries.sql").read_text(encoding="utf-8")
    marks = ", ".join("?" * len(READING_COLUMNS))
    text = text.replace(":columns:", ", ".join(READING_COLUMNS)).replace(":marks:", marks)
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (text.strip() for text in parts[2::2]), strict=True))


def migrations(directory: Any = _PACKAGE / "schema") -> list[str]:
    """Return the scripts that lead from an empty file to the newest schema, one for each version from 1."""
    found = sorted(entry.name for entry in directory.iterdir() if _MIGRATION.fullmatch(entry.name))
    return [(directory / name).read_text(encoding="utf-8") for name in found]


def version_of(path: Path) -> tuple[int, list[str]]:
    """Return the version of a journal's schema, and the names of the changes that this program has on top of it.

    There are none for a newer program's journal. Raises JournalError if the file cannot be read or is no journal.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise JournalError(f"{path} cannot be read: {error}") from error
    return version, _names()[version:]


def newest_version() -> int:
    """Return the version of the schema that this program writes."""
    return len(_names())


def _names() -> list[str]:
    found = sorted(entry.name for entry in (_PACKAGE / "schema").iterdir() if _MIGRATION.fullmatch(entry.name))
    return [name[5:-4].replace("_", " ") for name in found]


def open_for_writing(path: Path, scripts: list[str] | None = None) -> sqlite3.Connection:
    """Open or create the journal and bring its schema up to date, keeping a copy of what an older program made.

    Raises JournalError if a newer program made it or if it is not a journal.
    """
    scripts = migrations() if scripts is None else scripts
    with ExitStack() as stack:
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            stack.callback(connection.close)
            _set_up(connection, path)
            _migrate(connection, path, scripts)
        except sqlite3.OperationalError as error:
            raise JournalUnavailableError(f"{path} cannot be opened for writing: {error}") from error
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{path} is damaged or not a journal: {error}") from error
        stack.pop_all()
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open an existing journal without the right to change anything. Another process may be writing to it."""
    try:
        is_there = path.is_file()
    except OSError as error:
        raise JournalError(
            f"{path} cannot be read: {error.strerror}; run this as the gateway's user, or as a member of its group"
        ) from error
    if not is_there:
        raise JournalError(f"there is no journal at {path}; has the gateway run with this state_dir?")
    with ExitStack() as stack:
        try:
            connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False, timeout=10
            )
            stack.callback(connection.close)
            connection.execute("PRAGMA temp_store = MEMORY")  # a large answer needs no room on the disk
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError as error:
            raise JournalError(f"{path} cannot be read: {error}") from error
        if version != (newest := len(migrations())):
            hint = "start the gateway once to bring it up to date" if version < newest else "a newer program made it"
            raise JournalError(f"{path} has schema version {version}, this program reads {newest}: {hint}")
        stack.pop_all()
    return connection


def copy(path: Path, target: Path) -> int:
    """Copy a journal, in use or not, into a new file, consistently; return the number of readings in the copy."""
    with closing(open_for_reading(path)) as source:
        try:
            target.touch(mode=0o600, exist_ok=False)  # it holds names and numbers of people
        except FileExistsError:
            raise JournalError(f"{target} exists already; a backup never overwrites") from None
        except OSError as error:
            raise JournalError(f"{target} cannot be made: {error.strerror}") from error
        try:
            with closing(sqlite3.connect(target)) as destination:
                source.backup(destination)
                destination.execute("PRAGMA journal_mode = DELETE")
                verdict = destination.execute("PRAGMA quick_check").fetchone()[0]
                count: int = destination.execute(load_queries()["count_readings"]).fetchone()[0]
        except sqlite3.Error as error:
            target.unlink()
            raise JournalError(f"{path} could not be copied to {target}: {error}") from error
    if verdict != "ok":
        raise JournalError(f"the copy {target} is damaged, so {path} probably is: {verdict}")
    return count


class StateLock:
    """The lock that makes a state directory one gateway's. It ends with the process, however that ends."""

    def __init__(self, state_dir: Path) -> None:
        try:
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._file = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise JournalError(f"gateway.state_dir {state_dir} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(self._file, 32).decode(errors="replace").strip()
            os.close(self._file)
            raise JournalInUseError(
                f"{state_dir} is in use by another gateway (process {owner or 'unknown'})"
            ) from None
        os.ftruncate(self._file, 0)
        os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give the directory back."""
        os.close(self._file)


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA secure_delete = FAST")  # or all that is freed would be written again, to overwrite it
    mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
    level = connection.execute("PRAGMA synchronous").fetchone()[0]
    if (mode, level) != ("wal", 2):
        raise JournalError(
            f"{path}: this file system gives journal_mode={mode}, synchronous={level} instead of wal and 2 (FULL),"
            " so a power cut could lose readings; choose a gateway.state_dir on a local disk"
        )


def _migrate(connection: sqlite3.Connection, path: Path, scripts: list[str]) -> None:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(scripts):
        raise JournalError(
            f"{path} has schema version {version}; this program knows {len(scripts)}."
            " A newer program made it: install that again, or use another gateway.state_dir"
        )
    if 0 < version < len(scripts):
        saved = path.with_name(f"{path.name}.version-{version}")
        saved.unlink(missing_ok=True)
        with closing(sqlite3.connect(saved)) as destination:
            connection.backup(destination)
        log.info("an older program made the journal; it is brought up to date", version=len(scripts), copy=str(saved))
    for number, script in enumerate(scripts[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells this file from every other one that may get its name; None if there is none to be reached."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
