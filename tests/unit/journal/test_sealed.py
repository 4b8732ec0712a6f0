"""Sealed blocks: exact, small, whole or named; and every question is answered as if nothing were sealed."""

import subprocess
import sys
import uuid
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.domain.engine.event_log import ReadingRow, StoredReading
from gateway.domain.model.events import derived_id
from gateway.errors import JournalUnavailableError
from gateway.journal import Reader
from gateway.journal.maintenance import purge, sealing
from gateway.journal.queries import export
from gateway.journal.sealed import block, finding
from gateway.journal.sealed.block import Block, DamagedBlockError, seal
from tests.examples import examples
from tests.readings import NOON_NS, SECOND, Plant, event, message, plant, reading

ANY_AGE = (2**62, 2**63 - 1)

integers = st.integers(-(2**62), 2**62)
times = st.integers(-(2**62) // 1000, 2**62 // 1000)
levels = st.none() | st.floats(allow_nan=False) | st.integers(-(10**9), 10**9).map(lambda n: n / 1000)
texts = st.text(max_size=40) | st.uuids().map(str) | st.sampled_from(["", "A" * 36, "-" * 36])


@st.composite
def rows(draw: st.DrawFn) -> list[ReadingRow]:
    found: list[ReadingRow] = []
    for seq in sorted(draw(st.sets(st.integers(1, 2**40), min_size=1, max_size=12))):
        event_id, body = draw(texts), draw(st.binary(max_size=60))
        kind = draw(st.sampled_from(["inside", "apart", "of content"]))
        if kind == "inside":
            body = body[:7] + event_id.encode() + body[7:]
        elif kind == "of content":
            event_id = derived_id(sha256(body).hexdigest())
        event_us = draw(times)
        level = draw(levels)
        found.append((
            seq, event_us, draw(st.integers(1, 400)), event_id, event_us * 1000 + draw(st.integers(0, 10**7)),
            draw(integers), None if level is None else level + 0.0, draw(levels), draw(st.integers(0, 7)), body,
        ))  # fmt: skip
    return found


@examples(100)
@given(rows())
def test_a_block_gives_back_exactly_what_was_sealed(given_rows: list[ReadingRow]) -> None:
    made = seal(3, given_rows)
    found = Block(made.parts)
    assert list(found.rows()) == given_rows
    for row in given_rows:
        begin = row[3][:9]
        assert row[3] in found.ids_that_begin(begin)
        assert all(each.startswith(begin) for each in found.ids_that_begin(begin))


REST = {
    "source": "VibrationSensor",
    "sensorLocation": "Motor Assembly Line B, Conveyor Unit 4",
    "version": "v1.2",
    "metadata": {"model": "VibroMonitor Pro X1", "calibrationDate": "2023-06-15"},
    "systemMessage": "Vibration level recorded exceeds the acceptable threshold. Immediate inspection required.",
}


def typical(count: int, *, has_id: bool) -> list[ReadingRow]:
    """Return readings of the event that the documentation shows, a hundred sensors in turn."""
    made: list[ReadingRow] = []
    for number in range(count):
        level = round(4 + (number * 7919 % 613) / 1000, 3)
        data: dict[str, Any] = {"baselineVibrationLevel": 4.0, "unit": "m/s²", "difference": round(level - 4, 3)}
        random = str(uuid.UUID(bytes=sha256(b"%d" % number).digest()[:16]))
        body = event(number / 100, level, f"VB-{number % 100}", id_=random if has_id else None, **data) | REST
        payload = message(body).payload
        event_us = NOON_NS // 1000 + number * 10_000
        event_id = random if has_id else derived_id(sha256(payload).hexdigest())
        received = event_us * 1000 + 500_000 + number * 7919 % 2_000_003
        made.append((number + 1, event_us, number % 100, event_id, event_us * 1000, received, level, 4.0, 0, payload))
    return made


@pytest.mark.parametrize(("has_id", "most"), [(True, 48), (False, 32)])
def test_a_sealed_reading_takes_up_a_tenth(*, has_id: bool, most: int) -> None:
    count = 2000
    made = seal(0, typical(count, has_id=has_id))
    assert sum(map(len, made.parts)) / count < most


def test_a_flipped_bit_in_any_part_is_noticed() -> None:
    made = seal(0, typical(20, has_id=True))
    for number, part in enumerate(made.parts):
        for place in range(0, len(part), 31):
            bad = bytearray(part)
            bad[place] ^= 4
            parts = [*made.parts[:number], bytes(bad), *made.parts[number + 1 :]]
            with pytest.raises(DamagedBlockError):
                block.check(parts)
            with pytest.raises(DamagedBlockError):
                list(Block(parts).rows())


@examples(20)
@given(st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=20), min_size=1, max_size=finding.SEGMENT))
def test_every_id_is_found_where_it_is(hashes: list[list[int]]) -> None:
    blocks = [(place, finding.hashes_in(finding.packed_hashes(each))) for place, each in enumerate(hashes)]
    entries = dict(finding.entries_of([(place, each) for place, each in blocks if each is not None]))
    for place, each in enumerate(hashes):
        for hashed in each:
            assert place in (finding.blocks_in(entries[finding.bucket_of(hashed)], hashed) or set())


