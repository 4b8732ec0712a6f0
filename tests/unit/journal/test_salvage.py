"""A journal that is damaged: whatever it is, the gateway goes on with what can be read, and the rest is kept."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.notification.matching import Matchers
from gateway.domain.notification.outbox import OutboxItem, Planning
from gateway.domain.notification.silences import Silence
from gateway.journal import Journal
from gateway.journal.maintenance import sealing
from gateway.journal.outbox.rows import Messages
from gateway.journal.outbox.silences import add
from gateway.journal.sqlite.read_errors import suspicion
from tests.examples import examples
from tests.notifications import CRITICAL
from tests.readings import Plant, message, plant, reading

READINGS = 400
VERSION_1 = Path(__file__).parents[2] / "data/journal-v1.sql"
Damage = Callable[[bytearray], None]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a journal with something in every table, which nobody uses."""
    folder = tmp_path_factory.mktemp("sound")
    with plant(folder) as here:
        for second in range(READINGS // 2):
            here.take(*(reading(second, 8.0 if second % 20 < 10 else 4.0, sensor) for sensor in ("VB-1", "VB-2")))
        here.take(message(b"{"))
        here.pipeline.snapshot()
        messages = Messages(here.journal)
        item = OutboxItem("n1", "mail", 0, 1, "fact-1", "first", CRITICAL)
        messages.enqueue(Planning(0, [item], records=[("flaps", "VB-1", b'{"times":[1]}')]), "notifier", 5)
        add(messages, Silence("s1", Matchers(sensors=("VB-1",)), "anna", "", 0, 10), 1)
        here.journal.move_cursor("influx", 7)
        with here.reader() as reader:
            for _ in range(8):
                step = sealing.next_block(reader, 2**62, (2**62, 2**63 - 1), 25)
                assert step is not None
                assert sealing.put(here.journal, step)
    return folder


def copied(sound: Path, folder: Path, damage: Damage) -> Path:
    """Copy the journal, damage the copy, and return its path."""
    path = folder / "journal.db"
    content = bytearray((sound / "journal.db").read_bytes())
    damage(content)
    path.write_bytes(content)
    return path


def suspected(path: Path) -> Path:
    suspicion(path).touch()
    return path


def garbage(start: float, length: int, seed: int = 0) -> Damage:
    """Overwrite so many bytes from that fraction of the file on."""

    def damage(content: bytearray) -> None:
        first = int(start * len(content))
        count = min(length, len(content) - first)
        content[first : first + count] = random.Random(seed).randbytes(count)

    return damage


def truncated(fraction: float) -> Damage:
    return lambda content: content.__delitem__(slice(int(fraction * len(content)), None))


def without_header(content: bytearray) -> None:
    content[:100] = bytes(100)


def read_everything(here: Plant) -> dict[str, Any]:
    """Read all that anybody may ask for; an error would be one that a running gateway runs into."""
    contents = here.contents()
    for row in contents["readings"]:
        row.event()
    journal = here.journal
    journal.sensors()
    while Messages(journal).take("mail", 2**62):
        pass
    return contents


def assert_useful(here: Plant) -> None:
    """Check that what is left can be read, and that readings are taken as ever, after another restart too."""
    known = {row.event_id for row in read_everything(here)["readings"]}
    here.crash()
    assert here.take(reading(READINGS, 4.0), reading(READINGS + 1, 4.0, "VB-NEW")).readings
    contents = read_everything(here)
    assert {row.event_id for row in contents["readings"]} >= known
    assert here.crash() >= 0
    assert here.journal.salvaged is None


def aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("journal.db.damaged-*Z"))


@pytest.mark.parametrize(
    "damage",
    [garbage(0.5, 20_000), truncated(0.5), without_header, garbage(0.9, 4096)],
    ids=["garbage in the middle", "truncated", "no header", "garbage at the end"],
)
def test_a_damaged_journal_is_set_aside_whole_and_its_readable_part_goes_on(
    tmp_path: Path, sound: Path, damage: Damage
) -> None:
    path = suspected(copied(sound, tmp_path, damage))
    before = path.read_bytes()
    with plant(tmp_path) as here:
        said = here.journal.salvaged
        assert said is not None
        (kept,) = aside(path)
        assert kept.name in said
        assert kept.read_bytes() == before
        count = len(here.contents()["readings"])
        assert (f"{count} readings" in said) == (count > 0)
        assert not suspicion(path).exists()
        assert_useful(here)


def test_what_the_damage_has_not_reached_is_kept(tmp_path: Path, sound: Path) -> None:
    """A page in the middle is lost, and with it the readings on it: not those before and after."""
    path = suspected(copied(sound, tmp_path, in_table(sound, "readings")))
    with plant(tmp_path) as here:
        rows = here.contents()["readings"]
        assert READINGS - 30 < len(rows) < READINGS
        assert (rows[0].event_id, rows[-1].event_id) == ("VB-1@0", f"VB-2@{READINGS // 2 - 1}")
        contents = here.contents()
        assert len(contents["sensors"]) == 2
        assert here.journal.cursor("influx") == 7
        assert contents["dead letters"] == {"not_json": 1}
    assert aside(path)


