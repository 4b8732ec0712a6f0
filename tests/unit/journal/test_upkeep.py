"""Keeping the journal in bounds: the disk's gate with its ballast, the cap, and what is too old."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config import RetentionSection
from gateway.config.to_inputs import compiled
from gateway.domain.engine.quotas import LETTER_BYTES
from gateway.domain.model.events import Message
from gateway.journal import Journal, Stream, Upkeep
from gateway.journal.maintenance import letters as letters_module
from gateway.journal.maintenance import retention as upkeep_module
from gateway.journal.maintenance.letters import LetterBound
from gateway.plugins.decoders import load_decoder
from tests.examples import examples
from tests.readings import NOON_NS, SECOND, Plant, event, message, plant, reading
from tests.servers.waiting import until_async

RESERVE = 100_000
CAP = 1_000_000
DAY_NS = 86_400 * SECOND


class Reports:
    """What was reported, without repetitions; `log` is told too."""

    def __init__(self, log: Callable[[str], None] = lambda _: None) -> None:
        self.said: list[tuple[str, bool]] = []
        self._log = log

    async def __call__(self, subject: str, problem: str | None, _severity: str = "warning", /) -> None:
        if (subject, problem is not None) not in self.said[-1:]:
            self.said.append((subject, problem is not None))
            self._log("alert" if problem else "well")


class Disk:
    """A disk whose other contents are made up; what the ballast takes is gone as on a real one."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.others_leave = 10 * RESERVE
        monkeypatch.setattr(upkeep_module, "disk_free", self.free)

    def free(self, _folder: Path) -> int:
        ballast = self.folder / "ballast"
        return self.others_leave - (ballast.stat().st_size if ballast.exists() else 0)

    def has_ballast(self) -> bool:
        return (self.folder / "ballast").exists()


def upkeep_of(folder: Path, **section: Any) -> Upkeep:
    """Return one whose journal is only there: no more is needed for looking at the disk."""
    nothing = cast("Any", None)
    journal = cast("Any", SimpleNamespace(is_in_place=True, missing=None))
    return Upkeep(journal, nothing, folder, RetentionSection.model_validate({"reserve": RESERVE, **section}), nothing)