def seal_all(here: Plant, size: int, *, most: int = 100) -> None:
    """Seal blocks of so many readings as long as there are enough for one."""
    with here.reader() as reader:
        for _ in range(most):
            step = sealing.next_block(reader, 2**62, ANY_AGE, size)
            if step is None:
                return
            assert sealing.put(here.journal, step)


def exported(reader: Reader, since_ns: int | None, until_ns: int | None) -> list[StoredReading]:
    wanted = export.Wanted(None, None, since_ns, until_ns)
    return [each for _, page in export.readings(reader, wanted) for each in page]


def summed_up(
    rows: Iterable[tuple[int, int, float, float, float, int]],
) -> dict[tuple[int, int], tuple[float, float, float, int]]:
    """Return what rows come to in a table of rollups, where those of one time are put together."""
    found: dict[tuple[int, int], tuple[float, float, float, int]] = {}
    for sensor, begin, low, mean, high, count in rows:
        least, total, most, number = found.get((sensor, begin), (low, 0.0, high, 0))
        found[sensor, begin] = min(low, least), round(total + mean * count, 6), max(high, most), number + count
    return found


def answers(here: Plant) -> dict[str, object]:
    """Return what everybody who reads the journal is told of it."""
    with here.reader() as reader:
        whole = reader.step(0, 10_000)
        found = whole.readings
        spans = [(None, None), (NOON_NS + 2 * SECOND, NOON_NS + 9 * SECOND)]
        sensors = ["VB-1", "VB-2", None]
        ids = sorted({each.event_id for each in found})
        journal = here.journal
        return {
            "steps": whole,
            "from the middle": reader.step(len(found) // 2, 3),
            "newest": [list(reader.readings(s, *span, n)) for s in sensors for span in spans for n in (2, 10_000, -1)],
            "counts": [reader.count(s, *span) for s in sensors for span in spans],
            "all": reader.count_readings(),
            "exported": [exported(reader, *span) for span in spans],
            "with id": [reader.find_reading(each) for each in ids],
            "behind": [reader.reading_behind(entry.fact) for entry in whole.entries],
            "begins": [reader.ids_that_begin(each[: len(each) // 2]) for each in ids],
            "last": reader.last_readings(),
            "since": [reader.before(NOON_NS + second * SECOND) for second in (0, 4, 400)],
            "trend": [reader.trend(s, NOON_NS, NOON_NS + 100 * SECOND) for s in ("VB-1", "VB-2")],
            "levels": summed_up(reader.summaries(10, 0, 10_000)),
            "last seq": reader.last_seq(),
            "duplicates": [
                (journal.find_reading(us, key, each), journal.count_same_time(us, key))
                for us, each in {(r.time_ns // 1000, r.event_id) for r in found} for key in (1, 2)
            ],
            "taken up": [list(journal.both.recent(2**62, n)) for n in (3, 1000)],
            "times": journal.newest_times(7),
        }  # fmt: skip


published = st.tuples(
    st.integers(0, 12), st.sampled_from(["VB-1", "VB-2", "VB-3"]), st.sampled_from([4.0, 4.125, 30.0]),
    st.sampled_from([0.0, 3e8]), st.booleans(),
)  # fmt: skip


@examples(40)
@given(st.lists(published, min_size=1, max_size=40), st.integers(1, 9), st.integers(0, 100))
def test_sealed_or_not_every_question_has_the_same_answer(
    history: list[tuple[int, str, float, float, bool]], size: int, most: int
) -> None:
    with TemporaryDirectory() as directory, plant(Path(directory)) as here:
        for second, sensor, level, ahead, has_id in history:
            made = event(second + ahead, level, sensor, id_="" if has_id else None)
            here.take(message(made, second=second + 0.5))
        here.pipeline.snapshot()
        before = answers(here)
        seal_all(here, size, most=most)
        assert answers(here) == before


def test_a_damaged_block_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    with plant(tmp_path) as here:
        here.take(*(reading(second) for second in range(30)))
        seal_all(here, 10)
        here.journal._db.execute("UPDATE sealed SET bodies = zeroblob(9) WHERE seq = 11")  # noqa: SLF001 - as a damaged disk does
        with here.reader() as reader, capture_logs() as logs:
            found = reader.step(0, 100).readings
            reader.step(0, 100)
        assert [each.seq for each in found] == [*range(1, 11), *range(21, 31)]
        assert [(entry["first"], entry["last"]) for entry in logs] == [(11, 20)]


def test_sealed_readings_are_trimmed_and_purged(tmp_path: Path) -> None:
    with plant(tmp_path) as here, here.reader() as reader:
        here.take(*(reading(second, sensor=f"VB-{second % 2}") for second in range(40)))
        seal_all(here, 10)
        assert reader.sealed_figures()[:2] == (4, 40)
        assert sealing.trim(here.journal, 40, NOON_NS + 15 * SECOND, 1000) == 10
        assert [each.seq for each in reader.readings_after(0, 99, 99)] == list(range(11, 41))
        (key,) = [each.key for each in reader.sensors() if each.id == "VB-1"]
        after: int | None = 0
        while after is not None:
            after = purge.delete_readings(here.journal, [key], after)
        assert {each.sensor_id for each in reader.readings_after(0, 99, 99)} == {"VB-0"}
        assert reader.count_readings() == 15


def test_ids_are_found_in_segments_and_out_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("gateway.journal.maintenance.sealing", "gateway.journal.sealed.blocks"):
        monkeypatch.setattr(f"{module}.SEGMENT", 2)
    with plant(tmp_path) as here, here.reader() as reader:
        here.take(*(reading(second) for second in range(26)))
        seal_all(here, 5)
        assert reader.rows("sealed_segments") == [(0,), (1,)]
        for second in range(26):
            found = reader.find_reading(f"VB-1@{second}")
            assert found is not None
            assert found.seq == second + 1
        assert reader.find_reading("VB-1@99") is None
        assert sealing.trim(here.journal, 15, 2**63 - 1, 1000) == 15
        assert reader.rows("sealed_segments") == [(1,)]
        assert reader.find_reading("VB-1@3") is None
        assert reader.find_reading("VB-1@17") is not None


def test_a_reader_with_an_older_snapshot_reads_on_while_readings_are_sealed(tmp_path: Path) -> None:
    with plant(tmp_path) as here, here.reader() as reader:
        here.take(*(reading(second) for second in range(20)))
        with reader.at_once():
            first = reader.readings_after(0, 99, 5)
            seal_all(here, 10)
            rest = reader.readings_after(5, 99, 99)
        assert [each.seq for each in [*first, *rest]] == list(range(1, 21))
        assert [each.seq for each in reader.readings_after(0, 99, 99)] == list(range(1, 21))


def test_what_is_purged_while_a_block_is_made_is_not_sealed(tmp_path: Path) -> None:
    with plant(tmp_path) as here, here.reader() as reader:
        here.take(*(reading(second, sensor=f"VB-{second % 2}") for second in range(10)))
        step = sealing.next_block(reader, 99, ANY_AGE, 10)
        assert step is not None
        (key,) = [each.key for each in reader.sensors() if each.id == "VB-1"]
        purge.delete_readings(here.journal, [key], 0)
        assert not sealing.put(here.journal, step)
        assert len(Reader.readings_after(reader, 0, 99, 99)) == 5


SEALS = """
import sys
from pathlib import Path
from gateway.journal import Journal, Reader
from gateway.journal.maintenance import sealing
journal, reader = Journal(Path(sys.argv[1])), Reader(Path(sys.argv[1]))
print("ready", flush=True)
while step := sealing.next_block(reader, 2**62, (2**62, 2**63 - 1), 8):
    sealing.put(journal, step)
    print("sealed", flush=True)
"""


def test_killed_while_it_seals_it_loses_and_repeats_nothing(tmp_path: Path) -> None:
    with plant(tmp_path) as here:
        for first in range(0, 400, 50):
            here.take(*(reading(second) for second in range(first, first + 50)))
        path = here.path
    for blocks in (1, 7):
        with subprocess.Popen([sys.executable, "-c", SEALS, path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(1 + blocks):
                process.stdout.readline()
            process.kill()
        with plant(tmp_path) as here, here.reader() as reader:
            assert here.journal.salvaged is None
            assert [each.event_id for each in reader.readings_after(0, 9999, 999)] == [f"VB-1@{n}" for n in range(400)]
            assert reader.sealed_figures()[1] >= 8 * blocks
            assert len(list(reader.readings(None, None, None, -1))) == reader.count_readings() == 400


def test_a_disk_that_fills_while_sealing_leaves_the_readings_where_they_are(tmp_path: Path) -> None:
    with plant(tmp_path) as here, here.reader() as reader:
        notes = [{"note": sha256(b"%d" % second).hexdigest()} for second in range(200)]  # which hardly compress
        here.take(*(reading(second, metadata=note) for second, note in enumerate(notes)))
        step = sealing.next_block(reader, 2**62, ANY_AGE, 200)
        assert step is not None
        db = here.journal._db  # noqa: SLF001 - a disk that is full says the same
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(JournalUnavailableError, match="full"):
            sealing.put(here.journal, step)
        assert reader.sealed_figures() == (0, 0, 0)
        assert len(reader.readings_after(0, 999, 999)) == 200
        db.execute("PRAGMA max_page_count = 1000000")
        assert sealing.put(here.journal, step)
        assert len(reader.readings_after(0, 999, 999)) == 200
