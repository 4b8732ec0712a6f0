"""What a sensor's readings say about the sensor: stuck, at its floor, a wrong clock, another unit."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.alerting.alert import ACTIVE, CLEARED, RAISED, STALE
from gateway.domain.alerting.open_alerts import Change
from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.operating_state import put_baseline
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sensor_faults import LEAST_RUN, examine
from gateway.domain.detection.state import SensorState
from gateway.domain.engine.baselines import apply_baseline, relearn, set_baseline
from gateway.domain.model.reading import VibrationRecorded
from tests.examples import examples
from tests.readings import FIXED, SECOND
from tests.samples import make_sample
from tests.unit.domain.test_engine import engine, recorded, sensor, take, types

MINUTE = 60 * SECOND
DAY_S = 86_400
RUNNING = {"operatingState": "running"}


class Watched:
    """A sensor that is examined once a minute; `faults` are those that are known now."""

    def __init__(self, rules: Rules = FIXED) -> None:
        self.state = SensorState()
        self.rules = rules
        self.minute = 0
        self.faults: dict[str, str] = {}
        self.changes = 0

    def measure(self, *levels: float, replaced: bool = False, every: float = 1, **more: Any) -> "Watched":
        for level in levels:
            self.minute += 1
            sample = make_sample(level, int(self.minute * every * MINUTE), **more)
            found = examine(self.state, sample, self.rules, replaced=replaced)
            if found is not None:
                self.changes += 1
                self.faults = dict(found)
        return self

    def vary(self, count: int, step: float = 0.01, **more: Any) -> "Watched":
        return self.measure(*(4.0 + step * (number % 7 - 3) for number in range(count)), **more)


class TestStuck:
    def test_the_same_value_again_and_again_after_it_has_varied(self) -> None:
        one = Watched().vary(100).measure(*[4.07] * LEAST_RUN)
        assert one.faults == {}
        one.measure(4.07)
        assert list(one.faults) == ["stuck"]
        assert one.faults["stuck"].startswith("Stuck at 4.07 m/s²: 31 equal readings in 29 min")
        one.measure(*[4.07] * 1000)
        assert one.changes == 1
        assert one.measure(4.06).faults == {}

    def test_what_has_never_varied_cannot_be_told(self) -> None:
        assert Watched().measure(*[4.0] * 5000).faults == {}

    @pytest.mark.parametrize("run", [5, 50, 500])
    def test_a_coarse_resolution_explains_long_runs(self, run: int) -> None:
        levels = [4.0 + 0.5 * (number // run % 2) for number in range(run * 60)]
        one = Watched().measure(*levels)
        assert one.faults == {}
        assert one.measure(*[7.0] * (LEAST_RUN + 23 * run)).faults != {}

    def test_many_readings_in_a_short_time_are_not_enough(self) -> None:
        one = Watched().vary(100, every=1 / 60).measure(*[4.07] * 500, every=1 / 60)
        assert one.faults == {}

    def test_a_machine_that_stands_still_may_give_the_same_value(self) -> None:
        one = Watched().vary(100).measure(*[0.5] * 200, operating_state="stopped")
        assert one.faults == {}

    @given(st.integers(0, 2**32), st.integers(200, 400))
    @examples(30)
    def test_chance_does_not_make_it_stuck(self, seed: int, count: int) -> None:
        """With four values a row of ten comes once in a million readings."""
        levels = random.Random(seed).choices(range(4), k=count)
        assert Watched().measure(*(4.0 + 0.1 * level for level in levels)).faults == {}


class TestOneMeasurementAgainAndAgain:
    """Before it can be called stuck, it is no evidence of anything about the machine."""

    def varied(self, count: int = 40, **more: Any) -> list[VibrationRecorded]:
        return [recorded(300 * number, 4.0 + 0.01 * (number % 7), **more) for number in range(count)]

    def held(self, count: int, level: float, since: int = 40, **more: Any) -> list[VibrationRecorded]:
        return [recorded(300 * (since + number), level, **more) for number in range(count)]

    def test_what_sticks_at_full_speed_is_no_fault_of_a_machine_that_runs_slowly_then(self) -> None:
        one = sensor()
        made = engine(one, rules=replace(FIXED, baseline=None, settling_ns=0))
        put_baseline(one.state, Baseline(4.0, "set", state="slow"))
        put_baseline(one.state, Baseline(8.0, "set", state="full"))
        full = [recorded(300 * number, 8.0 + 0.01 * (number % 7), operatingState="full") for number in range(40)]
        assert take(made, one, *full, *self.held(5, 8.1, operatingState="full")) == []
        (stuck,) = take(made, one, *self.held(60, 8.1, since=45, operatingState="slow"))
        assert stuck.alert is not None
        assert (stuck.alert.kind, list(stuck.alert.faults)) == ("sensor", ["stuck"])
        assert "floor" not in stuck.alert.reason

    def test_a_level_that_jumps_and_stays_is_told_as_soon_as_any_other(self) -> None:
        one = sensor()
        made = engine(one)
        assert take(made, one, *self.varied(), *self.held(2, 12.0)) == []
        assert types(take(made, one, *self.held(1, 12.0, since=42))) == [RAISED]

    def test_the_readings_after_it_count_again(self) -> None:
        one = sensor()
        made = engine(one)
        assert take(made, one, *self.varied(), *self.held(20, 5.0)) == []
        changes = take(made, one, *(recorded(300 * (60 + number), 7.0 + 0.01 * number) for number in range(3)))
        assert types(changes) == [RAISED]

    def test_nothing_is_learned_from_it(self) -> None:
        one = sensor()
        made = engine(one, rules=Rules(learning_readings=50, learning_ns=0))
        take(made, one, *self.varied(), *self.held(29, 4.5))
        assert one.state.learning is not None
        assert one.state.learning.count == 43

    def test_where_values_repeat_by_chance_each_reading_counts(self) -> None:
        one = sensor()
        made = engine(one)
        coarse = [recorded(300 * number, 4.0 + 0.5 * (number // 10 % 2)) for number in range(400)]
        slow = [recorded(300 * (400 + number), 7.0 + 0.5 * (number // 10 % 2)) for number in range(12)]
        assert types(take(made, one, *coarse, *slow)) == [RAISED]


class TestFloor:
    def test_one_value_again_and_again_may_be_from_before_the_start(self) -> None:
        one = sensor()
        made = engine(one)
        readings = [recorded(300 * number, 4.0 + 0.01 * (number % 7), **RUNNING) for number in range(40)]
        low = [recorded(12_000 + 300 * number, 0.02, **RUNNING) for number in range(40)]
        assert take(made, one, *readings, *low[:30]) == []
        (stuck,) = take(made, one, *low[30:])
        assert stuck.alert is not None
        assert list(stuck.alert.faults) == ["stuck"]
        assert stuck.alert.reason.endswith("It is near its floor, though the machine runs: it may have come off.")
        (floor,) = take(made, one, recorded(24_000, 0.021, **RUNNING))
        assert floor.alert is not None
        assert (floor.alert.id, list(floor.alert.faults)) == (stuck.alert.id, ["floor"])

    def test_zero_is_no_measurement(self) -> None:
        one = sensor()
        made = engine(one)
        readings = [recorded(300 * number, 4.0 + 0.01 * (number % 7), **RUNNING) for number in range(40)]
        (floor,) = take(
            made, one, *readings, *(recorded(12_000 + 300 * number, 0.0, **RUNNING) for number in range(11))
        )
        assert floor.alert is not None
        assert list(floor.alert.faults) == ["floor"]

    def test_near_zero_while_the_machine_runs(self) -> None:
        one = sensor()
        made = engine(one)
        readings = [recorded(60 * minute, 4.0 + 0.01 * (minute % 7), **RUNNING) for minute in range(20)]
        assert take(made, one, *readings) == []
        low = [recorded(1200 + 60 * minute, 0.02 + 0.001 * (minute % 5), **RUNNING) for minute in range(20)]
        (raised,) = take(made, one, *low)
        assert raised.alert is not None
        assert (raised.alert.kind, list(raised.alert.faults)) == ("sensor", ["floor"])
        assert "At its floor, 0.02" in raised.alert.reason
        assert types(take(made, one, recorded(3000, 4.0, **RUNNING))) == [CLEARED]

    @pytest.mark.parametrize("state", [{}, {"operatingState": "stopped"}, {"operatingState": "unknown"}, {"rpm": 0.0}])
    def test_a_machine_that_may_stand_still_is_no_fault(self, state: dict[str, Any]) -> None:
        one = sensor()
        made = engine(one)
        readings = [recorded(60 * minute, 4.0 + 0.01 * (minute % 7), **RUNNING) for minute in range(20)]
        low = [recorded(1200 + 60 * minute, 0.02 + 0.001 * (minute % 5), **state) for minute in range(60)]
        assert take(made, one, *readings, *low) == []

    def test_a_turning_shaft_says_that_it_runs(self) -> None:
        one = sensor()
        made = engine(one, rules=replace(FIXED, rpm_step=0))
        readings = [recorded(60 * minute, 4.0 + 0.01 * (minute % 7), rpm=1480.0) for minute in range(20)]
        low = [recorded(1200 + 60 * minute, 0.02 + 0.001 * (minute % 5), rpm=1480.0) for minute in range(20)]
        assert types(take(made, one, *readings, *low)) == [RAISED]

    def test_a_state_that_lags_behind_the_machine_is_no_fault(self) -> None:
        one = sensor()
        made = engine(one)
        readings = [recorded(900 * number, 4.0 + 0.01 * (number % 7), **RUNNING) for number in range(20)]
        low = [recorded(900 * (20 + number), 0.02, **RUNNING) for number in range(2)]
        off = [recorded(900 * (22 + number), 0.02, operatingState="stopped") for number in range(20)]
        assert take(made, one, *readings, *low, *off) == []


class TestClock:
    def test_a_clock_that_stays_wrong(self) -> None:
        one = Watched().vary(9, replaced=True)
        assert one.faults == {}
        one.vary(2, replaced=True)
        assert one.faults["clock"].startswith("Its clock cannot be believed: 11 readings in 10 min")
        one.vary(1000, replaced=True)
        one.vary(2)
        assert one.changes == 1
        assert one.vary(1).faults == {}

    def test_now_and_then_is_not_persistent(self) -> None:
        one = Watched()
        for _ in range(100):
            one.vary(2, replaced=True).vary(1)
        assert one.faults == {}

    def test_it_does_not_make_the_machines_alert_stale(self) -> None:
        """Its levels are as good as ever, and they are judged."""
        one = sensor()
        made = engine(one)
        take(made, one, *(recorded(60 * minute, 12.0 + 0.01 * minute) for minute in range(20)))
        changes: list[Change] = []
        for minute in range(20, 60):
            reading = recorded(60 * minute, 12.0 + 0.01 * (minute % 5))
            event_us = 400 * DAY_S * 10**6
            time_ns, flags = made.classify_timestamp(one, event_us, one.state.heard_ns + MINUTE, retained=False)
            received_ns = one.state.heard_ns
            for judged in made.judge(one, reading, event_us, time_ns, received_ns=received_ns, flags=flags):
                changes += made.conclude(one, judged)
        assert [(change.fact.type, change.alert.kind) for change in changes if change.alert] == [(RAISED, "sensor")]


class TestUnit:
    def test_what_is_known_in_one_unit_is_not_compared_with_another(self) -> None:
        one = sensor()
        made = engine(one)
        take(made, one, *(recorded(second, 4.0) for second in range(10)))
        changes = take(made, one, *(recorded(10 + second, 40.0, unit="mm/s") for second in range(20)))
        assert types(changes) == [RAISED]
        alert = changes[0].alert
        assert alert is not None
        assert (alert.kind, list(alert.faults)) == ("sensor", ["unit"])
        assert alert.reason.startswith("It measures in mm/s instead of m/s², and its readings are not judged.")
        assert types(take(made, one, recorded(40, 4.0))) == [CLEARED]
        assert types(take(made, one, *(recorded(41 + second, 12.0) for second in range(3)))) == [RAISED]

    def test_an_open_alert_is_stale_meanwhile(self) -> None:
        one = sensor()
        made = engine(one)
        take(made, one, *(recorded(second, 12.0) for second in range(3)))
        changes = take(made, one, *(recorded(3 + second, 0.4, unit="g") for second in range(20)))
        assert types(changes) == [RAISED, STALE]
        assert types(take(made, one, recorded(40, 12.0))) == [CLEARED, ACTIVE]

    def test_one_reading_by_mistake_is_passed_over(self) -> None:
        one = sensor()
        made = engine(one)
        take(made, one, *(recorded(second, 7.0) for second in range(2)))
        assert take(made, one, recorded(2, 700.0, unit="mg")) == []
        assert types(take(made, one, recorded(3, 7.0))) == [RAISED]

    def test_relearning_and_setting_accept_the_new_one(self) -> None:
        rules = Rules(learning_readings=5, learning_ns=0)
        for change in ("relearn", "set"):
            one = sensor()
            made = engine(one, rules=rules)
            take(made, one, *(recorded(60 * minute, 4.0 + 0.01 * (minute % 5)) for minute in range(20)))
            one.unit = "g"
            take(made, one, *(recorded(1200 + 60 * minute, 0.4, unit="g") for minute in range(5)))
            assert made.baseline_level(one) is None
            (asked,) = (
                relearn(one, made.rules_of(one), by="anna", time_ns=1)
                if change == "relearn"
                else set_baseline(one, made.rules_of(one), 0.4, by="anna", time_ns=1)
            )
            apply_baseline(one, asked.fact)
            later = take(made, one, *(recorded(1500 + 60 * n, 0.4 + 0.001 * (n % 5), unit="g") for n in range(20)))
            assert types(later)[0] == CLEARED
            assert made.baseline_level(one) == pytest.approx(0.4, rel=0.05)

    def test_a_configured_baseline_that_was_changed_is_one_in_the_new_unit(self) -> None:
        one = Watched().vary(20)
        one.measure(*[0.4] * 5, unit="g")
        assert list(one.faults) == ["unit"]
        one.rules = replace(FIXED, baseline=0.4)
        assert one.measure(0.41, unit="g").faults == {}

    def test_where_nothing_is_known_yet_it_is_learned_in_the_new_one(self) -> None:
        one = Watched(Rules()).vary(20)
        one.state.learned = Baseline(4.0, "provisional")
        assert one.measure(*[0.4] * 50, unit="g").faults == {}
        learned: Baseline | None = one.state.learned
        assert (learned, one.state.unit) == (None, "g")

    def test_the_sensors_own_baseline_comes_in_its_own_unit(self) -> None:
        one = sensor()
        made = engine(one, rules=Rules())
        take(made, one, *(recorded(second, 4.0, baselineVibrationLevel=4.0) for second in range(5)))
        more = {"unit": "g", "baselineVibrationLevel": 0.4}
        assert types(take(made, one, *(recorded(5 + second, 1.2, **more) for second in range(3)))) == [RAISED]


def test_what_is_stuck_is_not_judged() -> None:
    """Stuck at a high value it would raise an alert about a machine that nobody measures."""
    one = sensor()
    made = engine(one, rules=replace(FIXED, on_delay_ns=3600 * SECOND))
    take(made, one, *(recorded(60 * minute, 4.0 + 0.01 * (minute % 7)) for minute in range(60)))
    changes = take(made, one, *(recorded(3600 + 60 * minute, 12.0) for minute in range(600)))
    assert [(change.fact.type, change.alert.kind) for change in changes if change.alert] == [(RAISED, "sensor")]


def test_two_faults_are_one_alert_with_both_reasons() -> None:
    one = Watched().vary(100).measure(*[4.07] * 40)
    one.vary(0).measure(*[4.07] * 20, replaced=True)
    assert list(one.faults) == ["stuck", "clock"]
