"""The reading side: steps that neither skip nor repeat, and what the command line asks for."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway.domain.engine.event_log import LogSlice
from gateway.domain.model.assets import SENSOR_MOVED
from gateway.domain.model.reading import Flag
from gateway.errors import GatewayError, JournalUnavailableError
from gateway.journal import Reader, Stream, newest_readings
from gateway.journal.queries import log_reader as reading_side
from gateway.journal.sqlite.codec import decode_tags
from tests.examples import examples
from tests.readings import NOON_NS, SECOND, Plant, event, message, plant, reading, topic_of

DAY = 86_400


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path, sensors_move=True) as made:
        yield made


@pytest.fixture
def reader(here: Plant) -> Iterator[Reader]:
    with here.reader() as made:
        yield made


# A batch is a number of readings, of dead letters, and whether the level is high (then facts follow from it).
batches = st.tuples(st.integers(0, 6), st.integers(0, 2), st.booleans())
moves = st.tuples(st.sampled_from(["write", "step"]), batches, st.integers(1, 5))


@examples(60)
@given(history=st.lists(moves, max_size=20), last_limit=st.integers(1, 5), wants_readings=st.booleans())
def test_steps_of_any_size_between_any_writes_neither_skip_nor_repeat(
    *, history: list[tuple[str, tuple[int, int, bool], int]], last_limit: int, wants_readings: bool
) -> None:
    with TemporaryDirectory() as directory, plant(Path(directory)) as here, here.reader() as reader:
        steps: list[LogSlice] = []
        cursor = second = 0

        def take_step(limit: int) -> None:
            nonlocal cursor
            step = reader.step(cursor, limit, readings=wants_readings)
            assert len(step.readings) <= limit
            assert len(step.entries) <= limit
            assert step.until >= cursor
            cursor = step.until
            steps.append(step)

        for move, (readings, bad, is_high), limit in history:
            if move == "step":
                take_step(limit)
                continue
            level = 20.0 if is_high else 4.0
            here.take(*(reading(second + n, level) for n in range(readings)), *[message(b"{")] * bad)
            second += readings
        while cursor < reader.last_seq():
            take_step(last_limit)
        everything = reader.step(0, 1_000_000, readings=wants_readings)
        assert [row for step in steps for row in step.readings] == everything.readings
        assert [entry for step in steps for entry in step.entries] == everything.entries
        assert cursor == everything.until


def test_a_step_is_bounded_in_bytes_too(here: Plant, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.journal.queries.log_reader.MAX_STEP_BYTES", 2_500)
    here.take(*(reading(second, metadata={"note": "x" * 1_000}) for second in range(10)))
    steps = []
    cursor = 0
    while cursor < reader.last_seq():
        steps.append(reader.step(cursor, 1_000))
        cursor = steps[-1].until
    assert [len(step.readings) for step in steps] == [3, 3, 3, 1]  # above the limit by the last one at most
    assert [row.seq for step in steps for row in step.readings] == list(range(1, 11))


def test_a_step_of_a_sensor_that_has_moved_says_where_it_is_now(here: Plant, reader: Reader) -> None:
    """The reader lives as long as the gateway; what it knew when it started is not enough."""
    here.take(reading_of(0, "pump-7"))
    assert reader.step(0, 10).readings[0].tags["machine"] == "pump-7"
    here.take(reading_of(1, "pump-8"))
    assert reader.step(1, 10).readings[0].tags["machine"] == "pump-8"


def test_the_reading_behind_an_alert_of_a_sensor_that_has_moved_says_where_it_is_now(
    here: Plant, reader: Reader
) -> None:
    """Who follows alone what happens, as the exporter of traces does, need not come past a move in the file."""
    for start, level, machine in ((0, 12.0, "pump-7"), (10, 4.0, "pump-8")):
        topic = topic_of(machine=machine)
        taken = here.take(*(message(event(start + second, level), topic=topic) for second in range(9)))
        found = reader.reading_behind(next(fact for _, fact in taken.facts if fact.type != SENSOR_MOVED))
        assert found is not None
        assert found.tags["machine"] == machine


def test_of_a_registry_only_what_is_new_is_read(here: Plant, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plant may have a hundred thousand sensors, and new ones come one by one."""
    read: list[str] = []

    def decode(encoded: str) -> dict[str, str]:
        read.append(encoded)
        return decode_tags(encoded)

    monkeypatch.setattr(reading_side, "decode_tags", decode)
    for number in range(4):
        here.take(reading(number, sensor=f"VB-{number}"))
        assert [row.sensor_id for row in reader.step(number, 10).readings] == [f"VB-{number}"]
    assert len(read) == 4
    here.take(message(event(9, sensor="VB-0"), topic=topic_of("VB-0", "pump-8")))
    assert reader.place("VB-0")[2] == "pump-8"
    assert len(read) == 8


