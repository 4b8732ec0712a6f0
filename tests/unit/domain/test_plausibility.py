"""What a sensor says cannot all be true: readings that nobody judges, at levels that contradict the reason."""

from typing import Any

import pytest
from msgspec.structs import replace

from gateway.domain.alerting.alert import CLEARED, RAISED
from gateway.domain.alerting.open_alerts import Change
from gateway.domain.detection.baseline_events import BASELINE_LEARNED
from gateway.domain.detection.plausibility import LATE, LEARNING, SETTLING, STOPPED, UNIT
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Sensor
from gateway.domain.detection.units import MAX_UNITS
from gateway.domain.engine.engine import NOT_JUDGED, Engine
from gateway.domain.model.reading import Flag
from gateway.domain.model.timefmt import microseconds
from gateway.journal.sqlite.codec import decode_state, encode_state
from tests.readings import SECOND
from tests.unit.domain.test_engine import engine, recorded, sensor, take

LEARNED = Rules(learning_readings=12, learning_ns=0, settling_ns=30 * SECOND)
"""Learns within a dozen readings; told within ten minutes."""


def learned(*, state: str | None = None, rules: Rules = LEARNED, level: float = 4.0) -> tuple[Engine, Sensor]:
    """Return an engine with a sensor that has learned what is normal, one reading in ten seconds, up to second 600."""
    one = sensor()
    made = engine(one, rules=rules)
    assert not alerts(healthy(made, one, 0, state=state, level=level))
    assert one.state.learned is not None
    assert one.state.learned.source == "learned"
    return made, one


def healthy(
    made: Engine, one: Sensor, begin: int, *, count: int = 60, state: str | None = None, level: float = 4.0
) -> list[Change]:
    varied = (level * (1 + 0.01 * (at % 7)) for at in range(count))
    return take(made, one, *(recorded(begin + 10 * at, value, operatingState=state) for at, value in enumerate(varied)))


def told(made: Engine, one: Sensor, begin: int, level: float, *, count: int = 120, **data: Any) -> list[Change]:
    return take(made, one, *(recorded(begin + 10 * at, level + 0.01 * (at % 7), **data) for at in range(count)))


def alerts(changes: list[Change]) -> list[tuple[str, str]]:
    return [
        (change.alert.kind, change.alert.reason)
        for change in changes
        if change.alert is not None and change.fact.type == RAISED
    ]


def receive(made: Engine, one: Sensor, received: float, measured: float, level: float, **data: Any) -> list[Change]:
    """Let a reading come at its own time, whatever time it bears."""
    reading = recorded(measured, level, **data)
    event_us, received_ns = microseconds(reading.timestamp), microseconds(recorded(received, 4).timestamp) * 1000
    time_ns, flags = made.classify_timestamp(one, event_us, received_ns, retained=False)
    if flags & NOT_JUDGED:
        found = made.pass_over(one, reading, time_ns, received_ns, flags)
    else:
        found = list(made.judge(one, reading, event_us, time_ns, received_ns=received_ns, flags=flags))
    return [change for judged in found for change in made.conclude(one, judged)]


def test_a_machine_that_is_said_to_stand_still_but_runs_is_told_of() -> None:
    made, one = learned()
    ((kind, reason),) = alerts(told(made, one, 600, 12.0, operatingState="stopped"))
    assert kind == "sensor"
    assert "beyond all that is known" in reason
    assert "said to stand still" in reason
    assert one.state.not_judged == {LEARNING: 11, STOPPED: 120}
    assert made.not_judged == one.state.not_judged


def test_it_is_over_when_the_level_is_that_of_a_standstill() -> None:
    made, one = learned()
    told(made, one, 600, 12.0, operatingState="stopped")
    assert [change.fact.type for change in told(made, one, 1800, 0.1, count=2, operatingState="stopped")] == [CLEARED]


def test_a_machine_that_stands_still_raises_nothing() -> None:
    made, one = learned(state="running")
    assert not told(made, one, 600, 0.6, operatingState="stopped")
    assert not told(made, one, 1800, 3.9, count=30, operatingState="stopped")  # it coasts down


def test_where_the_running_states_have_names_running_height_is_enough() -> None:
    made, one = learned(state="running")
    assert alerts(told(made, one, 600, 4.2, operatingState="stopped"))


def test_a_machine_never_seen_running_may_shake_with_its_neighbours() -> None:
    one = sensor()
    made = engine(one, rules=LEARNED)
    assert not told(made, one, 0, 0.1, operatingState="stopped")
    assert not told(made, one, 1200, 12.0, operatingState="stopped")


def test_an_unknown_word_makes_no_level_normal() -> None:
    made, one = learned(state="normal")
    ((kind, reason),) = alerts(told(made, one, 600, 40.0, operatingState="normal-2"))
    assert kind == "machine"
    assert "9.8 × the normal baseline" in reason
    assert "not known yet" in reason
    assert one.state.learned is None
    assert one.state.learning is None


