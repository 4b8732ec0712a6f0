"""The pipeline after a crash, on a full disk, and with dead letters that are replayed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.domain.alerting.alert import ACKNOWLEDGED, CLEARED, ESCALATED, RAISED, RETURNED, SHELVED, UNSHELVED, Alert
from gateway.domain.alerting.liveness import Reception
from gateway.domain.detection.rules import Rules
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.model.events import Message
from gateway.domain.model.reading import Flag
from gateway.errors import JournalUnavailableError
from gateway.ingest import processor as pipeline_module
from tests.readings import FIXED, NOON_NS, SECOND, TEMPLATE, Plant, event, message, plant, reading

DAY = 86_400


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


class Broken:
    """A journal whose disk is full now and then; everything else is the real one's."""

    def __init__(self, here: Plant) -> None:
        self._journal = here.journal
        self.is_full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def write(self, batch: UnitOfWork) -> None:
        self._refuse()
        self._journal.write(batch)

    def save_detector(self, *state: Any) -> None:
        self._refuse()
        self._journal.save_detector(*state)

    def _refuse(self) -> None:
        if self.is_full:
            raise JournalUnavailableError("database or disk is full")


@pytest.fixture
def broken(here: Plant) -> Broken:
    store = Broken(here)
    here.pipeline = pipeline_module.Pipeline(store, here.templates, lambda _: FIXED, DAY * SECOND)
    return store


