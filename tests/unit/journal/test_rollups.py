"""Rollups: every reading counts once, whatever happens; late ones amend; questions of any size get an answer."""

import asyncio
import random
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import RetentionSection
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.model.assets import MachineState, state_changed
from gateway.errors import JournalUnavailableError, TooMuchError
from gateway.journal import QueryPool, Reader, Stream, level_history
from gateway.journal.maintenance import rollups
from gateway.journal.maintenance.rollups import ages, catch_up
from gateway.journal.queries.resolutions import RESOLUTIONS, Resolution, choose
from gateway.journal.sqlite.rows import RollupRow
from tests.examples import examples
from tests.readings import NOON_NS, SECOND, Plant, plant, reading

NOON_S = NOON_NS // SECOND
DAY_NS = 86_400 * SECOND
TEN_SECONDS, MINUTE, HOUR = RESOLUTIONS
AGES = ages(RetentionSection(), 1)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


async def roll_up(here: Plant) -> None:
    stream = Stream(here.journal, here.path)
    await catch_up(here.journal, stream)
    stream.close()


def rows(here: Plant, resolution: Resolution, sensor: str = "VB-1") -> list[tuple[int, float, float, float, int]]:
    """Return the rows, with times counted from noon."""
    with here.reader() as reader:
        found = reader.levels(resolution.table, sensor, (0, 2 * NOON_S), resolution.step, 10_000)
    return [(row[0] - NOON_S, *row[1:]) for row in found]


moves = st.lists(st.tuples(st.sampled_from(["take", "roll up", "crash"]), st.integers(0, 7300)), max_size=25)