def test_a_new_state_is_learned_below_what_is_critical_in_the_known_ones() -> None:
    made, one = learned(state="normal")
    assert not alerts(told(made, one, 600, 7.0, operatingState="fast"))
    assert one.state.learned is not None
    assert one.state.learned.state == "fast"
    assert not alerts(told(made, one, 1800, 0.05, operatingState="idle"))
    assert one.state.learned.state == "idle"


def test_the_first_states_of_a_sensor_are_learned_whatever_their_levels() -> None:
    one = sensor()
    made = engine(one, rules=replace(LEARNED, learning_ns=3600 * SECOND))
    assert not told(made, one, 0, 0.5, count=60, operatingState="idle") or one.state.learned
    assert not alerts(told(made, one, 600, 12.0, count=60, operatingState="running"))


def test_the_events_own_baseline_makes_no_level_normal_in_a_new_state() -> None:
    made, one = learned(state="normal")
    assert alerts(told(made, one, 600, 40.0, operatingState="normal-2", baselineVibrationLevel=1e6))


def test_a_state_that_changes_with_every_reading_is_told_of() -> None:
    made, one = learned(state="normal")
    told(made, one, 600, 4.0, operatingState="fast")
    readings = [
        recorded(1800 + 10 * at, 40.0 + 0.01 * (at % 7), operatingState=("normal", "fast")[at % 2]) for at in range(70)
    ]
    ((kind, reason),) = alerts(take(made, one, *readings))
    assert kind == "sensor"
    assert "again and again" in reason
    assert (one.state.not_judged or {})[SETTLING] >= 70


def test_nameless_readings_may_be_of_any_named_state() -> None:
    one = sensor()
    made = engine(one, rules=replace(LEARNED, learning_ns=300 * SECOND))
    healthy(made, one, 0, count=20, level=0.1)  # a first look, at a machine standing still, before anybody says so
    healthy(made, one, 600, level=4.0, state="running")
    assert not alerts(healthy(made, one, 1200))  # nobody says any more how it runs
    ((kind, reason),) = alerts(told(made, one, 1800, 12.0, count=3))
    assert kind == "machine"
    assert "2.9 × the running baseline 4.12" in reason


def test_late_readings_that_are_beyond_everything_are_told_of() -> None:
    made, one = learned()
    found = []
    for at in range(70):  # they are in no order among themselves, so that no clock has stepped
        found += receive(made, one, 600 + 10 * at, 300 - at, 40.0 + 0.01 * (at % 7))
    ((kind, reason),) = alerts(found)
    assert kind == "sensor"
    assert "behind its newest reading" in reason
    assert (one.state.not_judged or {})[LATE] == 70


def test_late_readings_in_another_unit_are_told_of_since_nobody_can_compare_them() -> None:
    made, one = learned()
    found = []
    for at in range(70):
        found += receive(made, one, 600 + 10 * at, 300 - at, 0.1, unit="mm/s")
    ((_, reason),) = alerts(found)
    assert reason.startswith("It measures mm/s, and not in the unit of all that is known of it, and 61 readings")


class TestAnotherUnit:
    def test_it_is_learned_beside_the_first_and_told_of_until_it_is(self) -> None:
        made, one = learned()
        changes = told(made, one, 600, 40.0, unit="mm/s")
        ((_, reason),) = alerts(changes)
        assert "measures in mm/s instead of m/s², and its readings are not judged until" in reason
        assert [change.fact.type for change in changes] == [RAISED, BASELINE_LEARNED, CLEARED]
        assert (one.state.not_judged or {})[UNIT] == 2
        assert [kind for kind, _ in alerts(told(made, one, 1800, 130.0, count=3, unit="mm/s"))] == ["machine"]

    def test_what_is_known_in_the_first_is_there_when_it_is_back(self) -> None:
        made, one = learned()
        first = one.state.learned
        told(made, one, 600, 40.0, count=5, unit="mm/s")
        again = sensor()
        again.state = decode_state(encode_state(one.state))
        made = engine(again, rules=LEARNED)
        healthy(made, again, 700, count=3)
        assert again.state.learned == first
        assert alerts(told(made, again, 800, 12.0, count=3))

    def test_one_reading_restarts_nothing(self) -> None:
        one = sensor()
        made = engine(one, rules=replace(LEARNED, learning_ns=86_400 * SECOND))
        healthy(made, one, 0)
        first = one.state.learned
        assert not told(made, one, 600, 40.0, count=1, unit="mm/s")
        healthy(made, one, 610, count=1)
        assert one.state.learned == first is not None

    def test_a_third_one_ends_nothing(self) -> None:
        made, one = learned()
        assert alerts(told(made, one, 600, 40.0, count=5, unit="mm/s"))
        assert not told(made, one, 700, 40.0, count=5, unit="g")

    def test_units_that_are_made_up_are_not_kept(self) -> None:
        made, one = learned()
        for number in range(10):
            told(made, one, 600 + 500 * number, 4.0, count=40, unit=f"unit-{number}")
        assert len(one.state.units or {}) == MAX_UNITS
        assert (one.state.not_judged or {})[UNIT] > 40