class TestTheDisk:
    @pytest.fixture
    def disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
        return Disk(tmp_path, monkeypatch)

    async def test_it_is_closed_before_the_disk_is_full_and_opened_when_there_is_room(self, disk: Disk) -> None:
        upkeep, reports = upkeep_of(disk.folder), Reports()
        await upkeep.check_disk(reports)
        assert disk.has_ballast()
        disk.others_leave = int(1.9 * RESERVE)
        await upkeep.check_disk(reports)
        assert upkeep.problem is not None
        assert "less than retention.reserve (0.1 MB) left" in upkeep.problem
        assert not disk.has_ballast(), "it was to make room for the alert"
        waiting = asyncio.ensure_future(upkeep.room())
        disk.others_leave = int(2.9 * RESERVE)
        await upkeep.check_disk(reports)
        assert not waiting.done()
        disk.others_leave = int(3.1 * RESERVE)
        await upkeep.check_disk(reports)
        await asyncio.wait_for(waiting, 1)
        assert disk.has_ballast()
        assert reports.said == [("disk", False), ("disk", True), ("disk", False)]

    async def test_a_restart_sees_the_same(self, disk: Disk) -> None:
        disk.others_leave = int(1.9 * RESERVE)
        for _ in range(3):
            upkeep = upkeep_of(disk.folder)
            await upkeep.check_disk(Reports())
            assert upkeep.problem is not None

    async def test_a_disk_too_small_for_the_ballast_is_used_without_one(self, disk: Disk) -> None:
        disk.others_leave = int(2.5 * RESERVE)
        upkeep = upkeep_of(disk.folder)
        await upkeep.check_disk(Reports())
        assert upkeep.problem is None
        assert not disk.has_ballast()

    async def test_a_ballast_that_somebody_has_removed_or_cut_is_taken_again(self, disk: Disk) -> None:
        upkeep, ballast = upkeep_of(disk.folder), disk.folder / "ballast"
        for _ in range(2):
            await upkeep.check_disk(Reports())
            assert ballast.stat().st_size == RESERVE
            ballast.write_bytes(b"cut")

    async def test_room_on_the_disk_does_not_bring_a_lost_file_back(self, disk: Disk) -> None:
        journal = SimpleNamespace(is_in_place=False, missing=None)
        nothing = cast("Any", None)
        section = RetentionSection.model_validate({"reserve": RESERVE})
        upkeep = Upkeep(cast("Any", journal), nothing, disk.folder, section, nothing)
        disk.others_leave = int(1.9 * RESERVE)
        await upkeep.check_file(Reports())
        await upkeep.check_disk(Reports())
        disk.others_leave = 10 * RESERVE
        await upkeep.check_disk(Reports())
        waiting = asyncio.ensure_future(upkeep.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        journal.is_in_place = True
        await upkeep.check_file(Reports())
        await asyncio.wait_for(waiting, 1)

    async def test_what_could_not_be_reported_is_reported_again(self, disk: Disk) -> None:
        upkeep, tries = upkeep_of(disk.folder), []

        async def report(_subject: str, problem: str | None, _severity: str = "warning", /) -> None:
            tries.append(problem)

        disk.others_leave = 0
        for _ in range(3):
            await upkeep.check_disk(report)
        assert tries == [upkeep.problem] * 3


@examples(60)
@given(st.lists(st.integers(0, 60), max_size=40))
def test_whatever_the_disk_does_there_is_room_exactly_while_there_is_no_problem(tenths: list[int]) -> None:
    async def story(disk: Disk) -> None:
        upkeep = upkeep_of(disk.folder)
        for each in tenths:
            before = upkeep.problem
            disk.others_leave = each * RESERVE // 10
            await upkeep.check_disk(Reports())
            if upkeep.problem is None:
                assert disk.others_leave >= (2 if before is None else 3) * RESERVE
                await asyncio.wait_for(upkeep.room(), 1)
            else:
                assert disk.others_leave <= (2 if before is None else 3) * RESERVE
                assert not disk.has_ballast()

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as monkeypatch:
        asyncio.run(story(Disk(Path(folder), monkeypatch)))


class FakeJournal:
    """Readings of one kilobyte each, of which the first `done` have been had by everybody; `other` is not readings."""

    def __init__(self, readings: int, done: int, other: int, log: Callable[[str], None]) -> None:
        self.first, self.next_seq = 1, readings + 1
        self.done, self.other = done, other
        self.saved = done
        self._log = log
        self.both = SimpleNamespace(blocks=SimpleNamespace(index=()))  # nothing is sealed

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments)

    def used_bytes(self) -> int:
        return (self.next_seq - self.first) * 1000 + self.other

    def settled_seq(self, consumers: list[str]) -> int:
        return self.done if consumers else self.saved

    def snapshot(self) -> None:
        self.saved = self.next_seq - 1

    def trim(self, query: str, seq: int, limit: int, _before_ns: int) -> int:
        if query in {"trim_dead_letters", "trim_originals", "trim_originals_without_readings"}:  # there are none here
            return 0
        assert query == "trim_readings"
        count = max(0, min(limit, seq + 1 - self.first, self.next_seq - self.first))
        if count:
            self._log("settled" if seq == self.done else "the rest")
        self.first += count
        return count


@examples(100)
@given(st.integers(0, 9000), st.integers(0, 9000), st.sampled_from([0, 500_000, 2 * CAP]))
def test_the_oldest_go_first_those_that_everybody_has_had_before_the_rest(readings: int, done: int, other: int) -> None:
    log: list[str] = []
    done = min(done, readings)
    journal = FakeJournal(readings, done, other, log.append)
    before = journal.used_bytes()
    section = RetentionSection.model_validate({"max_size": CAP})
    upkeep = Upkeep(cast("Any", journal), cast("Any", None), Path(), section, journal.snapshot)
    asyncio.run(upkeep.limit_size(["influx"], Reports(log.append)))
    assert journal.used_bytes() <= CAP or journal.first == journal.next_seq
    assert journal.used_bytes() == before or before > CAP
    expected = ["alert"] if before > 0.9 * CAP else ["well"] if before < 0.8 * CAP else []
    assert log[: len(expected)] == expected, "the alert comes before the first one goes"
    went = log[len(expected) :]
    assert went == sorted(went, key=["settled", "the rest"].index)
    if "the rest" in went:
        assert journal.first > done + 1


