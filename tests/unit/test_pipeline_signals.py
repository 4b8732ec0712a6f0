"""Machines' states and sensors' statuses on their way through the pipeline, and through a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.domain.alerting.alert import ACTIVE, CLEARED, RAISED, STALE
from gateway.domain.alerting.liveness import Reception
from gateway.domain.engine.quotas import Quotas
from gateway.domain.inputs.native import KEPT_BYTES, MAX_MESSAGE_BYTES
from gateway.domain.inputs.status import Signals
from gateway.domain.model.assets import MACHINE_STATE, SENSOR_STATUS
from gateway.domain.model.events import Message
from tests.readings import NOON_NS, SECOND, Plant, event, message, plant, reading

STATE, STATUS = "vibration/plant-1/hall-2/pump-7/state", "vibration/plant-1/hall-2/pump-7/VB-1/status"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


def state(name: str, second: float = 0, *, topic: str = STATE, retained: bool = True) -> Message:
    return Message(topic, f'{{"state": "{name}"}}'.encode(), NOON_NS + int(second * SECOND), 1, retained=retained)


def status(word: str, second: float = 0, topic: str = STATUS) -> Message:
    return Message(topic, word.encode(), NOON_NS + int(second * SECOND), 1, retained=True)


def facts(here: Plant, type_: str) -> list[dict[str, object]]:
    return [fact.data for _, fact in here.contents()["facts"] if fact.type == type_]


class TestAMachinesState:
    def test_a_stopped_machine_is_not_judged_though_its_readings_do_not_say_so(self, here: Plant) -> None:
        here.take(state("stopped"), *(reading(second, 8.0) for second in range(3)))
        assert here.changes() == []
        here.take(state("running", 3), *(reading(1000 + second, 8.0) for second in range(3)))
        assert here.changes() == [(RAISED, "warning")]

    def test_what_the_reading_says_itself_comes_first(self, here: Plant) -> None:
        here.take(state("stopped"), *(reading(second, 8.0, operatingState="running") for second in range(3)))
        assert here.changes() == [(RAISED, "warning")]

    def test_another_machines_state_is_another_matter(self, here: Plant) -> None:
        other = state("stopped", topic="vibration/plant-1/hall-2/pump-8/state")
        here.take(other, *(reading(second, 8.0) for second in range(3)))
        assert here.changes() == [(RAISED, "warning")]

    def test_it_is_a_fact_when_it_changes_and_only_then(self, here: Plant) -> None:
        here.take(state("running"), state("running"), state("stopped", 1), state("stopped", 2))
        changes = [(data["machine"], data["before"], data["state"]) for data in facts(here, MACHINE_STATE)]
        assert changes == [("pump-7", None, "running"), ("pump-7", "running", "stopped")]

    @pytest.mark.parametrize("snapshot", [False, True])
    def test_it_outlives_a_restart_for_sensors_old_and_new(self, here: Plant, *, snapshot: bool) -> None:
        here.take(reading(0), state("stopped"))
        if snapshot:
            here.pipeline.snapshot()
        here.crash()
        here.take(*(reading(1 + second, 8.0) for second in range(3)))
        here.take(*(reading(1 + second, 40.0, "VB-2") for second in range(3)))
        assert here.changes() == []
        here.take(state("stopped", 9))
        assert len(facts(here, MACHINE_STATE)) == 1

    def test_an_empty_one_takes_it_back_also_over_a_restart(self, here: Plant) -> None:
        taken_back = Message(STATE, b"", NOON_NS + SECOND, 1)
        here.take(reading(0), state("stopped"), taken_back, taken_back)
        here.crash()
        here.take(*(reading(1 + second, 8.0) for second in range(3)))
        assert [(data["before"], data["state"]) for data in facts(here, MACHINE_STATE)] == [
            (None, "stopped"),
            ("stopped", ""),
        ]
        assert here.changes() == [(RAISED, "warning")]
        assert here.contents()["dead letters"] == {}

    def test_a_replay_judges_each_reading_in_the_state_it_was_judged_in(self, here: Plant) -> None:
        here.take(reading(0, 8.0), state("stopped"), reading(1, 8.0), state("running"))
        before = [sensor.state for sensor in here.pipeline._engine.sensors.values()]  # noqa: SLF001 - it is what is compared
        here.crash()
        after = [sensor.state for sensor in here.pipeline._engine.sensors.values()]  # noqa: SLF001 - as above
        for each in (*before, *after):
            each.limits = None
        assert after == before

    def test_a_bad_one_is_a_dead_letter_and_changes_nothing(self, here: Plant) -> None:
        here.take(Message(STATE, b"stopped", NOON_NS, 7), Message(STATUS, b"gone", NOON_NS, 8))
        here.take(*(reading(second, 8.0) for second in range(3)))
        assert here.contents()["dead letters"] == {"not_json": 1, "invalid": 1}
        assert here.changes() == [(RAISED, "warning")]
        letters = here.journal.dead_letters([])
        assert here.pipeline.replay(letters, NOON_NS) == []

    def test_one_that_could_not_be_used_can_be_later_unless_there_is_a_newer_one(self, here: Plant) -> None:
        there, new, newer = (state("running", topic=f"vibration/plant-1/hall-2/pump-{name}/state") for name in "123")
        here.quotas = Quotas(machine_states=1)
        here.crash()
        here.take(there, new, newer)
        here.quotas = Quotas()
        here.crash()
        here.take(state("stopped", topic=newer.topic))
        assert here.pipeline.replay(here.journal.dead_letters([]), NOON_NS) == [2, 3]
        said = [(data["machine"], data["state"]) for data in facts(here, MACHINE_STATE)]
        assert said == [("pump-1", "running"), ("pump-3", "stopped"), ("pump-2", "running")]
        assert here.contents()["dead letters"] == {}

    def test_of_an_enormous_one_only_the_beginning_is_kept(self, here: Plant) -> None:
        enormous = b"{" + b" " * MAX_MESSAGE_BYTES
        here.take(Message(STATE, enormous, NOON_NS, 7), Message(STATUS, enormous, NOON_NS, 8))
        assert here.contents()["dead letters"] == {"too_large": 2}
        assert [len(message.payload) for _, message in here.journal.dead_letters([])] == [KEPT_BYTES] * 2

    @pytest.mark.parametrize("topic", [STATE, STATUS, "plant/x"])
    def test_what_was_cut_on_its_way_is_not_looked_into(self, here: Plant, topic: str) -> None:
        good = state("stopped").payload
        here.take(Message(topic, good, NOON_NS, 7, cut_from=2 * MAX_MESSAGE_BYTES))
        ((_, letter),) = here.journal.dead_letters([])
        assert here.contents()["dead letters"] == {"too_large": 1}
        assert letter.payload == good
        assert facts(here, MACHINE_STATE) == []

    def test_strangers_cannot_make_us_remember_without_bounds(self, here: Plant) -> None:
        here.quotas = Quotas(machine_states=2)
        here.crash()
        for number in range(4):
            here.take(state("running", topic=f"vibration/plant-1/hall-2/pump-{number}/state"))
        here.take(state("stopped", topic="vibration/plant-1/hall-2/pump-0/state"))
        assert len(facts(here, MACHINE_STATE)) == 3
        assert here.contents()["dead letters"] == {"over_quota": 2}

    def test_a_flood_of_invented_machines_takes_no_word_from_one_that_has_a_sensor(self, here: Plant) -> None:
        here.quotas = Quotas(machine_states=2)
        here.crash()
        here.take(reading(0))
        here.take(*(state("running", topic=f"vibration/plant-1/hall-2/forged-{number}/state") for number in range(9)))
        here.take(state("stopped"))
        assert facts(here, MACHINE_STATE)[-1]["machine"] == "pump-7"
        assert here.contents()["dead letters"] == {"over_quota": 7}


class TestAnOldStatus:
    @pytest.fixture
    def letters(self, here: Plant) -> list[tuple[int, Message]]:
        """Return the dead letter of a status, from before its topic was configured."""
        here.take(reading(0), status("offline", 1, topic="said/VB-1"))
        here.signals = Signals([], ["said/{sensor}"])
        here.crash()
        return here.journal.dead_letters([])

    def test_it_counts_if_the_sensor_has_said_nothing_since(
        self, here: Plant, letters: list[tuple[int, Message]]
    ) -> None:
        assert len(here.pipeline.replay(letters, NOON_NS)) == 1
        assert [data["status"] for data in facts(here, SENSOR_STATUS)] == ["offline"]

    def test_it_does_not_if_it_has(self, here: Plant, letters: list[tuple[int, Message]]) -> None:
        here.take(status("offline", 2, topic="said/VB-1"), status("online", 3, topic="said/VB-1"))
        assert len(here.pipeline.replay(letters, NOON_NS)) == 1
        assert [data["status"] for data in facts(here, SENSOR_STATUS)] == ["offline", "online"]


class TestASensorsStatus:
    """It publishes every quarter of an hour; silent_after is five minutes."""

    @pytest.fixture
    def slow(self, here: Plant) -> Plant:
        here.take(*(reading(900 * number, 8.0) for number in range(5)))
        self.after(here, 4)
        assert here.changes() == [(RAISED, "warning")]
        return here

    def after(self, here: Plant, minutes: float) -> None:
        here.pipeline.pass_time(NOON_NS, Reception(int(minutes * 60 * SECOND), 0))

    def test_for_one_that_is_offline_nobody_waits_five_intervals(self, slow: Plant) -> None:
        self.after(slow, 30)
        assert len(slow.changes()) == 1
        slow.take(status("offline", 4000))
        self.after(slow, 31)
        assert slow.changes()[1:] == [(RAISED, "warning"), (STALE, "warning")]
        (alert,) = [alert for alert in slow.contents()["alerts"] if alert.kind == "sensor"]
        assert "offline" in alert.reason
        slow.take(status("online", 4100))
        assert len(slow.changes()) == 3, "it has not measured anything yet"
        slow.take(reading(4200, 8.0))
        assert slow.changes()[3:] == [(CLEARED, "warning"), (ACTIVE, "warning")]

    def test_one_that_only_reconnects_is_not_silent(self, slow: Plant) -> None:
        slow.take(status("offline", 4000), status("online", 4001))
        self.after(slow, 30)
        slow.take(status("offline", 4002))
        slow.take(reading(4500, 8.0))
        self.after(slow, 60)
        assert len(slow.changes()) == 1

    def test_it_is_a_fact_when_it_changes_and_only_then(self, here: Plant) -> None:
        here.take(reading(0), *(status(word) for word in ("online", "offline", "offline", "online")))
        assert [data["status"] for data in facts(here, SENSOR_STATUS)] == ["offline", "online"]

    @pytest.mark.parametrize("snapshot", [False, True])
    def test_it_outlives_a_restart(self, slow: Plant, *, snapshot: bool) -> None:
        slow.take(status("offline", 4000))
        if snapshot:
            slow.pipeline.snapshot()
        slow.crash()
        slow.take(status("offline", 4001))
        self.after(slow, 6)
        assert slow.changes()[1:] == [(RAISED, "warning"), (STALE, "warning")]
        slow.take(reading(4500, 8.0))
        slow.crash()
        slow.take(Message(STATUS, b"offline", NOON_NS + 4501 * SECOND, 1))
        assert [data["status"] for data in facts(slow, SENSOR_STATUS)] == ["offline", "offline"]

    @pytest.mark.parametrize("snapshot", [False, True])
    def test_the_brokers_memory_of_it_is_nothing_new(self, here: Plant, *, snapshot: bool) -> None:
        """A reading came since it was said. Said again by the sensor itself it is news, and it is after an `online`."""
        here.take(reading(0), status("offline"), reading(1))
        if snapshot:
            here.pipeline.snapshot()
        here.crash()
        again = Message(STATUS, b"offline", NOON_NS + 2 * SECOND, 1, duplicate=True)
        here.take(status("offline", 2), again)
        assert [data["status"] for data in facts(here, SENSOR_STATUS)] == ["offline"]
        here.take(Message(STATUS, b"offline", NOON_NS + 3 * SECOND, 2))
        here.take(status("online", 4), status("offline", 5))
        assert [data["status"] for data in facts(here, SENSOR_STATUS)] == ["offline", "offline", "online", "offline"]

    def test_of_a_sensor_that_has_never_measured_anything_nothing_is_remembered(self, here: Plant) -> None:
        here.take(status("offline"), status("online"))
        assert here.contents()["facts"] == []

    def test_a_reading_that_the_broker_only_remembered_is_no_sign_of_life(self, slow: Plant) -> None:
        slow.take(status("offline", 4000), message(event(4001), retained=True))
        self.after(slow, 10)
        assert len(slow.changes()) == 3
