"""A disk that does not read: tried again, told, and the journal is set aside only if that lasts."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.errors import JournalError, JournalUnavailableError
from gateway.journal import Reader, Stream
from gateway.journal.sqlite import read_errors, recovery
from gateway.journal.sqlite.read_errors import ReadErrors, suspicion
from tests.readings import Plant, plant, reading


def read_error() -> sqlite3.OperationalError:
    """Return what SQLite raises for EIO."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_READ"
    return error


class Unreadable:
    """A connection to a disk that does not read what `is_hit` names, `times` times."""

    def __init__(self, connection: Any, is_hit: Callable[[str], bool], times: int) -> None:
        self._connection, self._is_hit, self.times = connection, is_hit, times

    def execute(self, statement: str, *values: Any) -> Any:
        if self._is_hit(statement) and self.times:
            self.times -= 1
            raise read_error()
        return self._connection.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let nobody wait for real; return how long each would have."""
    found: list[float] = []
    monkeypatch.setattr(time, "sleep", found.append)
    return found


def break_disk(here: Plant, words: str, times: int) -> None:
    broken = Unreadable(vars(here.journal)["_db"], lambda statement: words in statement, times)
    for part in (here.journal, here.journal.both):
        vars(part)["_db"] = broken


def test_in_the_middle_of_a_batch_it_is_tried_again_and_nothing_is_judged_twice(
    tmp_path: Path, waits: list[float]
) -> None:
    with plant(tmp_path / "sound") as sound, plant(tmp_path / "broken") as broken:
        for here in (sound, broken):
            here.take(reading(0), reading(5))
        break_disk(broken, "SELECT body FROM readings", 3)
        for here in (sound, broken):
            here.take(reading(1), reading(6, 9.0), reading(5), reading(7, 9.0), reading(8, 9.0))
        assert broken.contents()["readings"] == sound.contents()["readings"]
        assert broken.changes() == sound.changes()
    assert len(waits) == 3


async def test_what_is_asked_of_the_journal_meanwhile_is_unavailable(tmp_path: Path) -> None:
    with plant(tmp_path) as here:
        break_disk(here, "FROM notes", 1)
        with pytest.raises(JournalUnavailableError, match="cannot be read: disk I/O error"):
            await here.journal.call(here.journal.note, "x")
        assert await here.journal.call(here.journal.note, "x") is None


async def test_a_follower_is_told_and_goes_on(tmp_path: Path) -> None:
    with plant(tmp_path) as here, closing(Stream(here.journal, here.path)) as stream:

        def fail(_reader: Reader) -> None:
            raise read_error()

        with pytest.raises(JournalUnavailableError):
            await stream.read(fail)
        assert here.journal.reading.problem is not None
        assert not suspicion(here.path).exists()


def test_only_what_lasts_is_damage(tmp_path: Path) -> None:
    path, now = tmp_path / "journal.db", [0.0]
    reading_ = ReadErrors(path, lambda: now[0])
    for second in (0, 20, 40, 59, 100, 110, 120, 145, 159):  # a pause of half a minute begins the count anew
        now[0] = second
        reading_.passes(read_error())
    assert "look at the disk" in (reading_.problem or "")
    assert not suspicion(path).exists()
    now[0] = 160
    with pytest.raises(JournalError, match="the next start sets aside what it cannot read"):
        reading_.passes(read_error())
    assert suspicion(path).exists()


def test_what_passes_is_forgotten_and_other_errors_are_none_of_it(tmp_path: Path) -> None:
    now = [0.0]
    reading_ = ReadErrors(tmp_path / "journal.db", lambda: now[0])
    reading_.passes(sqlite3.OperationalError("database is locked"))
    assert reading_.problem is None
    with capture_logs() as logs:
        reading_.passes(read_error())
        now[0] = 2
        reading_.succeeded()
    assert reading_.problem is None
    assert [entry["event"] for entry in logs] == ["the disk does not read; trying again", "the disk reads again"]


def corrupt() -> sqlite3.DatabaseError:
    """Return what SQLite raises for EIO in most places, and for damage."""
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def test_what_may_be_damage_is_a_read_error_while_the_files_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plant(tmp_path) as here:
        assert not here.journal.reading.passes(corrupt())
        assert here.journal.reading.passes(corrupt(), benefit=True)
        assert not here.journal.reading.passes(corrupt(), benefit=True), "the benefit of the doubt is given once"

        def fail(*_: object) -> bytes:
            raise OSError

        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", fail)
            assert here.journal.reading.passes(corrupt())


def test_what_is_read_wrong_once_is_read_again(tmp_path: Path) -> None:
    answers = iter([corrupt(), None])

    def read() -> str:
        error = next(answers)
        if error is not None:
            raise error
        return "read"

    assert ReadErrors(tmp_path / "journal.db").twice(read) == "read"


def test_a_disk_that_does_not_read_while_a_batch_is_written_costs_nothing(tmp_path: Path) -> None:
    with plant(tmp_path) as here:
        attributes = vars(here.journal)
        sound = attributes["_db"]
        attributes["_db"] = Unreadable(sound, lambda statement: statement == "COMMIT", 1)
        with pytest.raises(JournalUnavailableError):
            here.take(reading())
        assert len(here.take(reading()).readings) == 1
        assert len(here.contents()["readings"]) == 1


@pytest.mark.parametrize(("errors", "is_set_aside"), [(3, 0), (1000, 1)])
def test_a_start_waits_and_then_keeps_what_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: int, is_set_aside: int
) -> None:
    with plant(tmp_path) as here:
        here.take(reading())
    now, left = [0.0], [errors]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    check = recovery.check_ends

    def failing(connection: sqlite3.Connection) -> None:
        left[0] -= 1
        if left[0] >= 0:
            raise read_error()
        check(connection)

    monkeypatch.setattr(recovery, "check_ends", failing)
    with plant(tmp_path) as here:
        assert (here.journal.salvaged is not None) == is_set_aside
        assert len(here.contents()["readings"]) == 1
    assert len({each.name[:30] for each in tmp_path.glob("*.damaged-*")}) == is_set_aside
    assert now[0] <= read_errors.READS_AGAIN_WITHIN + 2