@examples(25)
@given(moves=moves)
def test_every_reading_counts_once_in_any_order_with_any_crash(moves: list[tuple[str, int]]) -> None:
    async def play(here: Plant) -> None:
        expected: dict[int, list[float]] = {}
        known: set[int] = set()
        for move, second in moves:
            if move == "take":
                here.take(reading(second, float(second % 7)))
                if second not in known:
                    known.add(second)
                    expected.setdefault(second // 10 * 10, []).append(float(second % 7))
            elif move == "crash":
                here.crash()
            else:
                await roll_up(here)
        wanted = [(at, min(found), mean(found), max(found), len(found)) for at, found in sorted(expected.items())]
        for _ in range(2):  # half of it may still be readings, then all of it is rows
            found = rows(here, TEN_SECONDS)
            assert [(row[0], row[1], row[3], row[4]) for row in found] == [
                (row[0], row[1], row[3], row[4]) for row in wanted
            ]
            assert [row[2] for row in found] == pytest.approx([row[2] for row in wanted])
            await roll_up(here)
        for resolution in RESOLUTIONS:
            assert sum(row[4] for row in rows(here, resolution)) == len(known)

    with TemporaryDirectory() as directory, plant(Path(directory)) as here:
        asyncio.run(play(here))


async def test_a_late_reading_amends_its_row(here: Plant) -> None:
    here.take(reading(0, 4.0), reading(20, 5.0))
    await roll_up(here)
    here.take(reading(5, 6.0))
    await roll_up(here)
    assert rows(here, TEN_SECONDS) == [(0, 4.0, 5.0, 6.0, 2), (20, 5.0, 5.0, 5.0, 1)]
    assert rows(here, HOUR) == [(0, 4.0, 5.0, 6.0, 3)]


async def test_tables_that_are_not_equally_far_become_so(here: Plant) -> None:
    """As an older program leaves them, which was stopped between two."""
    here.take(reading(0, 4.0), reading(70, 5.0))
    here.journal.add_rollups({HOUR.table: [(1, NOON_S, 4.0, 4.5, 5.0, 2)]}, 2)
    for seconds in (90, 3700):
        here.take(reading(seconds, 6.0))
        await roll_up(here)
    assert rows(here, TEN_SECONDS) == [
        (at, level, level, level, 1) for at, level in ((0, 4.0), (70, 5.0), (90, 6.0), (3700, 6.0))
    ]
    assert rows(here, MINUTE) == [(0, 4.0, 4.0, 4.0, 1), (60, 5.0, 5.5, 6.0, 2), (3660, 6.0, 6.0, 6.0, 1)]
    assert rows(here, HOUR) == [(0, 4.0, 5.0, 6.0, 3), (3600, 6.0, 6.0, 6.0, 1)]
    with here.reader() as reader:
        assert set(reader.cursors().values()) == {4}


async def test_levels_beyond_what_can_be_summed_up_stay_numbers(here: Plant) -> None:
    here.take(*(reading(second, 1.7e308) for second in range(3)))
    await roll_up(here)
    here.take(*(reading(second, -1.7e308) for second in range(3, 6)))
    await roll_up(here)
    (row,) = rows(here, HOUR)
    assert (row[1], row[3], row[4]) == (-1.7e308, 1.7e308, 6)
    assert row[1] <= row[2] <= row[3]


async def test_slices_stay_small(here: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "MOST_ROWS", 7)
    monkeypatch.setattr(rollups, "_BETWEEN_SLICES", 0)
    here.take(*(reading(10 * second) for second in range(50)))
    written: list[int] = []
    add = here.journal.add_rollups

    def noted(tables: Mapping[str, Sequence[RollupRow]], seq: int) -> None:
        written.extend(map(len, tables.values()))
        add(tables, seq)

    monkeypatch.setattr(here.journal, "add_rollups", noted)
    await roll_up(here)
    assert max(written) <= 7
    assert len(rows(here, TEN_SECONDS)) == 50


async def test_what_is_too_old_goes_and_the_rest_stays(here: Plant) -> None:
    here.take(*(reading(hour * 3600) for hour in range(48)))
    await roll_up(here)
    stream = Stream(here.journal, here.path)
    section = RetentionSection.model_validate({"rollups_10s": "1d", "rollups_1m": "2d"})
    await rollups.trim(here.journal, stream, section, NOON_NS + 48 * 3600 * SECOND)
    stream.close()
    with here.reader() as reader:
        assert reader.rollup_bounds("rollups_10s", "VB-1") == (NOON_S + 24 * 3600, NOON_S + 47 * 3600)
        assert reader.rollup_bounds("rollups_1m", "VB-1")[0] == NOON_S


class TestChoosing:
    NOW = NOON_NS

    def chosen(self, since: int, points: int = 500, until: int = NOON_NS) -> tuple[str, int]:
        span = choose(until - since if since > 0 else -since, until, points, self.NOW, AGES)
        return span.resolution.name, span.step

    def test_the_coarsest_rows_that_give_so_many_points(self) -> None:
        assert self.chosen(600 * SECOND) == ("10s", 10)
        assert self.chosen(6 * 3600 * SECOND) == ("10s", 50)
        assert self.chosen(DAY_NS) == ("1m", 180)
        assert self.chosen(365 * DAY_NS) == ("1h", 18 * 3600)

    def test_rows_that_are_gone_give_way_to_coarser_ones(self) -> None:
        span = choose(NOON_NS - 30 * DAY_NS, NOON_NS - 30 * DAY_NS + 3600 * SECOND, 500, NOON_NS, AGES)
        assert (span.resolution, span.step) == (MINUTE, 60)
        span = choose(NOON_NS - 200 * DAY_NS, NOON_NS - 200 * DAY_NS + 3600 * SECOND, 500, NOON_NS, AGES)
        assert (span.resolution, span.step) == (HOUR, 3600)

    @given(st.integers(0, 2**63 - 1), st.integers(1, 2**62), st.integers(1, 5000))
    def test_there_are_never_more_points_than_twice_what_was_asked_for(
        self, since: int, length: int, points: int
    ) -> None:
        span = choose(since, since + length, points, NOON_NS, AGES)
        assert (span.end - span.start) / span.step <= 2 * points + 2

    def test_many_sensors_are_kept_for_a_shorter_time(self) -> None:
        section = RetentionSection()
        few, many = ages(section, 100), ages(section, 5000)
        assert few == {each.table: getattr(section, each.table) for each in RESOLUTIONS}
        size = sum(
            5000 * 48 * age_ns / SECOND / each.step for each, age_ns in zip(RESOLUTIONS, many.values(), strict=True)
        )
        assert size <= section.max_size / 2 * 1.01


async def test_the_history_of_a_sensor(here: Plant) -> None:
    here.take(*(reading(10 * number, 4.0) for number in range(10)))
    here.take(*(reading(100 + 10 * number, 20.0) for number in range(5)))
    await roll_up(here)
    with here.reader() as reader:
        found = level_history(reader, "VB-1", (0, NOON_NS + 150 * SECOND), 500, AGES)
        absurd = level_history(reader, "VB-1", (0, 2**63 - 1), 1, AGES)
        nothing = level_history(reader, "VB-9", (0, 2**63 - 1), 500, AGES)
    assert sum(found["count"]) == 15
    assert found["from"].startswith("2026-03-01T12:00")
    assert [alert["severity"] for alert in found["alerts"]] == ["critical"]
    assert sum(absurd["count"]) == 15
    assert nothing["time"] == []


async def test_the_states_of_its_machine_belong_to_the_history_of_a_sensor(here: Plant) -> None:
    here.take(reading(0, operatingState="running"))
    changes = [
        state_changed(MachineState(("plant-1", "hall-2", machine), state), None, NOON_NS + second * SECOND)
        for machine, state, second in (("pump-7", "running", 0), ("pump-8", "off", 5), ("pump-7", "stopped", 60))
    ]
    batch = UnitOfWork(next_seq=here.journal.next_seq)
    batch.facts = [(batch.take_seq(), fact) for fact in changes]
    here.journal.write(batch)
    await roll_up(here)
    with here.reader() as reader:
        found = level_history(reader, "VB-1", (NOON_NS, NOON_NS + 120 * SECOND), 500, AGES)
    assert [(each["state"], each["from"][11:19], each["to"][11:19]) for each in found["states"]] == [
        ("running", "12:00:00", "12:01:00"),
        ("stopped", "12:01:00", "12:02:00"),
    ]


async def test_a_question_that_takes_too_long_is_given_up(here: Plant) -> None:
    here.take(*(reading(number) for number in range(3000)))
    questions = QueryPool(here.path, longest=0)
    with pytest.raises(TooMuchError, match="ask for a shorter span"):
        await questions.ask(Reader.count, "VB-2", None, None)
    questions.close()


async def test_a_question_whose_asker_has_hung_up_ends_and_the_next_one_is_answered(here: Plant) -> None:
    begun, ended = threading.Event(), threading.Event()

    def for_ever(reader: Reader) -> None:
        begun.set()
        try:
            while True:
                reader.count("VB-2", None, None)
        finally:
            ended.set()

    here.take(*(reading(number) for number in range(3000)))
    questions = QueryPool(here.path, longest=3600)
    asking = asyncio.create_task(questions.ask(for_ever))
    await asyncio.to_thread(begun.wait)
    asking.cancel()
    async with asyncio.timeout(60):
        assert await questions.ask(Reader.count, "VB-1", None, None) == 3000
    assert ended.is_set()
    questions.close()


async def test_a_question_that_fails_for_now_says_that_a_retry_helps(here: Plant) -> None:
    def fail(_reader: Reader) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    questions = QueryPool(here.path)
    with pytest.raises(JournalUnavailableError, match="cannot be read: disk I/O error") as caught:
        await questions.ask(fail)
    assert caught.value.retry
    questions.close()


async def test_a_year_of_a_hundred_sensors_is_small_and_quick(tmp_path: Path) -> None:
    """A hundredth of it, filled as a running gateway fills it; the whole is measured by the benchmark."""
    with plant(tmp_path) as here:
        here.take(reading(0))
        before = here.journal.used_bytes()
        chance, written = random.Random(1), 0
        for start in range(0, 60_480 * 10, 600):
            levels = [sorted(chance.random() for _ in range(3)) for _ in range(60)]
            some = [(1, NOON_S + start + 10 * n, *levels[n], 10) for n in range(60)]
            here.journal.add_rollups({"rollups_10s": cast("list[RollupRow]", some)}, 1)
            written += 60
        assert (here.journal.used_bytes() - before) / written < 50  # 19.9 million rows in 1 GB
        looks = 0

        def look() -> bool:
            """Count what SQLite does, 5,000 steps at a time: some fifty for each row."""
            nonlocal looks
            looks += 1
            return False

        with here.reader() as reader, reader.interrupted_if(look):
            found = reader.levels("rollups_10s", "VB-1", (0, 2 * NOON_S), 1200, 600)
        assert len(found) > 500
        assert looks * 5_000 < 100 * written