class TestADiskThatIsFull:
    def test_what_could_not_be_written_is_written_once_there_is_space(self, here: Plant, broken: Broken) -> None:
        messages = [reading(second, 8.0) for second in range(3)]
        broken.is_full = True
        for _ in range(3):
            with pytest.raises(JournalUnavailableError):
                here.take(*messages)
        here.pipeline.snapshot()
        broken.is_full = False
        assert here.take(*messages).duplicates == 0
        assert (len(here.contents()["readings"]), here.changes()) == (3, [(RAISED, "warning")])

    def test_what_others_wrote_meanwhile_keeps_its_place(self, here: Plant, broken: Broken) -> None:
        """A follower that has read up to there would never see a reading below it."""
        messages = [*(reading(second, 8.0) for second in range(3)), message(b"{")]
        broken.is_full = True
        with pytest.raises(JournalUnavailableError):
            here.take(*messages)
        broken.is_full = False
        here.pipeline.report("disk", "warning", "full", NOON_NS)
        with here.reader() as reader:
            seen = reader.last_seq()
            here.take(*messages)
            step = reader.step(seen, 100)
        assert [len(step.readings), len(step.entries), step.until] == [3, 1, seen + 5]
        assert here.take(reading(9)).next_seq == seen + 7

    def test_a_snapshot_is_taken_while_messages_wait_for_their_commit(self, here: Plant) -> None:
        """Or a gateway under an even load would never give the upkeep one, and readings could not go."""
        here.pipeline.take([reading(second) for second in range(3)], NOON_NS)
        here.pipeline.snapshot()
        assert here.journal.settled_seq([]) == here.journal.next_seq - 1
        assert len(here.contents()["readings"]) == 3

    def test_a_snapshot_that_fails_does_not_make_the_batch_fail(
        self, here: Plant, broken: Broken, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is on disk: done again, its dead letters would be there twice."""
        monkeypatch.setattr(pipeline_module, "SNAPSHOT_READINGS", 1)
        monkeypatch.setattr(broken, "save_detector", lambda *_: broken._refuse())  # noqa: SLF001 - its own test
        monkeypatch.setattr(broken, "_refuse", lambda: (_ for _ in ()).throw(JournalUnavailableError("full")))
        monkeypatch.setattr(broken, "write", here.journal.write)
        batch = here.take(*(reading(second) for second in range(20)), message(b"{"))
        assert len(batch.readings) == 20
        assert here.contents()["dead letters"] == {"not_json": 1}


class TestReplay:
    """Dead letters of a topic that no template fitted, once one does."""

    @pytest.fixture
    def letters(self, here: Plant) -> list[tuple[int, Message]]:
        bad = [event(0, 8.0), 5]
        here.take(
            *(message(event(second, 8.0), topic=f"raw/{second}") for second in range(3)), message(bad, topic="raw/x")
        )
        here.take(message(b"{"))
        here.templates = TopicTemplates([TEMPLATE, "raw/{number}"])
        here.crash()
        return here.journal.dead_letters([])

    def test_what_can_be_used_now_is_stored_and_is_no_dead_letter_any_more(
        self, here: Plant, letters: list[tuple[int, Message]]
    ) -> None:
        assert here.pipeline.replay(letters, NOON_NS) == [1, 2, 3]
        contents = here.contents()
        assert [row.event_id for row in contents["readings"]] == ["VB-1@0", "VB-1@1", "VB-1@2"]
        assert contents["dead letters"] == {"not_json": 1, "topic_mismatch": 1}
        assert here.changes() == [(RAISED, "warning")]

    def test_what_the_broker_had_kept_is_still_not_judged(self, here: Plant) -> None:
        here.take(*(message(event(second, 20.0), topic=f"raw/{second}", retained=True) for second in range(3)))
        here.templates = TopicTemplates([TEMPLATE, "raw/{number}"])
        here.crash()
        assert here.pipeline.replay(here.journal.dead_letters([]), NOON_NS) == [1, 2, 3]
        assert [row.flags for row in here.contents()["readings"]] == [Flag.RETAINED] * 3
        assert here.changes() == []

    def test_doing_it_again_changes_nothing(self, here: Plant, letters: list[tuple[int, Message]]) -> None:
        here.pipeline.replay(letters, NOON_NS)
        before = here.contents()
        here.pipeline.replay(letters, NOON_NS)
        assert here.contents() == before

    def test_a_full_disk_in_between_does_not_store_anything_twice(
        self, here: Plant, letters: list[tuple[int, Message]], broken: Broken
    ) -> None:
        broken.is_full = True
        for _ in range(2):
            with pytest.raises(JournalUnavailableError):
                here.pipeline.replay(letters, NOON_NS)
        broken.is_full = False
        assert here.take(reading(1, 8.0)).duplicates == 1
        assert len(here.contents()["readings"]) == 3


@pytest.mark.parametrize("snapshot", [False, True])
def test_new_rules_count_after_a_restart_and_open_alerts_stay(here: Plant, *, snapshot: bool) -> None:
    here.take(*(reading(second, 8.0) for second in range(3)), reading(0, 8.0, "VB-2"), reading(1, 8.0, "VB-2"))
    if snapshot:
        here.pipeline.snapshot()
    here.rules = Rules(baseline=40.0)
    here.crash()
    here.take(reading(2, 8.0, "VB-2"), reading(0.5, 8.0))
    assert here.changes() == [(RAISED, "warning")]
    assert [row.baseline for row in here.contents()["readings"]][-2:] == [40.0, 40.0]
    here.take(*(reading(second, 8.0) for second in range(3, 6)))
    assert here.changes() == [(RAISED, "warning"), (CLEARED, "warning")]


def test_what_a_restart_has_restored_is_in_the_next_snapshot(here: Plant) -> None:
    here.take(reading(0, 8.0), reading(1, 8.0))
    here.crash()
    here.take(reading(0, 4.0, "VB-2"))
    here.pipeline.snapshot()
    assert here.crash() == 0
    here.take(reading(2, 8.0))
    assert here.changes() == [(RAISED, "warning")]


def test_a_new_sensor_never_takes_the_number_of_another(here: Plant) -> None:
    """Damage may have taken a sensor in the middle, of which nothing else is left."""
    here.take(reading(0), reading(0, sensor="VB-2"), reading(0, sensor="VB-3"))
    with here.journal.transaction():
        here.journal._db.execute("DELETE FROM sensors WHERE id = 'VB-2'")  # noqa: SLF001 - what damage does
        here.journal._db.execute("DELETE FROM readings WHERE sensor = 2")  # noqa: SLF001 - as above
    here.crash()
    here.take(reading(1, sensor="VB-4"), reading(1, sensor="VB-3"))
    found = [(row.sensor_id, row.event_id) for row in here.contents()["readings"]]
    assert found == [("VB-1", "VB-1@0"), ("VB-3", "VB-3@0"), ("VB-4", "VB-4@1"), ("VB-3", "VB-3@1")]


def test_a_snapshot_bounds_what_is_replayed(here: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "SNAPSHOT_READINGS", 10)
    for second in range(0, 40, 5):
        here.take(*(reading(second + offset) for offset in range(5)))
    assert here.crash() < 10


@pytest.mark.parametrize("snapshot", [False, True])
def test_what_a_whole_machine_has_shifted_to_is_remembered_of_all_its_sensors(here: Plant, *, snapshot: bool) -> None:
    here.rules = Rules(learning_readings=10, learning_ns=0, settling_ns=0)
    here.crash()
    for second in range(30):
        stopped = {"operatingState": "stopped"} if 20 <= second < 24 else {}
        level = (4.0 if second < 20 else 6.5) + 0.1 * (second * 7 % 5)
        here.take(*(reading(second, 0.1 if stopped else level, name, **stopped) for name in ("VB-1", "VB-2")))
        if snapshot and second == 25:
            here.pipeline.snapshot()
    assert here.changes() == [("AlertRaised", "warning")]
    here.crash()
    here.take(reading(30, 6.5), reading(30, 6.5, "VB-2"))
    assert [row.baseline for row in here.contents()["readings"]][-2:] == [None, None], "they are learning anew"


def test_a_restart_knows_what_is_shelved_though_it_has_cleared(here: Plant) -> None:
    here.take(*(reading(second, 8.0) for second in range(3)))
    alert = here.contents()["alerts"][0]
    here.pipeline.attend(lambda alerts: alerts.shelve(alert.id, 3600 * SECOND, "anna", "ordered", NOON_NS), NOON_NS)
    here.take(*(reading(second, 4.0) for second in range(3, 6)))
    here.crash()
    here.take(*(reading(second, 8.0) for second in range(6, 9)))
    again, first = here.contents()["alerts"]
    assert (again.shelved_until_ns, first.shelved_until_ns) == (NOON_NS + 3600 * SECOND, None)
    here.crash()
    here.pipeline.pass_time(NOON_NS + 3600 * SECOND, Reception())
    assert here.contents()["alerts"][0].shelved_until_ns is None
    assert [type_ for type_, _ in here.changes()] == [RAISED, SHELVED, CLEARED, UNSHELVED, RAISED, UNSHELVED]


def test_a_restart_knows_that_a_latched_alert_is_back_to_normal(here: Plant) -> None:
    here.rules = replace(FIXED, latching=True)
    here.crash()
    here.take(*(reading(second, 8.0) for second in range(3)), *(reading(second, 4.0) for second in range(3, 6)))
    here.crash()
    here.take(*(reading(second, 4.0) for second in range(6, 12)))
    assert [type_ for type_, _ in here.changes()] == [RAISED, RETURNED]
    alert = here.contents()["alerts"][0]
    acknowledge(here, alert)
    assert here.contents()["alerts"][0].state == "cleared"


def acknowledge(here: Plant, alert: Alert) -> None:
    here.pipeline.attend(lambda alerts: alerts.acknowledge(alert.id, "anna", "", NOON_NS), NOON_NS)


def test_who_acknowledges_while_the_disk_is_full_is_told_so_and_nothing_changes(here: Plant, broken: Broken) -> None:
    here.take(*(reading(second, 8.0) for second in range(3)))
    alert = here.contents()["alerts"][0]
    broken.is_full = True
    with pytest.raises(JournalUnavailableError):
        here.take(*(reading(second, 12.0) for second in range(3, 6)))
    with pytest.raises(JournalUnavailableError):
        acknowledge(here, alert)
    broken.is_full = False
    acknowledge(here, alert)
    assert [type_ for type_, _ in here.changes()] == [RAISED, ESCALATED, ACKNOWLEDGED]
    stored = here.contents()["alerts"][0]
    assert (stored.severity, stored.acknowledged) == ("critical", True)