def reading_of(second: float, machine: str) -> Any:
    return message(event(second), topic=topic_of(machine=machine))


class TestQuestions:
    def test_readings_are_found_by_sensor_and_time_the_newest_first(self, here: Plant, reader: Reader) -> None:
        here.take(*(reading(second, 4.0, sensor) for second in range(10) for sensor in ("VB-1", "VB-2")))

        def seconds(*arguments: Any) -> list[int]:
            return [(row.time_ns - NOON_NS) // SECOND for row in reader.readings(*arguments)]

        assert seconds("VB-1", None, None, 3) == [9, 8, 7]
        assert seconds("VB-1", NOON_NS + 2 * SECOND, NOON_NS + 5 * SECOND, 100) == [4, 3, 2]
        assert seconds(None, NOON_NS + 8 * SECOND, None, 100) == [9, 9, 8, 8]
        assert seconds("VB-1", NOON_NS + 2 * SECOND + 1, NOON_NS + 3 * SECOND, 100) == []
        assert seconds("nobody", None, None, 100) == []
        assert reader.count("VB-1", NOON_NS + 2 * SECOND, NOON_NS + 5 * SECOND) == 3
        assert reader.count(None, None, None) == reader.count_readings() == 20
        assert reader.count("nobody", None, None) == 0

    def test_readings_whose_clock_was_replaced_are_found_by_the_time_that_counts(
        self, here: Plant, reader: Reader
    ) -> None:
        wrong = {**event(0, id_="wrong"), "timestamp": "1970-01-01T00:00:00Z"}
        here.take(reading(0), message(wrong, second=5), reading(10))
        window = (None, NOON_NS + 4 * SECOND, NOON_NS + 6 * SECOND)
        assert [(row.event_id, row.flags) for row in reader.readings(*window, 10)] == [("wrong", Flag.CLOCK_REPLACED)]
        assert [row.event_id for row in reader.readings(None, None, None, 2)] == ["VB-1@10", "wrong"]
        assert reader.count(*window) == 1

    def test_of_many_readings_at_one_time_the_newest_are_the_newest(self, here: Plant, reader: Reader) -> None:
        here.take(*(message(event(0, id_=str(number))) for number in (3, 1, 2, 0, 4)))
        assert [row.event_id for row in reader.readings("VB-1", None, None, 3)] == ["4", "0", "2"]
        bounds = (NOON_NS + 1, NOON_NS + 3)
        assert [row.event_id for row in reader.readings("VB-1", *bounds, 9)] == ["2", "1"]

    @pytest.mark.parametrize("snapshot", [False, True])
    def test_the_last_reading_of_each_sensor_is_the_newest_in_time(
        self, here: Plant, reader: Reader, *, snapshot: bool
    ) -> None:
        here.take(reading(0, 4.0), reading(5, 5.0), reading(1, 6.0), reading(3, 7.0, "VB-2"))
        here.take(message(event(9, 8.0), retained=True))
        old = {**event(0, 9.0, "VB-3"), "timestamp": "1970-01-01T00:00:00Z"}
        here.take(message(old, second=6))
        if snapshot:
            here.pipeline.snapshot()
        assert {key: row.level for key, row in reader.last_readings().items()} == {1: 5.0, 2: 7.0, 3: 9.0}

    def test_facts_are_found_by_subject_type_and_time(self, here: Plant, reader: Reader) -> None:
        levels = [8.0] * 3 + [12.0] * 3 + [4.0] * 3
        here.take(*(reading(second, level) for second, level in enumerate(levels)))
        types = ["AlertCleared", "AlertEscalated", "AlertRaised"]
        assert [entry.fact.type for entry in reader.entries(None, None, None, None, 10)] == types
        assert [entry.fact.type for entry in reader.entries("VB-1", "AlertRaised", None, None, 10)] == ["AlertRaised"]
        assert list(reader.entries("VB-2", None, None, None, 10)) == []
        since, until = NOON_NS + 5 * SECOND, NOON_NS + 8 * SECOND
        assert [entry.fact.type for entry in reader.entries(None, None, since, until, 10)] == ["AlertEscalated"]
        assert reader.count_entries(None, None, since, None) == 2
        (alert,) = reader.alerts(everything=True)
        assert [entry.fact.type for entry in reader.alert_events(alert.id)] == types[::-1]

    def test_an_alert_is_found_by_the_beginning_of_its_id(self, here: Plant, reader: Reader) -> None:
        here.take(*(reading(second, 8.0, sensor) for second in range(3) for sensor in ("VB-1", "VB-2")))
        first, second = reader.alerts(everything=False)
        assert reader.alert(first.id[:12]) == first
        assert reader.alert(second.id) == second
        assert (reader.find_alert(first.id), reader.find_alert(first.id[:12])) == (first, None)
        with pytest.raises(GatewayError, match="more than one alert"):
            reader.alert("")
        for nothing in ("zz", "' OR 1=1 --", "%", first.id + "0"):
            with pytest.raises(GatewayError, match="no alert"):
                reader.alert(nothing)

    def test_all_alerts_can_be_read_in_pieces_and_the_worst_of_the_open_ones(self, here: Plant, reader: Reader) -> None:
        sensors = [f"VB-{number}" for number in range(1, 6)]
        here.take(*(reading(second, 8.0, sensor) for second in range(3) for sensor in sensors))  # all at one time
        here.take(*(reading(second, 12.0, "VB-3") for second in range(3, 6)))
        every = reader.alerts(everything=True)
        assert len(every) == 5
        pieces = [reader.alerts(everything=True, limit=2)]
        while len(pieces[-1]) == 2:
            pieces.append(reader.alerts(everything=True, limit=2, after=pieces[-1][-1].id))
        assert [alert for piece in pieces for alert in piece] == every
        (worst,) = reader.alerts(everything=False, limit=1)
        assert (worst.sensor_id, worst.severity) == ("VB-3", "critical")
        assert reader.count_open_alerts() == {"warning": 4, "critical": 1}

    def test_dead_letters_are_counted_and_shown(self, here: Plant, reader: Reader) -> None:
        here.take(message(b"{"), message([1, 2]), message(b"", topic="elsewhere"))
        assert reader.count_dead_letters() == 4
        assert reader.dead_letters_by_reason() == {"invalid": 2, "not_json": 1, "topic_mismatch": 1}
        newest, *_ = reader.dead_letters(None, 10)
        assert (newest["reason"], newest["topic"], newest["bytes"]) == ("topic_mismatch", "elsewhere", 0)
        assert [letter["element"] for letter in reader.dead_letters("invalid", 10)] == [1, 0]
        assert len(reader.dead_letters(None, 2)) == 2
        letter = reader.dead_letter(1)
        assert letter is not None
        assert bytes(letter["payload"]) == b"{"
        assert reader.dead_letter(99) is None

    def test_an_empty_journal_has_an_answer_to_everything(self, reader: Reader) -> None:
        assert (reader.last_seq(), reader.sensors(), reader.last_readings(), reader.cursors()) == (0, [], {}, {})
        assert reader.step(0, 10) == LogSlice([], [], 0)
        assert reader.size() > 0

    def test_a_sensor_is_listed_with_when_it_was_first_seen(self, here: Plant, reader: Reader) -> None:
        here.take(reading(0, unit="g"), reading(1, 4.0, "VB-2"))
        assert [(sensor.id, sensor.unit) for sensor in reader.sensors()] == [("VB-1", "g"), ("VB-2", "m/s²")]
        first_seen = datetime.fromtimestamp(reader.sensors()[0].first_seen_ns / SECOND, UTC)
        assert first_seen == datetime(2026, 3, 1, 12, 0, 0, 500_000, tzinfo=UTC)


class TestTrend:
    def test_it_is_one_sensors_readings_in_order(self, here: Plant, reader: Reader) -> None:
        here.take(*(reading(second, level=second + 1.0) for second in range(5)), reading(2, sensor="other", level=9.0))
        found = reader.trend("VB-1", NOON_NS + SECOND, NOON_NS + 4 * SECOND)
        assert [((time - NOON_NS) // SECOND, level) for time, level, _ in found] == [(1, 2.0), (2, 3.0), (3, 4.0)]
        assert reader.trend("nobody", 0, NOON_NS * 2) == []

    def test_of_very_many_it_keeps_the_newest_and_an_even_choice(
        self, here: Plant, reader: Reader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.journal.queries.reader._TREND_READINGS", 10)
        monkeypatch.setattr("gateway.journal.queries.reader._TREND_NEWEST", 5)
        here.take(*(reading(second) for second in range(95)))
        seconds = [(time - NOON_NS) // SECOND for time, _, _ in reader.trend("VB-1", NOON_NS, NOON_NS + DAY * SECOND)]
        assert seconds == [*range(0, 90, 10), 90, 91, 92, 93, 94]

    def test_a_reading_counts_at_the_time_that_replaced_its_clock(self, here: Plant, reader: Reader) -> None:
        wrong = {**event(0, id_="wrong"), "timestamp": "1970-01-01T00:00:00Z"}
        here.take(reading(0), message(wrong, second=60))
        (first, second) = reader.trend("VB-1", NOON_NS, NOON_NS + DAY * SECOND)
        assert (first[0] - NOON_NS) // SECOND == 0
        assert (second[0] - NOON_NS) // SECOND == 60


class TestWhatIsLarge:
    def test_many_large_readings_are_not_held_at_once(self, here: Plant, reader: Reader) -> None:
        for second in range(50):
            here.take(message(event(second, note="x" * 250_000)))
        found = newest_readings(reader, "VB-1", NOON_NS, NOON_NS + DAY * SECOND, 10_000)
        assert [row.event_id for row in found] == [f"VB-1@{second}" for second in range(18, 50)]
        assert len(newest_readings(reader, "VB-1", NOON_NS, NOON_NS + DAY * SECOND, 3)) == 3


class TestPassingTrouble:
    @pytest.fixture
    def stream(self, here: Plant) -> Iterator[Stream]:
        made = Stream(here.journal, here.path)
        yield made
        made.close()

    async def test_it_is_no_damage_and_the_log_says_so_once(self, here: Plant, stream: Stream) -> None:
        def fail(_reader: Reader) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        with capture_logs() as logs:
            for _ in range(3):
                with pytest.raises(JournalUnavailableError, match="cannot be read: disk I/O error"):
                    await stream.read(fail)
            assert await stream.cursor("influx") == 0
        assert [(line["log_level"], line["event"]) for line in logs] == [
            ("warning", "the journal cannot be read right now; trying again"),
            ("info", "the journal can be read again"),
        ]
        assert not here.path.with_name("journal.db.suspect").exists()

    def test_a_large_sort_needs_no_room_on_the_disk(self, reader: Reader) -> None:
        assert reader._db.execute("PRAGMA temp_store").fetchone() == (2,)  # noqa: SLF001 - nothing else shows it
