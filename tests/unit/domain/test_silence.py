"""Who is silent, and what that means for an alert: never that it is over."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.alerting.alert import ACTIVE, CLEARED, RAISED, STALE, UPDATED, Alert, Cause, apply_faults
from gateway.domain.alerting.liveness import SENSOR_FORGOTTEN, SILENCE, TIME_PASSED, Reception
from gateway.domain.alerting.open_alerts import Change
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import UNKNOWN_NS, Sensor, SensorState, allowance_ns, hear
from gateway.domain.detection.timeline import Clocks
from gateway.domain.engine.engine import Engine
from gateway.domain.model.assets import SensorStatus
from gateway.domain.model.timefmt import in_words
from tests.readings import FIXED, NOON_NS, SECOND
from tests.unit.domain.test_engine import DAY_US, recorded, sensor, take, types

MINUTE = 60 * SECOND
SHORTEST = 5 * MINUTE
LEVEL = 4.0


def engine(*sensors: Sensor, rules: Rules = FIXED, **expected: int) -> Engine:
    made = Engine(lambda _: rules, Clocks(DAY_US), {name.replace("_", "-"): ns for name, ns in expected.items()})
    made.set_state(sensors, [])
    return made


def publish(made: Engine, one: Sensor, seconds: Iterable[float], level: float = LEVEL) -> list[Change]:
    changes = []
    for second in seconds:
        reading = recorded(second, level, sensor=one.id)
        found = take(made, one, reading)
        if one.is_silent:
            changes += made.watch.heard(one, reading, NOON_NS + int(second * SECOND))
        changes += found
    return changes


def after(made: Engine, minutes: float, since: float | None = 0) -> list[Change]:
    """Let our stopwatch show so many minutes, and return what follows."""
    reception = Reception(round(minutes * MINUTE), None if since is None else round(since * MINUTE))
    facts = made.overdue(NOON_NS + reception.now_ns, reception)
    return [change for fact in facts for change in (Change(fact), *made.time_passed(fact))]


class TestHowLongIsTooLong:
    @pytest.mark.parametrize(("every", "allowed"), [(1, SHORTEST), (60, SHORTEST), (900, 75 * MINUTE)])
    def test_five_of_its_own_intervals_and_five_minutes_at_least(self, every: int, allowed: int) -> None:
        state = SensorState()
        for number in range(1, 100):
            hear(state, number * every * SECOND, number * every * SECOND)
        assert allowance_ns(state, None, SHORTEST) == allowed

    def test_nobody_is_awaited_who_is_silent_already_or_forgotten(self) -> None:
        awaited, silent, gone = sensor("VB-1"), sensor("VB-2"), sensor("VB-3")
        made = engine(awaited, silent, gone)
        for number in range(1, 100):
            for each in (awaited, silent, gone):
                hear(each.state, number * SECOND, number * SECOND)
        awaited.last_heard_ns = 3 * MINUTE
        assert made.watch.silence_due(MINUTE) == MINUTE + SHORTEST
        silent.is_silent = True
        made.watch.let_go(made.watch.forgetting(gone, by="anna", reason="scrapped", time_ns=NOON_NS)[0].fact)
        assert made.watch.silence_due(MINUTE) == 3 * MINUTE + SHORTEST
        awaited.is_silent = True
        assert made.watch.silence_due(MINUTE) is None

    def test_what_is_configured_counts(self) -> None:
        assert allowance_ns(SensorState(), 3600 * SECOND, SHORTEST) == 5 * 3600 * SECOND

    def test_a_day_while_nobody_knows_or_five_times_the_longest_pause(self) -> None:
        state = SensorState()
        assert allowance_ns(state, None, SHORTEST) == UNKNOWN_NS
        hear(state, UNKNOWN_NS, UNKNOWN_NS)
        hear(state, 2 * UNKNOWN_NS, 2 * UNKNOWN_NS)
        assert allowance_ns(state, None, SHORTEST) == 5 * UNKNOWN_NS

    def test_an_outage_does_not_make_a_sensor_slow(self) -> None:
        state = SensorState()
        second = 0
        for pause in (10, 10, 86_400, 10, 10, 7200, 10, 10, 10):
            second += pause
            hear(state, second * SECOND, second * SECOND)
        assert allowance_ns(state, None, 0) == 50 * SECOND

    def test_a_backlog_all_at_once_does_not_make_it_fast(self) -> None:
        state = SensorState()
        for number in range(20):
            hear(state, number * 900 * SECOND, (1 + number * 900) * SECOND)
        for number in range(100):
            hear(state, (20 + number) * 900 * SECOND, (200_000 + number) * SECOND)
        assert allowance_ns(state, None, SHORTEST) >= 75 * MINUTE
        for number in range(8):
            hear(state, (120 + number) * 900 * SECOND, (200_500 + number * 900) * SECOND)
        assert allowance_ns(state, None, SHORTEST) == 75 * MINUTE

    def test_nor_do_many_readings_in_one_message(self) -> None:
        state = SensorState()
        for number in range(600):
            hear(state, number * 60 * SECOND, (1 + number // 60) * 3600 * SECOND)
        assert allowance_ns(state, None, SHORTEST) == 5 * 3600 * SECOND

    @given(st.lists(st.tuples(st.integers(-(10**15), 10**15), st.integers(0, 10**15)), max_size=30))
    def test_it_is_bounded_and_sensible_whatever_the_clocks_do(self, times: list[tuple[int, int]]) -> None:
        state = SensorState()
        for time_ns, received_ns in times:
            hear(state, time_ns, received_ns)
        assert allowance_ns(state, None, SHORTEST) >= SHORTEST
        assert len(state.gaps) <= 8
        assert all(gap > 0 for gap in state.gaps)


class TestSilence:
    def test_a_silent_sensor_is_an_alert_of_its_own(self) -> None:
        one = sensor()
        made = engine(one)
        publish(made, one, range(0, 100, 10))
        assert after(made, 4.9) == []
        fact, raised = after(made, 5.1)
        assert (fact.fact.type, fact.fact.data["what"], fact.fact.subject) == (TIME_PASSED, SILENCE, "VB-1")
        assert raised.alert is not None
        assert (raised.fact.type, raised.alert.kind, raised.alert.severity) == (RAISED, "sensor", "warning")
        assert raised.alert.reason.startswith("Silent for 5 min 6 s; 5 min would be normal.")
        assert raised.fact.causation_id == fact.fact.id
        assert raised.alert.tags == one.tags
        assert after(made, 60) == [], "once"

    def test_it_is_over_with_the_first_reading(self) -> None:
        one = sensor()
        made = engine(one)
        publish(made, one, range(0, 100, 10))
        after(made, 6)
        (cleared,) = publish(made, one, [400])
        assert cleared.alert is not None
        assert (cleared.fact.type, cleared.alert.state, cleared.fact.causation_id) == (CLEARED, "cleared", "VB-1@400")
        assert publish(made, one, [410]) == []
        assert after(made, 10.9) == []

    def test_an_alert_of_the_machine_is_stale_meanwhile_and_not_over(self) -> None:
        one = sensor()
        made = engine(one)
        (opened,) = publish(made, one, range(0, 30, 10), 12.0)
        fact, raised, stale = after(made, 24 * 61)
        assert opened.alert is not None
        assert stale.alert is not None
        assert types([raised, stale]) == [RAISED, STALE]
        assert (stale.alert.id, stale.alert.state, stale.alert.severity) == (opened.alert.id, "stale", "critical")
        assert stale.fact.causation_id == fact.fact.id
        assert raised.alert is not None
        assert raised.alert.id != opened.alert.id
        changes = publish(made, one, [100_000, 100_010, 100_020], 4.0)
        assert types(changes) == [CLEARED, ACTIVE, CLEARED]
        assert [change.alert.kind for change in changes if change.alert] == ["sensor", "machine", "machine"]

    def test_who_has_been_silent_before_we_could_hear_has_the_whole_time_left(self) -> None:
        one = sensor()
        made = engine(one)
        publish(made, one, range(0, 100, 10))
        assert after(made, 60, since=56) == []
        assert after(made, 61.1, since=56) != []

    def test_nobody_is_silent_while_we_cannot_hear(self) -> None:
        one = sensor()
        made = engine(one)
        publish(made, one, range(0, 100, 10))
        assert after(made, 60 * 24 * 365, since=None) == []

    def test_a_reading_while_it_is_counted_starts_the_count_anew(self) -> None:
        one = sensor()
        made = engine(one)
        publish(made, one, range(0, 100, 10))
        after(made, 4)
        publish(made, one, [240])
        assert after(made, 8.9) == []
        assert after(made, 9.1) != []

    def test_a_restart_remembers_who_was_silent(self) -> None:
        one, later = sensor(), sensor()
        made = engine(one)
        publish(made, one, range(0, 30, 10), 12.0)
        alerts = [change.alert for change in after(made, 60 * 25) if change.alert]
        again = engine(later)
        again.set_state([later], alerts)
        again.trust_alerts()
        assert later.is_silent
        assert after(again, 60 * 25) == []
        assert types(publish(again, later, [100_000], 12.0)) == [CLEARED, ACTIVE]

    def test_what_still_waited_when_it_fell_silent_is_judged_and_stale(self) -> None:
        one = sensor()
        made = Engine(lambda _: FIXED, Clocks(DAY_US, 1200 * 10**6))
        made.set_state([one], [])
        publish(made, one, range(0, 30, 10), 12.0)
        changes = [change for minutes in (60 * 25, 60 * 25 + 60) for change in after(made, minutes)]
        found = [(change.fact.type, change.alert.kind) for change in changes if change.alert]
        assert sorted(found) == [(RAISED, "machine"), (RAISED, "sensor"), (STALE, "machine")]


class TestAWholeMachine:
    def three(self, *machines: str) -> list[Sensor]:
        made = [sensor(f"VB-{number}", number) for number in range(1, 4)]
        for one, machine in zip(made, machines or ["pump-7"] * 3, strict=True):
            one.tags = {"machine": machine} if machine else {}
        return made

    def reasons(self, changes: list[Change]) -> dict[str, str]:
        return {change.alert.sensor_id: change.alert.reason for change in changes if change.alert}

    def heard(self, made: Engine, *at: tuple[Sensor, float]) -> None:
        for one, minute in at:
            publish(made, one, range(0, 100, 10))
            one.last_heard_ns = round(minute * MINUTE)

    def test_all_are_told_at_once_and_each_names_the_others(self) -> None:
        one, two, three = self.three()
        made = engine(one, two, three)
        self.heard(made, (one, 0), (two, 0.2), (three, 0.9))
        assert after(made, 4.9) == []
        reasons = self.reasons(after(made, 5.1))
        assert reasons == {
            "VB-1": "Silent for 5 min 6 s, like every sensor of pump-7 (VB-1, VB-2, VB-3)."
            " Check first what they share: power and network.",
            "VB-2": "Silent for 4 min 54 s, like every sensor of pump-7 (VB-1, VB-2, VB-3)."
            " Check first what they share: power and network.",
            "VB-3": "Silent for 4 min 12 s, like every sensor of pump-7 (VB-1, VB-2, VB-3)."
            " Check first what they share: power and network.",
        }
        assert after(made, 60) == []

    def test_one_that_is_still_heard_is_enough_for_each_to_be_silent_by_itself(self) -> None:
        one, two, three = self.three()
        made = engine(one, two, three)
        self.heard(made, (one, 0), (two, 0.2), (three, 4))
        assert list(self.reasons(after(made, 5.1))) == ["VB-1"]
        assert "would be normal" in self.reasons(after(made, 5.3))["VB-2"]

    def test_those_that_nobody_waits_for_do_not_count(self) -> None:
        one, two, three = self.three()
        made = engine(one, two, three)
        self.heard(made, (one, 0), (two, 0.2), (three, 4))
        made.replay(made.watch.forgetting(three, by="Ada", reason="", time_ns=NOON_NS)[0].fact)
        assert list(self.reasons(after(made, 5.1))) == ["VB-1", "VB-2"]

    @pytest.mark.parametrize("machines", [("pump-7", "pump-8", "pump-9"), ("", "", "")])
    def test_sensors_of_several_machines_or_of_none_that_is_named_share_nothing(
        self, machines: tuple[str, ...]
    ) -> None:
        one, two, three = self.three(*machines)
        made = engine(one, two, three)
        self.heard(made, (one, 0), (two, 0.2), (three, 0.9))
        assert list(self.reasons(after(made, 5.1))) == ["VB-1"]

    def test_many_are_not_all_named(self) -> None:
        sensors = [sensor(f"VB-{number}", number) for number in range(1, 12)]
        made = engine(*sensors)
        self.heard(made, *((each, 0) for each in sensors))
        assert "VB-8 and 3 more)" in self.reasons(after(made, 5.1))["VB-11"]


class TestNeverSeen:
    def test_a_configured_sensor_that_never_came_is_reported_once(self) -> None:
        made = engine(VB_9=20 * MINUTE)
        assert after(made, 19) == []
        _, raised = after(made, 21)
        assert raised.alert is not None
        assert (raised.alert.kind, raised.alert.sensor_id) == ("sensor", "VB-9")
        assert raised.alert.reason.startswith("Never heard of, 21 min after")
        assert after(made, 60) == []

    def test_it_is_over_when_it_comes(self) -> None:
        made = engine(VB_9=20 * MINUTE)
        after(made, 21)
        one = sensor("VB-9")
        made.register(one)
        assert types(publish(made, one, [1800])) == [CLEARED]

    def test_one_that_is_there_is_not_missed(self) -> None:
        made = engine(sensor("VB-9"), VB_9=20 * MINUTE)
        assert after(made, 21) == []


class TestForgotten:
    def forget(self, made: Engine, one: Sensor) -> list[Change]:
        changes = made.watch.forgetting(one, by="Ada", reason="scrapped", time_ns=NOON_NS)
        for change in changes[1:]:
            assert change.alert is not None
            made.alerts.settle(change.alert)
        made.replay(changes[0].fact)
        return changes

    def test_its_alerts_end_with_who_and_why(self) -> None:
        one = sensor()
        made = engine(one)
        publish(made, one, range(0, 30, 10), 12.0)
        after(made, 60 * 25)
        fact, machine, itself = self.forget(made, one)
        assert (fact.fact.type, fact.fact.data) == (
            SENSOR_FORGOTTEN, {"sensorId": "VB-1", "by": "Ada", "comment": "scrapped"},
        )  # fmt: skip
        assert types([machine, itself]) == [CLEARED, CLEARED]
        assert machine.alert is not None
        assert (machine.alert.kind, machine.fact.data["finding"]) == ("machine", "Forgotten by Ada: scrapped.")
        assert machine.fact.causation_id == fact.fact.id
        assert made.alerts.of_sensors() == []

    def test_it_is_not_silent_until_it_measures_again(self) -> None:
        one = sensor()
        made = engine(one)
        publish(made, one, range(0, 100, 10))
        self.forget(made, one)
        assert after(made, 60 * 24 * 365) == []
        assert made.signal(SensorStatus("VB-1", "online"), NOON_NS) == [], "what the broker kept is no sign of life"
        assert publish(made, one, range(31_536_000, 31_536_100, 10)) == []
        assert after(made, 60 * 24 * 365 + 60 * 25)[1].alert is not None

    def test_what_it_was_ill_with_does_not_come_back_with_it(self) -> None:
        one = sensor()
        made = engine(one)
        publish(made, one, range(0, 30, 10), 12.0)
        self.forget(made, one)
        assert publish(made, one, [1000, 1010], 12.0) == []
        assert types(publish(made, one, [1020], 12.0)) == [RAISED]

    def test_one_that_never_came_when_the_configuration_names_it_no_longer(self) -> None:
        made = engine(VB_9=20 * MINUTE, VB_8=20 * MINUTE)
        alerts = [change.alert for change in after(made, 21) if change.alert]
        again = engine(VB_8=20 * MINUTE)
        again.set_state([], alerts)
        forgotten, cleared = after(again, 0.1)
        assert (forgotten.fact.type, forgotten.fact.subject) == (SENSOR_FORGOTTEN, "VB-9")
        assert cleared.fact.data["finding"] == ("Forgotten by the configuration: it does not name the sensor any more.")
        assert after(again, 60) == []
        assert [alert.sensor_id for alert in again.alerts.of_sensors()] == ["VB-8"]


def test_several_faults_of_a_sensor_are_one_alert() -> None:
    cause = Cause("e", "e", NOON_NS, "VB-1", {}, "g", "")

    def applied(alert: Alert | None, **faults: str) -> tuple[Alert, str]:
        changed = apply_faults(alert, faults, cause)
        assert changed is not None
        return changed[0], changed[1].type

    first, raised = applied(None, stuck="It is stuck.")
    both, updated = applied(first, stuck="It is stuck.", silent="It is silent.")
    assert apply_faults(both, {"stuck": "Still.", "silent": "Still."}, cause) is None
    one, again = applied(both, silent="It is silent.")
    over, cleared = applied(one)
    assert [raised, updated, again, cleared] == [RAISED, UPDATED, UPDATED, CLEARED]
    assert both.reason == "It is stuck. It is silent."
    assert {alert.id for alert in (first, both, one, over)} == {first.id}
    assert apply_faults(None, {}, cause) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (310, "5 min 10 s"), (7200, "2 h"), (7205, "2 h"), (275_000, "3 d 4 h"), (-5, "0 s")],
)
def test_durations_in_words(seconds: int, words: str) -> None:
    assert in_words(seconds * SECOND) == words