def test_the_doubt_is_kept_over_a_restart() -> None:
    made, one = learned()
    assert not alerts(told(made, one, 600, 12.0, count=50, operatingState="stopped"))
    again = sensor()
    again.state = decode_state(encode_state(one.state))
    later = engine(again, rules=LEARNED)
    assert alerts(told(later, again, 1100, 12.0, count=20, operatingState="stopped"))


class TestAClockThatWasSetBack:
    @pytest.mark.parametrize("back", [290, 3600, 20 * 3600])
    def test_it_is_judged_by_its_receipt_from_the_third_reading_on(self, back: int) -> None:
        made, one = learned()
        assert not receive(made, one, 590 + 10, 590, 4.0)
        found = []
        for at in range(5):
            found += receive(made, one, 610 + 10 * at, 610 + 10 * at - back, 40.0 + at)
        ((kind, _),) = alerts(found)
        assert kind == "machine"
        assert (one.state.not_judged or {})[LATE] == 2

    def test_one_reading_from_ahead_blinds_nobody(self) -> None:
        made, one = learned()
        receive(made, one, 600, 600 + 290, 4.0)
        found = [change for at in range(5) for change in receive(made, one, 610 + 10 * at, 610 + 10 * at, 40.0 + at)]
        assert [kind for kind, _ in alerts(found)] == ["machine"]

    def test_it_is_told_of_if_it_lasts(self) -> None:
        made, one = learned()
        found = []
        for at in range(80):
            found += receive(made, one, 610 + 10 * at, 610 + 10 * at - 3600, 4.0 + 0.01 * (at % 7))
        ((kind, reason),) = alerts(found)
        assert kind == "sensor"
        assert "clock cannot be believed" in reason

    def test_a_backlog_is_late_however_long(self) -> None:
        """It comes faster than it was measured."""
        made, one = learned()
        receive(made, one, 8000, 8000, 4.0)
        for at in range(200):
            receive(made, one, 8001 + at, 610 + 10 * at, 4.0 + 0.01 * (at % 7))
        assert (one.state.not_judged or {})[LATE] == 200

    def test_what_was_delayed_on_its_way_is_late(self) -> None:
        made, one = learned()
        for at in range(50):
            receive(made, one, 610 + 10 * at, 610 + 10 * at, 4.0)
            receive(made, one, 611 + 10 * at, 590 + 10 * at, 4.0)
        assert (one.state.not_judged or {})[LATE] == 50

    def test_with_our_own_clock_set_back_the_count_begins_anew(self) -> None:
        made, one = learned()
        for at in range(4):
            receive(made, one, 600 - 10 * at, 500 + at, 4.0)
        assert (one.state.not_judged or {})[LATE] == 4


class TestTheEventsOwnBaseline:
    def test_it_counts_for_its_reading_only(self) -> None:
        one = sensor()
        made = engine(one, rules=replace(LEARNED, learning_ns=86_400 * SECOND))
        take(made, one, recorded(0, 4.0, baselineVibrationLevel=1e6))
        assert one.state.event_baseline == 1e6
        take(made, one, recorded(1, 4.0))
        assert one.state.event_baseline is None

    def test_once_it_is_constant_it_counts_for_readings_without_one_too(self) -> None:
        one = sensor()
        made = engine(one, rules=replace(LEARNED, learning_ns=86_400 * SECOND))
        told(made, one, 0, 4.0, count=10, baselineVibrationLevel=4.0)
        assert not alerts(take(made, one, recorded(200, 4.0)))
        assert alerts(told(made, one, 300, 12.0, count=3))


class TestTheStatesOfAMachine:
    ONLY = replace(LEARNED, states=frozenset({"running", "stopped"}))

    def test_any_other_word_says_nothing(self) -> None:
        made, one = learned(state="Running", rules=self.ONLY)
        assert [kind for kind, _ in alerts(told(made, one, 600, 12.0, count=3, operatingState="off"))] == ["machine"]
        assert one.state.operating_state == ""

    def test_these_are_what_they_were(self) -> None:
        made, one = learned(state="running", rules=self.ONLY)
        assert not alerts(told(made, one, 600, 0.1, operatingState="stopped"))
        assert (one.state.not_judged or {})[STOPPED] == 120


class TestWhoHasASayAboutOurClock:
    @staticmethod
    def fleet(readings: int) -> tuple[Engine, list[Sensor]]:
        made, _ = learned()
        invented = [sensor(f"X-{number}", number) for number in range(2, 8)]
        for each in invented:
            made.register(each)
            take(made, each, *(recorded(500 + at, 4.0 + at) for at in range(readings)))
        return made, invented

    @pytest.mark.parametrize(("readings", "replaced"), [(1, True), (10, False)])
    def test_sensors_without_a_history_have_none(self, readings: int, *, replaced: bool) -> None:
        made, invented = self.fleet(readings)
        flags = 0
        for each in invented:
            event_us, received_ns = (microseconds(recorded(at, 4.0).timestamp) for at in (90_000, 600))
            _, flags = made.classify_timestamp(each, event_us, received_ns * 1000, retained=False)
        assert bool(flags & Flag.CLOCK_REPLACED) is replaced
