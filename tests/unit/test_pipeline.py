"""The one path of one batch, through a real journal: the laws that hold however messages come."""

import sqlite3
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.domain.alerting.alert import CLEARED, ESCALATED, RAISED
from gateway.domain.detection.baseline_events import BASELINE_LEARNED
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Sensor
from gateway.domain.engine.id_window import EVENT_IDS_AGAIN
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.reading import Flag
from tests.readings import NOON_NS, SECOND, Plant, event, message, plant, reading, topic_of

DAY = 86_400


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Plant]:
    with plant(tmp_path) as made:
        yield made


def flags_of(here: Plant) -> list[int]:
    return [row.flags for row in here.contents()["readings"]]


def facts_of(here: Plant) -> list[DomainEvent]:
    return [fact for _, fact in here.contents()["facts"]]


class TestWhatIsStored:
    def test_a_reading_is_stored_with_what_it_was_compared_with(self, here: Plant) -> None:
        batch = here.take(reading(0, 5.0))
        (stored,) = here.contents()["readings"]
        assert (stored.sensor_id, stored.level, stored.baseline, stored.flags) == ("VB-1", 5.0, 4.0, 0)
        assert (stored.time_ns, stored.received_ns) == (NOON_NS, NOON_NS + SECOND // 2)
        assert stored.tags == {"site": "plant-1", "area": "hall-2", "machine": "pump-7", "sensor": "VB-1"}
        assert stored.event().event_id == stored.event_id
        assert (batch.messages, batch.duplicates, len(batch.readings)) == (1, 0, 1)

    def test_an_array_is_as_many_readings_and_dead_letters(self, here: Plant) -> None:
        here.take(message([event(0), 5, event(1), {"eventType": "Other"}]))
        contents = here.contents()
        assert len(contents["readings"]) == 2
        assert contents["dead letters"] == {"invalid": 2}

    def test_a_topic_that_no_template_fits_is_a_dead_letter(self, here: Plant) -> None:
        here.take(message(event(), topic="elsewhere"))
        assert here.contents()["dead letters"] == {"topic_mismatch": 1}

    def test_a_body_that_is_no_utf8_in_an_unknown_field_is_kept_as_it_came(self, here: Plant) -> None:
        whole = message(event()).payload[:-1] + b', "note": "\xff"}'
        here.take(message(whole))
        assert here.contents()["readings"][0].body == whole
        assert here.crash() == 1

    @pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1500-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    @pytest.mark.parametrize("retained", [False, True])
    def test_no_time_is_too_long_for_the_journal(self, here: Plant, time: str, *, retained: bool) -> None:
        here.take(message({**event(), "timestamp": time}, second=0, retained=retained))
        (stored,) = here.contents()["readings"]
        assert stored.flags & Flag.CLOCK_REPLACED
        assert here.take(reading(1)).duplicates == 0

    def test_hostile_but_valid_texts_are_stored(self, here: Plant) -> None:
        odd = event(0, 20.0, unit="\x00\x1b[2J", operatingState="'; DROP TABLE readings; --")
        here.take(message({**odd, "sensorLocation": "\u202e<script>", "correlationId": "c" * 100_000}))
        here.take(*(reading(second, 20.0, unit="\x00\x1b[2J") for second in range(1, 5)))
        assert len(here.contents()["readings"]) == 5
        assert here.changes() == [(RAISED, "critical")]

    def test_every_fact_leads_back_to_its_cause(self, here: Plant) -> None:
        here.take(*(message({**event(second, 8.0), "correlationId": "chain"}) for second in range(3)))
        (fact,) = facts_of(here)
        assert (fact.causation_id, fact.correlation_id, fact.subject) == ("VB-1@2", "chain", "VB-1")
        here.take(*(reading(second, 12.0) for second in range(3, 6)))
        assert facts_of(here)[1].correlation_id == "VB-1@5"


class TestDuplicates:
    def test_the_same_message_again_is_stored_once_whenever_it_comes(self, here: Plant) -> None:
        assert here.take(reading(0), reading(0)).duplicates == 1
        here.take(reading(1), reading(2))
        assert here.take(reading(0), reading(1), reading(2)).duplicates == 3
        assert len(here.contents()["readings"]) == 3

    def test_it_is_the_same_even_if_it_is_written_differently(self, here: Plant) -> None:
        again = replace(reading(0), payload=b"  " + reading(0).payload + b" ")
        assert here.take(reading(0), again).duplicates == 1

    def test_the_same_id_with_other_content_is_a_dead_letter(self, here: Plant) -> None:
        here.take(reading(0, 4.0))
        here.take(message(event(0, 9.0)), message(event(0, 9.0), duplicate=True))
        contents = here.contents()
        assert [row.level for row in contents["readings"]] == [4.0]
        assert contents["dead letters"] == {"id_conflict": 1}

    def test_an_id_used_again_for_another_time_is_another_reading_and_that_is_said_once(self, here: Plant) -> None:
        count = [message(event(second, 4.0, id_=str(second))) for second in range(30)]
        again = [message(event(100 + second, 12.0, id_=str(second))) for second in range(30)]
        here.take(*count)
        assert len(here.take(*again).readings) == 30
        contents = here.contents()
        assert contents["dead letters"] == {}
        assert [fact.type for _, fact in contents["facts"]] == [EVENT_IDS_AGAIN, RAISED]
        here.crash()
        assert here.take(*count, *again).duplicates == 60
        here.take(message(event(200, 12.0, id_="1")), message(event(90_000, 12.0, id_="1")))
        assert [fact.type for _, fact in here.contents()["facts"]] == [EVENT_IDS_AGAIN, RAISED, EVENT_IDS_AGAIN]

    def test_two_sensors_may_use_the_same_id(self, here: Plant) -> None:
        here.take(message(event(0, id_="1")), message(event(1, sensor="VB-2", id_="1")))
        assert len(here.contents()["readings"]) == 2

    def test_an_id_used_again_is_noticed_after_a_crash_too(self, here: Plant) -> None:
        here.take(message(event(0, id_="1")))
        here.pipeline.snapshot()
        here.crash()
        here.take(message(event(1, id_="1")))
        assert [fact.type for _, fact in here.contents()["facts"]] == [EVENT_IDS_AGAIN]

    def test_readings_of_one_time_get_times_of_their_own(self, here: Plant) -> None:
        here.take(*(message(event(0, id_=str(number))) for number in range(3)))
        here.take(reading(1))
        here.take(*(message(event(0, id_=str(number))) for number in range(3, 6)))
        here.take(*(message(event(0, id_=str(number)), retained=True) for number in range(6, 9)))
        times = [row.time_ns - NOON_NS for row in here.contents()["readings"]]
        assert times == [0, 1, 2, SECOND, 4 - 1, 4, 5, 506, 507, 508]

    def test_a_bad_message_that_is_sent_again_is_one_dead_letter(self, here: Plant) -> None:
        bad = message(b"{", packet_id=7)
        again = replace(bad, duplicate=True, generation=2)
        here.take(bad)
        assert here.take(again).duplicates == 1
        assert here.crash() == 0
        assert here.take(again).duplicates == 1
        assert here.contents()["dead letters"] == {"not_json": 1}

    def test_it_is_one_even_if_both_come_in_one_batch(self, here: Plant) -> None:
        bad = message(b"{", packet_id=7)
        here.take(bad, replace(bad, duplicate=True))
        assert here.contents()["dead letters"] == {"not_json": 1}

    def test_two_bad_messages_are_two(self, here: Plant) -> None:
        bad = message(b"{", packet_id=7)
        here.take(bad, replace(bad, packet_id=8, duplicate=True), replace(bad, payload=b"[", duplicate=True), bad)
        assert here.contents()["dead letters"] == {"not_json": 4}


class TestOrderAndClocks:
    def test_a_late_reading_is_stored_and_marked_and_changes_nothing_else(self, here: Plant) -> None:
        here.take(reading(100))
        batch = here.take(*(reading(second, 20.0) for second in range(10)))
        assert (batch.late, flags_of(here)) == (10, [0, *[Flag.LATE] * 10])
        assert here.changes() == []

    def test_a_backlog_in_order_is_judged_however_old(self, here: Plant) -> None:
        here.take(reading(0))
        month = 30 * DAY
        here.take(*(message(event(second, 8.0), second=month) for second in range(60, 63)))
        assert flags_of(here) == [0] * 4
        assert here.changes() == [(RAISED, "warning")]
        assert here.contents()["readings"][1].time_ns == NOON_NS + 60 * SECOND

    def test_a_retained_reading_is_marked_and_not_judged(self, here: Plant) -> None:
        here.take(*(message(event(second, 20.0), retained=True) for second in range(10)))
        assert flags_of(here) == [Flag.RETAINED] * 10
        assert here.changes() == []
        assert here.take(message(event(9, 20.0))).duplicates == 1

    def test_a_reading_with_a_wrong_clock_is_judged_at_its_receive_time(self, here: Plant) -> None:
        readings = [{**event(second, 8.0), "timestamp": f"1970-01-01T00:00:0{second}Z"} for second in range(3)]
        batch = here.take(*(message(body, second=100 + number) for number, body in enumerate(readings)))
        assert batch.clock_replaced == 3
        times = [(row.time_ns - NOON_NS) // SECOND for row in here.contents()["readings"]]
        assert times == [100, 101, 102]
        assert here.changes() == [(RAISED, "warning")]

    @pytest.mark.parametrize("jump", [DAY + 60, -3600, -56 * 365 * DAY])
    @pytest.mark.parametrize("restart", [False, True])
    def test_a_jump_of_our_own_clock_rewrites_no_good_time_and_changes_no_alert(
        self, here: Plant, jump: int, *, restart: bool
    ) -> None:
        sensors = [f"VB-{number}" for number in range(5)]
        for second in range(10):
            here.take(*(reading(second, 8.0 if sensor == "VB-0" else 4.0, sensor) for sensor in sensors))
        before = here.contents()["facts"]
        if restart:
            here.crash()
        for second in range(10, 80):
            level = {"VB-0": 8.0}
            here.take(*(message(event(second, level.get(one, 4.0), one), second=second + jump) for one in sensors))
        assert set(flags_of(here)) == {0}
        assert here.contents()["facts"] == before
        assert [row.time_ns for row in here.contents()["readings"]][-1] == NOON_NS + 79 * SECOND

    def test_a_moved_sensor_is_where_its_newest_reading_came_from(self, tmp_path: Path) -> None:
        with plant(tmp_path, sensors_move=True) as here:
            here.take(reading(0))
            moved = topic_of(machine="pump-8")
            here.take(message({**event(1), "sensorLocation": "Hall 8"}, topic=moved))
            here.take(reading(0), message(event(0.5)), message(event(0.7), retained=True))
            (sensor,) = here.contents()["sensors"]
            assert (sensor.tags["machine"], sensor.location) == ("pump-8", "Hall 8")
            here.take(message({**event(2), "sensorLocation": "Hall 9"}, topic=moved))
            assert here.contents()["sensors"][0].location == "Hall 9"

    def test_rules_follow_a_sensor_to_another_machine(self, tmp_path: Path) -> None:
        def rules_for(sensor: Sensor) -> Rules:
            return Rules(baseline=4.0 if sensor.tags["machine"] == "pump-7" else 40.0, on_readings=1)

        with plant(tmp_path, rules_for, sensors_move=True) as here:
            here.take(message(event(0, 8.0), topic=topic_of(machine="pump-8")))
            assert here.changes() == []
            here.take(message(event(1, 8.0)))
            assert here.changes() == [(RAISED, "warning")]


class TestAlerts:
    def test_an_alert_lives_from_raised_to_cleared(self, here: Plant) -> None:
        levels = [7.0] * 3 + [12.0] * 3 + [4.0] * 3
        here.take(*(reading(second, level) for second, level in enumerate(levels)))
        assert here.changes() == [(RAISED, "warning"), (ESCALATED, "critical"), (CLEARED, "critical")]
        (alert,) = here.contents()["alerts"]
        assert (alert.state, alert.opened_ns, alert.cleared_ns) == (
            "cleared",
            NOON_NS + 2 * SECOND,
            NOON_NS + 8 * SECOND,
        )
        assert alert.opened_by == "VB-1@2"

    def test_the_gateways_own_alerts_do_not_mix_with_those_of_a_sensor_of_the_same_name(self, here: Plant) -> None:
        here.pipeline.report("VB-1", "warning", "InfluxDB is full", NOON_NS)
        here.take(*(reading(second, 8.0) for second in range(3)))
        here.crash()
        here.pipeline.report("VB-1", "warning", "InfluxDB is full", NOON_NS + 1)
        here.take(*(reading(second, 4.0) for second in range(3, 6)))
        states = {alert.kind: alert.state for alert in here.contents()["alerts"]}
        assert states == {"gateway": "active", "machine": "cleared"}
        here.pipeline.report("VB-1", None, "well again", NOON_NS + 2)
        assert {alert.state for alert in here.contents()["alerts"]} == {"cleared"}

    def test_a_learned_baseline_is_a_fact(self, tmp_path: Path) -> None:
        with plant(tmp_path, Rules(learning_readings=5, learning_ns=5 * SECOND)) as here:
            here.take(*(reading(second, 4.0) for second in range(8)))
            facts = facts_of(here)
            assert [(fact.type, fact.data["source"], fact.data["version"]) for fact in facts] == [
                (BASELINE_LEARNED, "provisional", 1),
                (BASELINE_LEARNED, "learned", 2),
            ]
            assert (facts[1].data["level"], facts[1].causation_id) == (4.0, "VB-1@5")


def test_a_sensor_that_always_gives_the_same_time_costs_the_same_for_every_reading(here: Plant) -> None:
    """Counting all its earlier readings for each would take for ever."""
    counted = 0

    def trace(statement: str) -> None:
        nonlocal counted
        counted += "count(*)" in statement

    database: sqlite3.Connection = here.journal._db  # noqa: SLF001 - there is no other way to see the statements
    database.set_trace_callback(trace)
    here.take(*(message(event(0, id_=str(number))) for number in range(50)))
    here.take(*(message(event(0, id_=str(number))) for number in range(50, 100)))
    assert counted == 0


def test_a_sensor_takes_up_less_than_three_kilobytes_and_its_rules_none_of_its_own(tmp_path: Path) -> None:
    fleet = 500
    with plant(tmp_path, lambda _: Rules(stopped_states=frozenset({"off"}))) as here:
        messages = [reading(second, sensor=f"VB-{number}") for second in range(3) for number in range(fleet)]
        tracemalloc.start()
        try:
            here.take(*messages)
            del messages
            assert tracemalloc.get_traced_memory()[0] / fleet < 2900
        finally:
            tracemalloc.stop()