def test_of_sealed_readings_a_block_is_lost_at_most(tmp_path: Path, sound: Path) -> None:
    path = suspected(copied(sound, tmp_path, in_block(sound, 3)))
    with plant(tmp_path) as here:
        assert here.journal.salvaged is not None
        assert "sealed: the block of readings from" in here.journal.salvaged
        rows = here.contents()["readings"]
        assert len(rows) == READINGS - 25
        with here.reader() as reader:
            assert reader.find_reading("VB-1@10") is not None
            assert reader.find_reading("VB-1@40") is None
        assert_useful(here)
    assert aside(path)


def in_block(sound: Path, number: int) -> Damage:
    """Flip a bit in a block of readings."""
    with closing(sqlite3.connect(sound / "journal.db")) as database:
        ((bodies,),) = database.execute("SELECT bodies FROM sealed ORDER BY seq LIMIT 1 OFFSET ?", (number,))

    def damage(content: bytearray) -> None:
        content[content.index(bodies[:200]) + 100] ^= 1

    return damage


def in_table(sound: Path, table: str) -> Damage:
    """Overwrite a leaf page of a table."""
    with closing(sqlite3.connect(sound / "journal.db")) as database:
        pages = database.execute(
            "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY pageno", (table,)
        ).fetchall()
        size = database.execute("PRAGMA page_size").fetchone()[0]
    first = (pages[len(pages) // 2][0] - 1) * size

    def damage(content: bytearray) -> None:
        content[first : first + size] = b"\xff" * size

    return damage


def test_a_sensor_that_cannot_be_read_gets_its_name_back_from_its_readings(tmp_path: Path, sound: Path) -> None:
    path = suspected(copied(sound, tmp_path, in_table(sound, "sensors")))
    with plant(tmp_path) as here:
        assert {sensor.id for sensor in here.contents()["sensors"]} == {"VB-1", "VB-2"}
        assert_useful(here)
    assert aside(path)


def test_a_damaged_journal_of_an_older_version_is_kept_too(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VERSION_1.read_text(encoding="utf-8"))
    content = bytearray(path.read_bytes())
    truncated(0.9)(content)
    path.write_bytes(content)
    with plant(tmp_path) as here:
        assert [row.event_id for row in here.contents()["readings"]]
        assert_useful(here)
    (kept,) = aside(path)
    assert int.from_bytes(kept.read_bytes()[60:64]) == 1, "the version in the file's header"


def test_nobody_is_told_again_where_the_notifiers_place_is_lost(tmp_path: Path, sound: Path) -> None:
    suspected(copied(sound, tmp_path, in_table(sound, "cursors")))
    with plant(tmp_path) as here:
        newest = max(seq for seq, _ in here.contents()["facts"])
        assert here.journal.cursor("notifier") == newest


def test_a_sound_journal_that_was_suspected_stays(tmp_path: Path, sound: Path) -> None:
    path = suspected(copied(sound, tmp_path, lambda _: None))
    with plant(tmp_path) as here:
        assert here.journal.salvaged is None
        assert len(here.contents()["readings"]) == READINGS
    assert aside(path) == []
    assert not suspicion(path).exists()


def test_after_an_end_out_of_order_the_newest_rows_are_looked_through(tmp_path: Path, sound: Path) -> None:
    running = tmp_path / "running"
    running.mkdir()
    shutil.copy(sound / "journal.db", running)
    with plant(running) as here:
        here.journal.begin()
        ended_badly = tmp_path / "copy"
        ended_badly.mkdir()
        here.journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # noqa: SLF001 - to have it all in one file
        path = copied(running, ended_badly, in_table(running, "readings"))
    with plant(ended_badly) as here:
        assert here.journal.salvaged is not None
        assert_useful(here)
    assert aside(path)


def test_a_header_of_no_known_format_is_damage(tmp_path: Path, sound: Path) -> None:
    path = copied(sound, tmp_path, lambda content: content.__setitem__(slice(44, 48), b"\0\0\0\x09"))
    with plant(tmp_path) as here:
        assert "unsupported file format" in str(here.journal.salvaged)
        assert_useful(here)
    assert aside(path)


def test_an_error_that_is_no_damage_moves_nothing(tmp_path: Path, sound: Path) -> None:
    path = copied(sound, tmp_path, lambda _: None)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 1000")
    with pytest.raises(Exception, match="A newer program made it"):
        Journal(path)
    assert aside(path) == []


starts = st.floats(0, 1, exclude_max=True)


@examples(60)
@given(starts, st.sampled_from([1, 16, 200, 5_000, 40_000]), st.integers(0, 2**32), st.booleans())
def test_whatever_is_overwritten_the_gateway_goes_on(
    sound: Path,
    start: float,
    length: int,
    seed: int,
    cut: bool,  # noqa: FBT001 - drawn
) -> None:
    with TemporaryDirectory() as folder:
        suspected(copied(sound, Path(folder), truncated(start) if cut else garbage(start, length, seed)))
        with plant(Path(folder)) as here:
            assert_useful(here)
