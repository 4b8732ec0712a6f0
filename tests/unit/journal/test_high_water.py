"""What SQLite forgets without a word: frames of the write-ahead log that are damaged, cut off, or gone."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.journal import Journal
from gateway.journal.sqlite.high_water import HighWater
from tests.readings import message, plant, reading

SUFFIXES = ("", "-wal", ".mark")
BATCHES = 40
_HEADER = 32


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder as a kill leaves it: everything since the last checkpoint is in the write-ahead log alone."""
    folder = tmp_path_factory.mktemp("killed")
    with plant(tmp_path_factory.mktemp("running")) as here:
        for second in range(BATCHES):
            here.take(reading(second))
        copy(here.directory, folder)
    return folder


def copy(source: Path, target: Path) -> Path:
    for suffix in SUFFIXES:
        shutil.copyfile(source / f"journal.db{suffix}", target / f"journal.db{suffix}")
    return target / "journal.db"


def opened(path: Path) -> tuple[int, str | None]:
    """Open a journal; return the newest reading in it and what it says to be missing."""
    with closing(Journal(path)) as journal:
        return journal.all("last_seq")[0][0], journal.salvaged


def test_after_a_kill_nothing_is_missing(killed: Path, tmp_path: Path) -> None:
    assert opened(copy(killed, tmp_path)) == (BATCHES, None)


@pytest.mark.parametrize("seed", range(40))
def test_lost_frames_are_told_with_their_number(killed: Path, tmp_path: Path, seed: int) -> None:
    path = copy(killed, tmp_path)
    log, chance = path.with_name("journal.db-wal"), random.Random(seed)
    content = bytearray(log.read_bytes())
    where = chance.randrange(len(content))
    if seed % 2:
        del content[where:]
    else:
        content[where] ^= 1 << chance.randrange(8)
    log.write_bytes(content)
    newest, said = opened(path)
    assert newest < BATCHES
    assert said is not None
    assert f"the journal lacks its newest {BATCHES - newest} entries ({newest + 1} to {BATCHES})" in said


def test_no_number_stands_for_two_entries_and_it_is_told_once(killed: Path, tmp_path: Path) -> None:
    copy(killed, tmp_path).with_name("journal.db-wal").unlink()
    with plant(tmp_path) as here:
        assert here.journal.salvaged is not None
        batch = here.take(reading(BATCHES))
        assert batch.readings[0][0] == BATCHES + 1
        here.crash()
        assert here.journal.salvaged is None


def test_damage_that_costs_no_entry_is_told_too(tmp_path: Path) -> None:
    with plant(tmp_path / "running") as here:
        here.take(reading())
        here.journal.move_cursor("influx", 1)
        path = copy(here.directory, tmp_path)
    log = path.with_name("journal.db-wal")
    log.write_bytes(log.read_bytes()[:-10])
    newest, said = opened(path)
    assert newest == 1
    assert said == (
        "the write-ahead log of the journal was damaged, and its newest 1 pages are lost: no entry is among them,"
        " but messages may go out once more"
    )


def test_a_log_that_another_program_has_folded_is_no_damage(killed: Path, tmp_path: Path) -> None:
    path = copy(killed, tmp_path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert opened(path) == (BATCHES, None)


def test_what_is_folded_already_is_not_missed(tmp_path: Path) -> None:
    with plant(tmp_path / "running") as here:
        here.take(reading())
        here.journal.fold_log()
        path = copy(here.directory, tmp_path)
    path.with_name("journal.db-wal").unlink()
    assert opened(path) == (1, None)


def test_entries_that_went_on_purpose_are_not_missed(tmp_path: Path) -> None:
    with plant(tmp_path / "running") as here:
        here.take(message(b"{"))
        (letter,) = here.journal.dead_letters([])
        here.pipeline.replay([letter], 0)  # it fails again: its new number is dropped
        path = copy(here.directory, tmp_path)
        assert here.journal.next_seq == 3
    assert opened(path) == (2, None)


@pytest.mark.parametrize("content", [b"", b"\xff" * 300, b"{}", b'{"seq":99} 00000000', b'{"seq":"x"} 1'])
def test_a_mark_that_cannot_be_read_says_nothing(killed: Path, tmp_path: Path, content: bytes) -> None:
    path = copy(killed, tmp_path)
    path.with_name("journal.db.mark").write_bytes(content)
    assert opened(path) == (BATCHES, None)


def test_without_the_wal_index_entries_are_counted_all_the_same(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal.db")):
        (tmp_path / "elsewhere.db-shm").touch()
        mark = HighWater(tmp_path / "elsewhere.db", 1)
        mark.note(7)
        assert mark.lost(7) is None
        mark.close()
    again = HighWater(tmp_path / "elsewhere.db", 1)
    assert "newest 2 entries (6 to 7)" in (again.lost(5) or "")
    again.close()