class TestAge:
    stream: Stream

    @pytest.fixture
    def here(self, tmp_path: Path) -> Any:
        with plant(tmp_path) as made:
            self.stream = Stream(made.journal, made.path)
            yield made
            self.stream.close()

    def upkeep(self, here: Plant, **section: str) -> Upkeep:
        return Upkeep(
            here.journal,
            Stream(here.journal, here.path),
            here.directory,
            RetentionSection.model_validate(dict(section)),
            here.pipeline.snapshot,
        )

    def settle(self, here: Plant) -> None:
        """Let everybody have had everything."""
        here.pipeline.snapshot()
        for consumer in ("notifier", "influx"):
            here.journal.move_cursor(consumer, here.journal.next_seq - 1)

    async def test_what_is_too_old_goes_and_the_rest_stays(self, here: Plant) -> None:
        here.take(*(reading(second, 8.0) for second in range(3)), message(b"{", second=0))
        here.take(*(reading(86_400 + second, 8.0) for second in range(3)), message(b"[", second=86_400))
        self.settle(here)
        upkeep = self.upkeep(here, readings="12h", dead_letters="12h", events="30d")
        await upkeep.trim(["notifier", "influx"], NOON_NS + DAY_NS)
        contents = here.contents()
        assert [row.event_id for row in contents["readings"]] == [f"VB-1@{86_400 + second}" for second in range(3)]
        assert contents["dead letters"] == {"not_json": 1}
        assert len(contents["alerts"]) == 1
        await upkeep.trim(["notifier", "influx"], NOON_NS + 40 * DAY_NS)
        assert here.contents()["facts"] == []
        assert len(here.contents()["alerts"]) == 1, "it is open"

    async def test_what_a_consumer_has_not_had_stays_however_old(self, here: Plant) -> None:
        here.take(*(reading(second) for second in range(10)))
        here.pipeline.snapshot()
        here.journal.move_cursor("notifier", 10)
        here.journal.move_cursor("influx", 4)
        await self.upkeep(here, readings="1s").trim(["notifier", "influx"], NOON_NS + DAY_NS)
        assert [row.seq for row in here.contents()["readings"]] == [5, 6, 7, 8, 9, 10]

    async def test_what_a_crash_would_replay_stays(self, here: Plant) -> None:
        here.take(*(reading(second) for second in range(10)))
        await self.upkeep(here, readings="1s").trim([], NOON_NS + DAY_NS)
        assert len(here.contents()["readings"]) == 10

    async def test_rows_from_when_our_clock_was_ahead_do_not_hold_up_the_others(
        self, here: Plant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(upkeep_module, "SLICE", 10)
        ahead = 10 * DAY_NS // SECOND
        here.take(*(message(event(second), second=ahead) for second in range(3)))
        here.take(*(message(b"{", second=ahead + second) for second in range(3)))
        here.take(*(reading(10 + second) for second in range(50)), *(message(b"[", second=n) for n in range(50)))
        self.settle(here)
        upkeep = self.upkeep(here, readings="12h", dead_letters="12h")
        await upkeep.trim(["notifier", "influx"], NOON_NS + DAY_NS)
        assert [row.seq for row in here.contents()["readings"]] == [1, 2, 3]
        assert here.contents()["dead letters"] == {"not_json": 3}

    async def test_what_a_crash_would_replay_is_saved_before_it_goes(self, here: Plant) -> None:
        here.take(*(reading(second, 8.0, note="x" * 1000) for second in range(2000)))
        states = [sensor.state.newest_us for sensor in here.pipeline._engine.sensors.values()]  # noqa: SLF001 - it is what a crash loses
        await self.upkeep(here, max_size="1MB").limit_size([], Reports())
        here.journal.trim("trim_readings", here.journal.next_seq, 2000, 2**63 - 1)
        here.crash()
        assert [sensor.state.newest_us for sensor in here.pipeline._engine.sensors.values()] == states  # noqa: SLF001

    async def test_too_much_goes_whatever_its_times_say(self, here: Plant) -> None:
        """Sensors may be minutes ahead, and our clock may have gone back."""
        here.take(*(reading(second, note="x" * 1000) for second in range(2000)))
        await self.upkeep(here, max_size="1MB").limit_size([], Reports())
        rows = here.contents()["readings"]
        assert [row.seq for row in rows] == list(range(2001 - len(rows), 2001))
        assert here.journal.used_bytes() <= CAP

    async def test_no_reading_goes_while_a_flood_of_garbage_comes_in(
        self, here: Plant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Seven megabytes come in between two slices, and once more when all of that has gone."""
        here.take(*(reading(second) for second in range(300)))
        self.settle(here)
        flood = [garbage for second in range(20) for garbage in [message(b"{" + b"x" * 200_000, second=second)] * 10]
        trim = here.journal.trim

        def trim_while_more_comes(query: str, seq: int, limit: int, before_ns: int) -> int:
            gone = trim(query, seq, limit, before_ns)
            if flood:
                here.take(*flood[:10])
                del flood[:10]
            return gone

        here.take(*flood[:10])
        monkeypatch.setattr(here.journal, "trim", trim_while_more_comes)
        await self.upkeep(here, max_size="1MB").limit_size(["notifier", "influx"], Reports())
        assert not flood
        assert len(here.contents()["readings"]) == 300
        assert here.journal.used_bytes() <= CAP

    async def test_messages_that_readings_were_made_of_go_before_any_reading(self, tmp_path: Path) -> None:
        spec = {"name": "flat", "topic": "flat/{sensor}", "fields": {"level": "a"}}
        here = Plant(tmp_path / "mapped", inputs=compiled([spec], load_decoder, []))
        here.take(*(reading(second) for second in range(300)))
        large = b'{"a": 4.0, "note": "%s"}' % (b"x" * 60_000)
        here.take(*(Message("flat/S-1", large, NOON_NS + n * SECOND, 1 + n) for n in range(30)))
        self.settle(here)
        await self.upkeep(here, max_size="1MB").limit_size(["notifier", "influx"], Reports())
        assert len(here.contents()["readings"]) == 330
        assert here.journal.used_bytes() <= CAP
        here.journal.close()

    async def test_of_dead_letters_the_oldest_go_when_all_are_too_large_and_are_counted(
        self, here: Plant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(letters_module, "DROPPED_AT_ONCE", 3)
        monkeypatch.setattr(letters_module, "WEIGHED_AT_ONCE", 4)
        bound = LetterBound(here.journal, self.stream, 100_000)
        for second in range(0, 30, 10):
            here.take(*(message(b"{" + b"x" * 9999, second=second + n) for n in range(10)))
            await bound.limit()
        kept = [number for number, _ in here.journal.dead_letters([])]
        with here.reader() as reader:
            dropped = reader.over_quota()[LETTER_BYTES]
        assert len(kept) + dropped == 30
        assert 8 <= len(kept) <= 10
        assert kept == list(range(31 - len(kept), 31)), "the newest"

    async def test_those_that_went_otherwise_take_up_nothing(self, here: Plant) -> None:
        bound = LetterBound(here.journal, self.stream, 100_000)
        for second in range(0, 50, 9):
            here.take(*(message(b"{" + b"x" * 9999, second=second + n) for n in range(9)))
            await bound.limit()
            with here.reader() as reader:
                assert reader.over_quota() == {}
            here.journal.trim("trim_dead_letters", here.journal.next_seq, 100, 2**63 - 1)

    async def test_a_message_goes_with_the_readings_that_were_made_of_it(self, tmp_path: Path) -> None:
        """Or readings would go for the room that it takes up."""
        spec = {"name": "flat", "topic": "flat/{sensor}", "fields": {"level": "a"}}
        here = Plant(tmp_path / "mapped", inputs=compiled([spec], load_decoder, []))
        for second in range(0, 2000, 100):
            here.take(*(self.flat(second + after) for after in range(100)))
        await self.upkeep(here, max_size="1MB").limit_size([], Reports())
        numbers = [row.seq for row in here.contents()["readings"]]
        kept = [len(here.journal.all("original_of", seq, 10)) for seq in (numbers[0] - 1, *numbers)]
        assert kept == [0, *(1 for _ in numbers)]
        assert here.journal.used_bytes() > CAP / 2
        here.journal.close()

    @staticmethod
    def flat(second: int) -> Message:
        content = b'{"a": 4.0, "note": "%s"}' % (b"x" * 1000)
        return Message("flat/S-1", content, NOON_NS + second * SECOND, 1 + second)

    async def test_what_was_received_in_1970_is_as_old_as_its_sensor_says(self, here: Plant) -> None:
        """A box without a battery is in 1970 until somebody tells it the time; what it stored until then is new."""
        here.take(*(message(event_, second=-NOON_NS / SECOND + 60) for event_ in self.events(5)))
        self.settle(here)
        await self.upkeep(here).trim(["notifier", "influx"], NOON_NS + DAY_NS)
        assert len(here.contents()["readings"]) == 5

    def events(self, count: int) -> list[dict[str, Any]]:
        return [
            {"eventType": "VibrationRecorded", "timestamp": f"2026-03-01T12:00:0{second}Z", "eventId": str(second),
             "data": {"sensorId": "VB-1", "vibrationLevel": 4.0}}
            for second in range(count)
        ]  # fmt: skip


@pytest.mark.parametrize("replaced", [False, True])
async def test_nothing_is_taken_into_a_file_that_is_not_the_journal_any_more(tmp_path: Path, replaced: bool) -> None:  # noqa: FBT001 - a parameter
    with plant(tmp_path) as here:
        reports = Reports()
        upkeep = Upkeep(here.journal, cast("Any", None), tmp_path, RetentionSection(), here.pipeline.snapshot)
        await upkeep.check_file(reports)
        await asyncio.wait_for(upkeep.room(), 1)

        here.path.rename(tmp_path / "away")
        if replaced:
            here.path.write_bytes((tmp_path / "away").read_bytes())
        waiting = asyncio.ensure_future(upkeep.room())
        await asyncio.sleep(0)
        assert not waiting.done(), "the next batch is not to wait for the next look"
        await upkeep.check_file(reports)
        assert "stop the gateway, put the file back, start it" in str(upkeep.problem)

        (tmp_path / "away").replace(here.path)
        await upkeep.check_file(reports)
        await asyncio.wait_for(waiting, 1)
        assert upkeep.problem is None
    assert reports.said == [("journal file", False), ("journal file", True), ("journal file", False)]


async def test_the_inspection_reports_damage_and_lets_the_next_start_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "_INSPECT_EVERY", 0.0)
    monkeypatch.setattr(upkeep_module, "_BETWEEN_SLICES", 0.0)
    path = tmp_path / "journal.db"
    with plant(tmp_path) as here:
        here.take(*(reading(second) for second in range(10)))
        stream, reports = Stream(here.journal, path), Reports()
        upkeep = Upkeep(here.journal, stream, tmp_path, RetentionSection(), here.pipeline.snapshot)
        inspection = asyncio.ensure_future(upkeep.inspect(reports))
        await until_async(lambda: reports.said == [("journal", False)], 5, "a look without findings")
        await here.journal.call(here.journal._db.execute, "UPDATE readings SET body = x'00' WHERE seq = 7")  # noqa: SLF001 - as a damaged disk does
        await until_async(lambda: reports.said[1:] == [("journal", True)], 5, "the damage to be found")
        inspection.cancel()
        await asyncio.wait([inspection])
        stream.close()
    assert (tmp_path / "journal.db.suspect").exists()
    journal = Journal(path)
    assert "9 readings" in str(journal.salvaged)
    journal.close()
