"""Identity is (place, id): the same id on two machines is two sensors, unless sensors move."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import StoredReading
from gateway.backtest.journalled import read_journal
from gateway.backtest.running import run
from gateway.consumers.influx.lines import to_lines
from gateway.consumers.live_state import Live
from gateway.consumers.mqtt_alerts import alert_topic
from gateway.domain.alerting.alert import CLEARED, RAISED, describe
from gateway.domain.alerting.liveness import Reception
from gateway.domain.detection.rules import DAY_NS, Rules
from gateway.domain.detection.timeline import Clocks
from gateway.domain.engine.commands import PurgeSensors, SelectSensors
from gateway.domain.engine.purging import Selection
from gateway.domain.engine.quotas import Quotas
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.model.assets import SENSOR_MOVED, SENSOR_RENAMED
from gateway.domain.model.events import Message
from gateway.domain.model.naming import free_name, names_of
from gateway.errors import ConflictError, JournalUnavailableError, NotFoundError
from gateway.ingest.processor import Pipeline
from tests.examples import examples
from tests.readings import FIXED, NOON_NS, SECOND, Plant, event, message, plant, split, topic_of

PUMP, FAN = "DE (pump-3)", "DE (fan-9)"
TOUCHY = Rules(baseline=4.0, on_readings=3, off_readings=3, silent_after_ns=60 * SECOND, interval_ns=SECOND)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


@pytest.fixture
def moving(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path, sensors_move=True) as made:
        yield made


def de(second: float, level: float, machine: str, sensor: str = "DE", **more: Any) -> Message:
    id_ = f"{machine}@{second}"
    return message(event(second, level, sensor, id_=id_), topic=topic_of(sensor, machine), **more)


def status(word: bytes, machine: str, sensor: str = "DE") -> Message:
    return Message(topic_of(sensor, machine).replace("/reading", "/status"), word, NOON_NS)


def facts(here: Plant, type_: str) -> list[tuple[str, dict[str, Any]]]:
    return [(fact.subject, fact.data) for _, fact in here.contents()["facts"] if fact.type == type_]


def named(here: Plant) -> list[str]:
    return [sensor.id for sensor in here.contents()["sensors"]]


def test_each_is_judged_by_itself_and_named_with_its_machine(here: Plant) -> None:
    for second in range(20):
        here.take(de(second, 4.0, "pump-3"), de(second + 0.5, 12.0, "fan-9"))
    contents = here.contents()
    assert [(sensor.id, sensor.published, sensor.tags["machine"]) for sensor in contents["sensors"]] == [
        (PUMP, "DE", "pump-3"),
        (FAN, "DE", "fan-9"),
    ]
    (alert,) = contents["alerts"]
    assert (alert.sensor_id, alert.severity, alert.tags["machine"]) == (FAN, "critical", "fan-9")
    assert [row.sensor_id for row in contents["readings"]] == [PUMP, FAN] * 20
    ((subject, data),) = facts(here, SENSOR_RENAMED)
    assert (subject, data["before"], data["sensorId"], data["publishedId"]) == (PUMP, "DE", PUMP, "DE")


def test_an_id_of_one_place_is_a_name_as_before(here: Plant) -> None:
    here.take(*(de(second, 12.0, "pump-3") for second in range(3)))
    contents = here.contents()
    (sensor,), (alert,) = contents["sensors"], contents["alerts"]
    assert (sensor.id, sensor.published, alert.sensor_id) == ("DE", "DE", "DE")
    assert "publishedId" not in describe(alert)
    assert facts(here, SENSOR_RENAMED) == []


class Account:
    """What came of a story, without what follows from names: sequence numbers and derived ids."""

    def __init__(self, contents: dict[str, Any], names: dict[str, str]) -> None:
        self._names = names
        self.readings = [
            (self._own(row.sensor_id), row.time_ns, row.level, row.baseline, row.flags, row.event_id)
            for row in contents["readings"]
        ]
        self.facts = [
            (fact.type, self._own(fact.subject), fact.time_ns, self._data(fact.data))
            for _, fact in contents["facts"]
            if fact.type != SENSOR_RENAMED
        ]
        self.alerts = sorted(
            (
                alert.kind,
                self._own(alert.sensor_id),
                alert.severity,
                alert.state,
                alert.opened_ns,
                alert.cleared_ns or 0,
            )
            for alert in contents["alerts"]
        )
        self.letters = contents["dead letters"]

    def _own(self, name: str) -> str:
        return self._names.get(name, name)

    def _data(self, data: dict[str, Any]) -> str:
        """Return what a fact says, without ids that follow from names; a text may hold a name."""
        derived = {"id", "alertId", "openedBy", "publishedId", "tags"}
        kept = {name: value for name, value in data.items() if name not in derived}
        text = json.dumps(kept, sort_keys=True)
        for name, own in sorted(self._names.items(), reverse=True):
            text = text.replace(f'"{name}"', f'"{own}"')
        return text


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, float, float | str, int]]:
    """Return (machine, second, level or a status, batch) as they come: in order for the most part."""
    made: list[tuple[str, float, float | str, int]] = []
    levels: st.SearchStrategy[float | str] = st.sampled_from([4.0, 4.2, 8.0, 12.0, 40.0, "offline", "online"])
    for number in range(draw(st.integers(1, 40))):
        back = draw(st.sampled_from([0, 0, 0, 0, 3, 7]))
        machine = draw(st.sampled_from(["pump-3", "fan-9"]))
        made.append((machine, max(0, number - back) + number / 1000, draw(levels), number))
    return made


def told(story: Sequence[tuple[str, float, float | str, int]], ids: dict[str, str], names: dict[str, str],
         sizes: Sequence[int], crashes: frozenset[int]) -> Account:  # fmt: skip
    messages = [
        status(level.encode(), machine, ids[machine])
        if isinstance(level, str)
        else message(
            event(second, level, ids[machine], id_=f"{machine}@{number}"),
            second=number + 0.5,
            topic=topic_of(ids[machine], machine),
        )
        for machine, second, level, number in story
    ]
    with TemporaryDirectory() as directory, plant(Path(directory), TOUCHY) as here:
        for number, batch in enumerate(split(messages, sizes)):
            here.take(*batch)
            if number in crashes:
                here.crash()
        here.pipeline.pass_time(NOON_NS + 500 * SECOND, Reception(500 * SECOND, 0))
        return Account(here.contents(), names)


@examples(60)
@given(stories(), st.lists(st.integers(1, 6), max_size=20), st.frozensets(st.integers(0, 12), max_size=3))
def test_two_sensors_of_one_id_are_as_two_of_two_ids_but_for_their_names(
    story: list[tuple[str, float, float | str, int]], sizes: list[int], crashes: frozenset[int]
) -> None:
    heard = [machine for machine, _, level, _ in story if not isinstance(level, str)]
    alone = {"DE": f"{heard[0]}-DE"} if heard else {}
    one = told(story, {"pump-3": "DE", "fan-9": "DE"}, {PUMP: "pump-3-DE", FAN: "fan-9-DE", **alone}, sizes, crashes)
    two = told(story, {"pump-3": "pump-3-DE", "fan-9": "fan-9-DE"}, {}, sizes, crashes)
    assert one.readings == two.readings
    assert one.facts == two.facts
    assert (one.alerts, one.letters) == (two.alerts, two.letters)


class TestHistory:
    """What was there under the id alone goes on under the name."""

    def test_open_alerts_and_what_happened_go_with_the_name(self, here: Plant) -> None:
        here.take(*(de(second, 12.0, "pump-3") for second in range(3)))
        here.take(de(3, 4.0, "fan-9"))
        here.take(*(de(second, 4.0, "pump-3") for second in range(4, 8)))
        (alert,) = here.contents()["alerts"]
        assert (alert.sensor_id, alert.published_id, alert.state) == (PUMP, "DE", "cleared")
        with here.reader() as reader:
            assert [each.fact.type for each in reader.entries(PUMP, None, None, None, 10)][::2] == [CLEARED, RAISED]
            assert [each.sensor_id for each in reader.alerts_of(PUMP, 2**62, 10)] == [PUMP]
            assert list(reader.entries("DE", None, None, None, 10)) == []
            assert len(list(reader.readings(PUMP, None, None, 100))) == 7

    def test_a_machine_of_that_name_keeps_its_own(self, here: Plant) -> None:
        """As where a topic has its machine's name for a sensor, too."""
        said = Message("vibration/plant-1/hall-2/DE/state", b'{"state": "running"}', NOON_NS)
        here.take(said, de(0, 4.0, "pump-3"), de(1, 4.0, "fan-9"))
        assert [subject for subject, _ in facts(here, "MachineStateChanged")] == ["DE"]

    @pytest.mark.parametrize("when", ["before", "between", "after"])
    def test_a_restart_changes_nothing(self, here: Plant, when: str) -> None:
        steps: list[Callable[[], object]] = [
            lambda: here.take(*(de(second, 12.0, "pump-3") for second in range(3))),
            lambda: here.take(*(de(second, 8.0, "fan-9") for second in range(3, 6))),
            lambda: here.take(*(de(second, 4.0, machine) for second in range(6, 9) for machine in ("pump-3", "fan-9"))),
        ]
        for number, step in enumerate(steps):
            step()
            if when == ("before", "between", "after")[number]:
                here.pipeline.snapshot()
                here.crash()
        changes = [(fact.type, fact.subject) for _, fact in here.contents()["facts"] if fact.type.startswith("Alert")]
        assert changes == [(RAISED, PUMP), (RAISED, FAN), (CLEARED, PUMP), (CLEARED, FAN)]

    def test_a_journal_of_the_version_before_goes_on(self, tmp_path: Path) -> None:
        with plant(tmp_path) as here:
            here.take(*(de(second, 12.0, "pump-3") for second in range(3)))
        with closing(sqlite3.connect(tmp_path / "journal.db")) as database:  # as version 8 left it
            database.executescript(
                "ALTER TABLE sensors DROP COLUMN published; PRAGMA user_version = 8;"
                + "".join(f"DROP TABLE {name};" for name in ("sealed", "sealed_index", "sealed_hashes", "sealed_ids"))
            )
        with plant(tmp_path) as here:
            here.crash()
            assert named(here) == ["DE"]
            here.take(*(de(second, 4.0, machine) for second in range(3, 7) for machine in ("pump-3", "fan-9")))
            (alert,) = here.contents()["alerts"]
            assert (named(here), alert.sensor_id, alert.state) == ([PUMP, FAN], PUMP, "cleared")

    def test_what_came_while_the_journal_could_not_be_written_is_named_when_it_can(
        self, here: Plant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here.take(*(de(second, 12.0, "pump-3") for second in range(3)))

        def refuse(_batch: UnitOfWork) -> None:
            raise JournalUnavailableError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(here.journal, "write", refuse)
            with pytest.raises(JournalUnavailableError):
                here.take(de(3, 4.0, "fan-9"))
        here.take(de(3, 4.0, "fan-9"))
        assert named(here) == [PUMP, FAN]
        assert [alert.sensor_id for alert in here.contents()["alerts"]] == [PUMP]


class TestSignals:
    def test_a_last_will_is_of_the_sensor_at_its_place(self, here: Plant) -> None:
        here.take(de(0, 4.0, "pump-3"), de(0, 4.0, "fan-9"), status(b"offline", "fan-9"))
        offline = {sensor.id: sensor.state.offline for sensor in here.pipeline.sensors}
        assert offline == {PUMP: False, FAN: True}
        assert facts(here, "SensorStatusChanged") == [(FAN, {"sensorId": FAN, "status": "offline"})]

    def test_who_falls_silent_is_said_by_its_name(self, tmp_path: Path) -> None:
        with plant(tmp_path, TOUCHY) as here:
            here.take(de(0, 4.0, "pump-3"), de(0, 4.0, "fan-9"))
            here.pipeline.pass_time(NOON_NS, Reception(50 * SECOND, 0))
            here.take(de(50, 4.0, "pump-3"))
            here.pipeline.pass_time(NOON_NS + 70 * SECOND, Reception(70 * SECOND, 0))
            (alert,) = here.contents()["alerts"]
            assert (alert.kind, alert.sensor_id, list(alert.faults)) == ("sensor", FAN, ["silent"])


def test_ids_of_readings_that_somebody_else_has_used_first_are_no_conflict(here: Plant) -> None:
    """As a counter is guessed, by who may publish for another machine only."""
    ours, theirs = topic_of("DE", "pump-3"), topic_of("DE", "fan-9")
    guessed = [event(second, 4.0, "DE", id_=str(second)) for second in range(5)]
    here.take(*(message(each, topic=theirs) for each in guessed))
    here.take(*(message(event(second, 12.0, "DE", id_=str(second)), topic=ours) for second in range(5)))
    contents = here.contents()
    assert ([alert.sensor_id for alert in contents["alerts"]], contents["dead letters"]) == ([PUMP], {})
    assert len(contents["readings"]) == 10


def test_a_backtest_of_the_journal_tells_them_apart_too(here: Plant) -> None:
    here.take(*(de(second, 12.0, machine) for second in range(3) for machine in ("pump-3", "fan-9")))
    with here.reader() as reader:
        outcome = run(read_journal(reader), lambda _: FIXED, Clocks(86_400_000_000), watch=False)
    assert [(entry.sensor_id, entry.severity) for entry in outcome.alerts] == [(PUMP, "critical"), (FAN, "critical")]


def test_one_that_was_missed_by_its_whole_name_is_missed_no_longer_when_it_comes_by_its_id(tmp_path: Path) -> None:
    """The configuration may say `DE (pump-3)` where `DE` would do."""
    with plant(tmp_path) as here:
        here.pipeline = Pipeline(here.journal, here.templates, lambda _: FIXED, DAY_NS, expected={PUMP: SECOND})
        here.pipeline.pass_time(NOON_NS, Reception(10 * SECOND, 0))
        here.take(de(11, 4.0, "pump-3"))
        here.pipeline.pass_time(NOON_NS + SECOND, Reception(11 * SECOND, 0))
        here.pipeline.pass_time(NOON_NS + 2 * SECOND, Reception(12 * SECOND, 0))
        (alert,) = here.contents()["alerts"]
        assert (alert.sensor_id, alert.state) == (PUMP, "cleared")


def test_places_are_sensors_for_the_quotas_too(tmp_path: Path) -> None:
    """Or one account would fill the registry by one id."""
    here = Plant(tmp_path, quotas=Quotas(sensors=3))
    try:
        here.take(*(de(0, 4.0, f"pump-{number}") for number in range(5)), de(1, 4.0, "pump-2"))
        assert named(here) == ["DE (pump-0)", "DE (pump-1)", "DE (pump-2)"]
        assert here.contents()["dead letters"] == {"over_quota": 2}
    finally:
        here.journal.close()


class TestPurging:
    def test_one_of_several_goes_and_a_new_one_may_come(self, here: Plant) -> None:
        here.take(*(de(0, 4.0, machine) for machine in ("pump-3", "fan-9", "fan-7")))
        execute = here.journal.execute
        assert execute(SelectSensors(Selection(pattern="DE"))) == [PUMP, FAN, "DE (fan-7)"]
        assert execute(SelectSensors(Selection(ids=["DE (fan-8)"]))) == []
        assert execute(PurgeSensors([FAN], 0, "me", "", NOON_NS)) == 1
        assert named(here) == [PUMP, "DE (fan-7)"]
        here.take(de(1, 4.0, "fan-9"), de(1, 4.0, "pump-3"))
        assert named(here) == [PUMP, "DE (fan-7)", FAN]
        assert execute(PurgeSensors([PUMP, FAN, "DE (fan-7)"], 0, "me", "", NOON_NS)) == 3
        here.take(de(2, 4.0, "pump-3"))
        assert named(here) == ["DE"]

    def test_the_last_one_is_called_by_its_id_again_with_its_alert(self, here: Plant) -> None:
        """What an invented second one did to its name is undone with it."""
        here.take(*(de(second, 12.0, "pump-3") for second in range(3)), de(3, 4.0, "fan-9"))
        here.journal.execute(PurgeSensors([FAN], 0, "me", "", NOON_NS))
        here.crash()
        here.take(*(de(second, 4.0, "pump-3") for second in range(4, 8)))
        contents = here.contents()
        assert [alert.sensor_id for alert in contents["alerts"]] == ["DE"]
        assert [fact.type for _, fact in contents["facts"] if fact.subject == "DE"][-1] == CLEARED
        assert [data["before"] for _, data in facts(here, SENSOR_RENAMED)] == ["DE", PUMP]
        assert named(here) == ["DE"]


class TestWhatIsMeant:
    def test_the_id_alone_where_it_is_clear_and_else_what_to_write(self, here: Plant) -> None:
        here.take(de(0, 4.0, "pump-3"), de(0, 4.0, "fan-9", "NDE"))
        with here.reader() as reader:
            assert (reader.called("DE"), reader.called(PUMP), reader.subject("broker")) == ("DE", "DE", "broker")
            with pytest.raises(NotFoundError, match=r"no sensor 'DE \(fan-9\)'"):
                reader.called(FAN)
        here.take(de(1, 4.0, "fan-9"))
        with here.reader() as reader:
            assert (reader.called(FAN), reader.called("NDE")) == (FAN, "NDE")
            with pytest.raises(ConflictError, match=r"write which one is meant: 'DE \(pump-3\)', 'DE \(fan-9\)'"):
                reader.called("DE")
            with pytest.raises(ConflictError):
                reader.baseline_facts("DE")

    def test_so_it_is_for_what_people_change(self, here: Plant) -> None:
        here.take(de(0, 4.0, "pump-3"))
        assert here.pipeline.forget(PUMP, by="me", reason="", time_ns=NOON_NS).subject == "DE"
        here.take(de(1, 4.0, "fan-9"))
        with pytest.raises(ConflictError, match="published at 2 places"):
            here.pipeline.forget("DE", by="me", reason="", time_ns=NOON_NS)
        assert here.pipeline.forget(FAN, by="me", reason="", time_ns=NOON_NS).subject == FAN
        assert here.pipeline.limits("DE") is None
        assert here.pipeline.limits(PUMP) is not None

    def test_a_name_is_nobody_elses(self, here: Plant) -> None:
        """A sensor that calls itself as another one is called takes nothing of it."""
        here.take(de(0, 4.0, "pump-3"), de(0, 4.0, "fan-9"), de(1, 40.0, "pump-3", PUMP))
        assert named(here) == [PUMP, FAN, "DE (pump-3) (pump-3)"]
        here.take(de(2, 4.0, "pump-3"), de(3, 40.0, "pump-3", PUMP))
        assert [row.sensor_id for row in here.contents()["readings"]][-2:] == [PUMP, "DE (pump-3) (pump-3)"]

    def test_names_are_as_short_as_they_can_be(self) -> None:
        place = ("plant-1", "hall-2", "pump-3")
        assert names_of("DE", place) == ("DE", PUMP, "DE (plant-1/hall-2/pump-3)")
        assert names_of("DE", ("", "", "")) == ("DE", "DE (no machine)")
        assert free_name("DE", place, {"DE"}, is_shared=True) == PUMP
        assert free_name("DE", place, {PUMP}, is_shared=True) == "DE (plant-1/hall-2/pump-3)"
        assert free_name("DE", place, {*names_of("DE", place), "DE (plant-1/hall-2/pump-3, 2)"}, is_shared=True) == (
            "DE (plant-1/hall-2/pump-3, 3)"
        )


class TestPlaces:
    def test_a_topic_that_comes_to_say_more_is_of_the_same_sensor(self, tmp_path: Path) -> None:
        """As when a site is added to the topics, or a damaged registry has forgotten where its sensors are."""
        templates = [
            "{sensor}/reading",
            "{machine}/{sensor}/reading",
            "vibration/{site}/{area}/{machine}/{sensor}/reading",
        ]
        here = Plant(tmp_path, templates=TopicTemplates(templates))
        try:
            for second, topic in enumerate(("DE/reading", "pump-3/DE/reading", topic_of("DE", "pump-3"))):
                here.take(message(event(second, sensor="DE"), topic=topic))
            assert named(here) == ["DE"]
            here.take(de(3, 4.0, "fan-9"), message(event(4, sensor="DE"), topic="fan-9/DE/reading"))
            assert named(here) == [PUMP, FAN]
        finally:
            here.journal.close()


class TestFollowers:
    def test_influxdb_and_alert_topics_have_the_id_beside_the_machine_as_ever(self, here: Plant) -> None:
        here.take(*(de(second, 12.0, "pump-3") for second in range(3)), de(3, 4.0, "fan-9"))
        here.take(*(de(second, 8.0, "pump-3") for second in range(4, 8)))
        contents = here.contents()
        lines = [line.split(b" ")[0] for line in to_lines(contents["readings"], [])]
        assert set(lines) == {
            b"vibration,area=hall-2,machine=pump-3,sensor=DE,site=plant-1",
            b"vibration,area=hall-2,machine=fan-9,sensor=DE,site=plant-1",
        }
        topics = {alert_topic(fact.data, "gw") for _, fact in contents["facts"] if fact.type.startswith("Alert")}
        assert topics == {"vibration/alerts/plant-1/hall-2/pump-3/DE"}

    def test_series_of_a_topic_without_a_sensor_have_the_id_too(self) -> None:
        body = json.dumps(event(0, 4.0, "DE")).encode()
        made = StoredReading(1, NOON_NS, PUMP, {"machine": "pump-3"}, 4.0, None, 0, "a", NOON_NS, body)
        assert to_lines([made], [])[0].startswith(b"vibration,machine=pump-3,sensor=DE ")

    async def test_the_page_shows_both_and_no_third(self, here: Plant) -> None:
        live, seen = Live(), 0

        async def follow() -> None:
            nonlocal seen
            with here.reader() as reader:
                step = reader.step(seen, 1000)
            seen = step.until
            await live.consume(step.readings, step.entries)

        here.take(*(de(second, 12.0, "pump-3") for second in range(3)))
        await follow()
        version = live.version
        assert live.answering("DE") == live.answering(PUMP) == ["DE"]
        here.take(de(3, 4.0, "fan-9"), de(4, 12.0, "pump-3"))
        await follow()
        changes = live.changes(version)
        assert (changes["gone"], changes["counts"]["sensors"]) == (["DE"], 2)
        assert {row[0]: row[1] for row in changes["sensors"]} == {PUMP: "critical", FAN: "ok"}
        assert [alert["sensorId"] for alert in changes["alerts"]] == [PUMP]
        assert (live.answering("DE"), live.answering(FAN)) == ([PUMP, FAN], [FAN])
        assert "gone" not in live.changes(live.version)


class TestSensorsThatMove:
    def test_an_id_is_one_sensor_and_a_move_is_an_event(self, moving: Plant) -> None:
        moving.take(de(0, 4.0, "pump-3"), de(1, 4.0, "fan-9"), de(2, 4.0, "fan-9"))
        assert named(moving) == ["DE"]
        ((subject, data),) = facts(moving, SENSOR_MOVED)
        assert (subject, data["from"]["machine"], data["to"]["machine"]) == ("DE", "pump-3", "fan-9")
        assert data["reason"] == "Moved from plant-1/hall-2/pump-3 to plant-1/hall-2/fan-9."

    def test_what_was_told_apart_is_one_again_under_its_id(self, tmp_path: Path) -> None:
        with plant(tmp_path) as here:
            here.take(de(0, 4.0, "pump-3"), de(20, 4.0, "fan-9"))
        with plant(tmp_path, sensors_move=True) as moving:
            moving.crash()
            moving.take(de(40, 4.0, "fan-9"), de(60, 4.0, "pump-3"), de(80, 4.0, "fan-9"))
            assert named(moving) == [PUMP, "DE"]
            assert [row.sensor_id for row in moving.contents()["readings"]] == [PUMP, "DE", "DE", "DE", "DE"]
            moving.crash()
            moving.take(de(100, 4.0, "fan-9"))
            assert named(moving) == [PUMP, "DE"]
        with plant(tmp_path) as here:
            here.crash()
            here.take(de(120, 4.0, "pump-3"), de(140, 4.0, "fan-9"))
            assert named(here) == [PUMP, "DE"]
            assert [row.sensor_id for row in here.contents()["readings"]][-2:] == [PUMP, "DE"]
