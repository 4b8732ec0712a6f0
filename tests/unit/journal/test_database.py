"""Opening the journal: versions, copies, the lock."""

import json
import re
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import JournalError, JournalUnavailableError
from gateway.journal import FILE_NAME, Journal, Reader, StateLock, copy
from gateway.journal.sqlite.connection import load_queries, migrations, open_for_reading, open_for_writing
from tests.readings import plant, reading

VERSION_1 = Path(__file__).parents[2] / "data/journal-v1.sql"
ADDED = "ALTER TABLE sensors ADD COLUMN note TEXT NOT NULL DEFAULT 'none';"

_VERSION_BEFORE = 6
"""The schema of the last release."""


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table."""
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: database.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in names}  # noqa: S608 - our own names


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        number: int = database.execute("PRAGMA user_version").fetchone()[0]
        return number


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A journal that version 1 of the program has left behind."""
    path = tmp_path / FILE_NAME
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VERSION_1.read_text(encoding="utf-8"))
    return path


@pytest.fixture
def current(old: Path) -> Path:
    """The same, brought up to date."""
    open_for_writing(old).close()
    return old


@pytest.fixture
def scripts() -> list[str]:
    """Migrations up to a version 2 that is made up for the test."""
    return [migrations()[0], ADDED]


class TestVersions:
    def test_a_new_journal_has_the_newest_schema_and_is_as_durable_as_promised(self, tmp_path: Path) -> None:
        with closing(open_for_writing(tmp_path / FILE_NAME)) as database:
            assert database.execute("PRAGMA user_version").fetchone()[0] == len(migrations())
            assert database.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            assert database.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert [file.name for file in tmp_path.iterdir()] == [FILE_NAME]

    def test_a_stored_journal_of_version_1_is_what_its_script_makes(self, old: Path, tmp_path: Path) -> None:
        with (
            closing(open_for_writing(tmp_path / "new.db", migrations()[:1])) as new,
            closing(sqlite3.connect(old)) as was,
        ):
            query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
            assert was.execute(query).fetchall() == new.execute(query).fetchall()

    def test_this_program_reads_a_journal_of_version_1(self, old: Path) -> None:
        journal = Journal(old)
        try:
            assert [sensor.id for sensor in journal.sensors()] == ["VB-1", "VB-2"]
            assert [alert.severity for alert in journal.open_alerts()] == ["warning"]
            assert journal.next_seq == 7
        finally:
            journal.close()
        with closing(Reader(old)) as reader:
            step = reader.step(0, 100)
            assert [row.event().data.vibration_level for row in step.readings] == [8.0, 8.0, 8.0, 4.0]
            assert [entry.fact.type for entry in step.entries] == ["AlertRaised"]
            assert reader.count_dead_letters() == 1

    def test_bringing_it_up_to_date_keeps_the_data_and_a_copy_of_it_as_it_was(
        self, old: Path, scripts: list[str]
    ) -> None:
        before = contents(old)
        with closing(open_for_writing(old, scripts)):
            pass
        after = contents(old)
        assert [row[-1] for row in after["sensors"]] == ["none", "none"]
        after["sensors"] = [row[:-1] for row in after["sensors"]]
        assert after == before
        kept = old.with_name(f"{FILE_NAME}.version-1")
        assert (contents(kept), version(kept), version(old)) == (before, 1, 2)

    def test_a_second_opening_neither_migrates_nor_copies_again(self, old: Path, scripts: list[str]) -> None:
        with closing(open_for_writing(old, scripts)):
            pass
        old.with_name(f"{FILE_NAME}.version-1").unlink()
        with closing(open_for_writing(old, scripts)):
            pass
        assert not old.with_name(f"{FILE_NAME}.version-1").exists()

    def test_a_migration_that_fails_changes_nothing_and_can_be_tried_again(self, old: Path, scripts: list[str]) -> None:
        before = contents(old)
        with pytest.raises(JournalUnavailableError):
            open_for_writing(old, [*scripts, "CREATE TABLE more (x); INSERT INTO no_such_table VALUES (1);"])
        assert version(old) == 2
        with closing(open_for_writing(old, [*scripts, "CREATE TABLE more (x);"])):
            pass
        assert version(old) == 3
        assert contents(old)["readings"] == before["readings"]
        assert contents(old.with_name(f"{FILE_NAME}.version-1")) == before

    def test_an_older_program_refuses_a_newer_journal_and_leaves_it_as_it_is(
        self, old: Path, scripts: list[str]
    ) -> None:
        with closing(open_for_writing(old, scripts)):
            pass
        before = contents(old)
        with pytest.raises(JournalError, match=r"schema version 2.*knows 1.*newer program"):
            open_for_writing(old, scripts[:1])
        assert contents(old) == before

    def test_the_program_before_refuses_the_journal_of_this_one(self, tmp_path: Path) -> None:
        """It would take a silence of a tag for one of everything, and could not read what the inputs have kept."""
        path = tmp_path / FILE_NAME
        with closing(open_for_writing(path)):
            pass
        before = contents(path)
        with pytest.raises(JournalError, match="A newer program made it: install that again, or use another"):
            open_for_writing(path, migrations()[:_VERSION_BEFORE])
        assert contents(path) == before

    def test_a_reader_says_what_to_do_about_another_version(self, old: Path, scripts: list[str]) -> None:
        with closing(open_for_writing(old, [*migrations(), *scripts[1:]])):
            pass
        with pytest.raises(JournalError, match="a newer program made it"):
            open_for_reading(old)
        with closing(sqlite3.connect(old)) as database:
            database.execute("PRAGMA user_version = 0")
        with pytest.raises(JournalError, match="start the gateway once"):
            open_for_reading(old)


class TestWhatIsNoJournal:
    def test_another_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / FILE_NAME
        path.write_bytes(b"This is no database, but long enough to be looked at." * 100)
        with pytest.raises(JournalError, match="not a journal"):
            open_for_writing(path)
        with pytest.raises(JournalError, match="cannot be read"):
            open_for_reading(path)

    def test_a_place_that_cannot_be_written_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(JournalUnavailableError, match="cannot be opened for writing"):
            open_for_writing(tmp_path / "missing" / FILE_NAME)

    def test_a_reader_of_nothing_says_where_it_looked(self, tmp_path: Path) -> None:
        with pytest.raises(JournalError, match=f"no journal at {tmp_path}"):
            open_for_reading(tmp_path / FILE_NAME)

    def test_a_reader_cannot_change_anything(self, current: Path) -> None:
        with closing(open_for_reading(current)) as database, pytest.raises(sqlite3.OperationalError, match="readonly"):
            database.execute("DELETE FROM readings")


class TestCopies:
    def test_a_copy_is_complete_and_counts_its_readings(self, current: Path, tmp_path: Path) -> None:
        target = tmp_path / "backup.db"
        assert copy(current, target) == 4
        assert contents(target) == contents(current)
        with closing(Reader(target)) as reader:
            assert reader.count_readings() == 4

    def test_a_copy_never_overwrites(self, current: Path, tmp_path: Path) -> None:
        target = tmp_path / "backup.db"
        target.write_text("precious")
        with pytest.raises(JournalError, match="exists already"):
            copy(current, target)
        assert target.read_text() == "precious"

    def test_a_copy_that_cannot_be_made_leaves_nothing_behind(self, current: Path, tmp_path: Path) -> None:
        with pytest.raises(JournalError, match="cannot be made"):
            copy(current, tmp_path / "missing" / "backup.db")
        target = tmp_path / "backup.db"
        with pytest.raises(JournalError, match="no journal"):
            copy(tmp_path / "missing.db", target)
        assert not target.exists()

    def test_a_copy_of_a_journal_that_is_being_written_is_consistent(self, tmp_path: Path) -> None:
        """Every batch holds as many readings of the one sensor as of the other, and a copy holds whole batches."""
        stop, written = threading.Event(), threading.Event()
        copies = [tmp_path / f"{number}.db" for number in range(5)]
        counts = []
        with plant(tmp_path / "state") as here:

            def write() -> None:
                second = 0
                while not stop.is_set():
                    here.take(reading(second, 4.0, "VB-1"), reading(second, 4.0, "VB-2"))
                    second += 1
                    written.set()

            writer = threading.Thread(target=write)
            writer.start()
            for target in copies:
                written.clear()
                assert written.wait(10)
                counts.append(copy(here.path, target))
            stop.set()
            writer.join()
        assert counts == sorted(set(counts))
        for target, count in zip(copies, counts, strict=True):
            found = contents(target)
            per_sensor = [sum(row[2] == key for row in found["readings"]) for key in (1, 2)]
            assert per_sensor == [count / 2, count / 2]
            assert not target.with_name(f"{target.name}-wal").exists()


class TestTheLock:
    def test_a_second_gateway_is_told_which_process_has_the_directory(self, tmp_path: Path) -> None:
        lock = StateLock(tmp_path / "state")
        with pytest.raises(JournalError, match=r"in use by another gateway \(process \d+\)"):
            StateLock(tmp_path / "state")
        lock.release()
        StateLock(tmp_path / "state").release()

    def test_a_directory_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(JournalError, match=r"state_dir .*file/state cannot be used"):
            StateLock(tmp_path / "file" / "state")


def test_every_statement_is_sql_that_the_schema_understands(tmp_path: Path) -> None:
    with closing(open_for_writing(tmp_path / FILE_NAME)) as database:
        for name, statement in load_queries().items():
            numbered = {int(number) for number in re.findall(r"\?(\d)", statement)}
            values = [None] * (max(numbered) if numbered else statement.count("?"))
            readable = statement.replace("ROLLUPS", "rollups_1m")
            try:
                assert database.execute(f"EXPLAIN {readable}", values).fetchall()
            except sqlite3.Error as wrong:
                pytest.fail(f"{name}: {wrong}")


def test_the_stored_journal_holds_events_as_they_were_published(current: Path) -> None:
    bodies = [row[-1] for row in contents(current)["readings"]]
    assert [json.loads(bytes(body))["eventId"] for body in bodies if isinstance(body, bytes)] == [
        "VB-1@0",
        "VB-1@1",
        "VB-1@2",
        "VB-2@0",
    ]


def test_a_reading_of_an_older_journal_keeps_its_level_and_a_new_one_needs_none(old: Path) -> None:
    before = contents(old)["readings"]
    with closing(open_for_writing(old)) as database:
        (newest,) = database.execute("SELECT * FROM readings ORDER BY seq DESC LIMIT 1").fetchall()
        row = (newest[0] + 1, *newest[1:3], "another", *newest[4:6], None, None, *newest[8:10])
        database.execute("INSERT INTO readings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert contents(old)["readings"][:-1] == before
