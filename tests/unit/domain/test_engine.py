"""Detection and alert life cycle together; the laws of whole stories are those of the pipeline."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.domain.alerting.alert import CLEARED, ESCALATED, RAISED
from gateway.domain.alerting.liveness import TIME_PASSED, Reception
from gateway.domain.alerting.open_alerts import Change
from gateway.domain.detection.baseline_events import BASELINE_RELEARN, BASELINE_SET
from gateway.domain.detection.operating_state import known_baselines
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Sensor, SensorState
from gateway.domain.detection.timeline import Clocks
from gateway.domain.engine.baselines import apply_baseline, relearn, set_baseline
from gateway.domain.engine.engine import Engine
from gateway.domain.inputs.native import EVENT
from gateway.domain.model.reading import VibrationRecorded
from gateway.domain.model.timefmt import microseconds
from gateway.errors import ConflictError, NotFoundError
from tests.examples import examples
from tests.readings import FIXED, NOON_NS, SECOND, event

DAY_US = 86_400 * 10**6


def sensor(name: str = "VB-1", key: int = 1) -> Sensor:
    return Sensor(key, name, {"machine": "pump-7"}, "m/s²", "", NOON_NS, SensorState())


def engine(*sensors: Sensor, rules: Rules = FIXED, lateness: float = 0) -> Engine:
    made = Engine(lambda _: rules, Clocks(DAY_US, int(lateness * 1e6)))
    made.set_state(sensors, [])
    return made


def recorded(second: float, level: float, **more: Any) -> VibrationRecorded:
    return EVENT.decode(msgspec.json.encode(event(second, level, **more)))


def take(made: Engine, one: Sensor, *readings: VibrationRecorded) -> list[Change]:
    """Let readings come as soon as they are measured and return what follows."""
    changes = []
    for reading in readings:
        event_us = microseconds(reading.timestamp)
        received_ns = event_us * 1000
        time_ns, flags = made.classify_timestamp(one, event_us, received_ns, retained=False)
        for judged in made.judge(one, reading, event_us, time_ns, received_ns=received_ns, flags=flags):
            changes += made.conclude(one, judged)
    return changes


def types(changes: list[Change]) -> list[str]:
    return [change.fact.type for change in changes]


LIFE = [*[7.0] * 3, *[12.0] * 3, *[4.0] * 3]


def test_an_alert_lives_from_raised_to_cleared() -> None:
    one = sensor()
    made = engine(one)
    changes = take(made, one, *(recorded(second, level) for second, level in enumerate(LIFE)))
    assert types(changes) == [RAISED, ESCALATED, CLEARED]
    assert len({change.alert.id for change in changes if change.alert}) == 1
    assert [change.fact.causation_id for change in changes] == ["VB-1@2", "VB-1@5", "VB-1@8"]


def test_an_open_alert_is_taken_up_where_the_state_begins() -> None:
    one = sensor()
    (raised,) = take(engine(one), one, *(recorded(second, 7.0) for second in range(3)))
    assert raised.alert is not None
    later = sensor()
    made = engine(later)
    made.set_state([later], [raised.alert])
    made.trust_alerts()
    changes = take(made, later, *(recorded(10 + second, 4.0) for second in range(3)))
    assert types(changes) == [CLEARED]
    assert changes[0].alert == replace(
        raised.alert, state="cleared", cleared_ns=NOON_NS + 12 * SECOND, level=4.0, baseline=4.0
    )


def test_a_state_that_knows_of_an_alert_that_is_not_there_raises_it_anew() -> None:
    """After a replay with other rules the alerts are the fact, and not what the rules would have made of it."""
    one = sensor()
    take(engine(one), one, *(recorded(second, 7.0) for second in range(3)))
    made = engine(one)
    made.trust_alerts()
    assert types(take(made, one, *(recorded(10 + second, 7.0) for second in range(3)))) == [RAISED]


def test_the_rules_of_a_sensor_are_asked_for_once_and_again_after_a_move() -> None:
    asked = []

    def rules_for(one: Sensor) -> Rules:
        asked.append(one.tags["machine"])
        return Rules(baseline=4.0 if one.tags["machine"] == "pump-7" else 40.0)

    one = sensor()
    made = Engine(rules_for, Clocks(DAY_US))
    made.set_state([one], [])
    take(made, one, recorded(0, 5.0), recorded(1, 5.0))
    assert (made.baseline_level(one), asked) == (4.0, ["pump-7"])
    one.tags = {"machine": "pump-8"}
    made.moved(one)
    assert (made.baseline_level(one), asked) == (40.0, ["pump-7", "pump-8"])


class TestConditions:
    def test_one_alert_however_often_it_is_reported(self) -> None:
        made = engine()
        (_, raised) = made.alerts.condition("influxdb", "warning", "401", NOON_NS)
        assert raised.alert is not None
        made.alerts.settle(raised.alert)
        assert made.alerts.condition("influxdb", "warning", "404", NOON_NS + 1) == []
        (_, escalated) = made.alerts.condition("influxdb", "critical", "worse", NOON_NS + 2)
        assert escalated.alert is not None
        made.alerts.settle(escalated.alert)
        (_, cleared) = made.alerts.condition("influxdb", None, "well again", NOON_NS + 3)
        assert cleared.alert is not None
        made.alerts.settle(cleared.alert)
        assert types([raised, escalated, cleared]) == [RAISED, ESCALATED, CLEARED]
        assert {change.alert.id for change in (raised, escalated, cleared) if change.alert} == {raised.alert.id}
        assert made.alerts.condition("influxdb", None, "well again", NOON_NS + 4) == []

    def test_nothing_has_moved_before_it_is_settled(self) -> None:
        """What could not be written is reported again."""
        made = engine()
        first = made.alerts.condition("disk", "warning", "full", NOON_NS)
        assert made.alerts.condition("disk", "warning", "full", NOON_NS) == first

    def test_every_fact_has_a_cause(self) -> None:
        cause, raised = engine().alerts.condition("disk", "warning", "full", NOON_NS)
        assert raised.fact.causation_id == raised.fact.correlation_id == cause.fact.id
        assert raised.alert is not None
        assert raised.alert.opened_by == cause.fact.id


class TestBaselinesByPeople:
    def test_a_baseline_that_is_set_counts_from_the_moment_its_fact_is_applied(self) -> None:
        one = sensor()
        made = engine(one, rules=Rules())
        (change,) = set_baseline(one, made.rules_of(one), 5.0, by="anna", reason="after the repair", time_ns=NOON_NS)
        assert made.baseline_level(one) is None, "it has not been written yet"
        assert (change.fact.type, change.alert) == (BASELINE_SET, None)
        assert {name: change.fact.data[name] for name in ("level", "by", "comment", "version", "state")} == {
            "level": 5.0, "by": "anna", "comment": "after the repair", "version": 1, "state": "",
        }  # fmt: skip
        apply_baseline(one, change.fact)
        assert made.baseline_level(one) == 5.0
        assert [baseline.by for baseline in known_baselines(one.state)] == ["anna"]

    def test_what_is_learned_anew_is_forgotten_and_gets_the_next_version(self) -> None:
        one = sensor()
        made = engine(one, rules=Rules())
        apply_baseline(one, set_baseline(one, made.rules_of(one), 5.0, by="anna", time_ns=NOON_NS)[0].fact)
        (change,) = relearn(one, made.rules_of(one), by="bert", reason="moved", time_ns=NOON_NS + 1)
        assert (change.fact.type, change.fact.data["by"], change.fact.data["state"]) == (BASELINE_RELEARN, "bert", None)
        apply_baseline(one, change.fact)
        assert known_baselines(one.state) == []
        (again,) = set_baseline(one, made.rules_of(one), 6.0, state="Fast", by="anna", time_ns=NOON_NS + 2)
        assert (again.fact.data["version"], again.fact.data["state"]) == (2, "fast")

    def test_the_configuration_comes_first(self) -> None:
        one = sensor()
        made = engine(one, rules=FIXED)
        with pytest.raises(ConflictError, match=r"take it out of \[\[sensors\]\]"):
            set_baseline(one, made.rules_of(one), 5.0, by="anna", time_ns=NOON_NS)
        with pytest.raises(ConflictError):
            relearn(one, made.rules_of(one), by="anna", time_ns=NOON_NS)

    @pytest.mark.parametrize("level", [0.0, -1.0, float("inf"), float("nan")])
    def test_nothing_can_be_compared_with_such_a_level(self, level: float) -> None:
        with pytest.raises(ValueError, match="above zero"):
            set_baseline(sensor(), Rules(), level, by="anna", time_ns=NOON_NS)


class TestAcknowledging:
    def test_the_first_one_wins(self) -> None:
        one = sensor()
        made = engine(one)
        (raised,) = take(made, one, *(recorded(second, 7.0) for second in range(3)))
        assert raised.alert is not None
        (change,) = made.alerts.acknowledge(raised.alert.id, "anna", "on my way", NOON_NS)
        assert change.alert is not None
        again = made.alerts.acknowledge(raised.alert.id, "anna", "on my way", NOON_NS)
        assert again == [change], "it has not been written yet"
        made.alerts.settle(change.alert)
        with pytest.raises(ConflictError, match="anna has acknowledged"):
            made.alerts.acknowledge(raised.alert.id, "bert", "", NOON_NS)
        (escalated,) = take(made, one, *(recorded(3 + second, 12.0) for second in range(3)))
        assert escalated.alert is not None
        assert (escalated.alert.acknowledged, escalated.alert.acknowledged_by) == (False, ""), "it is worse now"

    def test_what_is_not_open_cannot_be_acknowledged(self) -> None:
        one = sensor()
        made = engine(one)
        changes = take(made, one, *(recorded(second, level) for second, level in enumerate(LIFE)))
        assert changes[0].alert is not None
        for alert_id in (changes[0].alert.id, "", "nobody"):
            with pytest.raises(NotFoundError):
                made.alerts.acknowledge(alert_id, "anna", "", NOON_NS)

    def test_an_alert_about_the_gateway_too(self) -> None:
        made = engine()
        (_, raised) = made.alerts.condition("disk", "warning", "full", NOON_NS)
        assert raised.alert is not None
        made.alerts.settle(raised.alert)
        (change,) = made.alerts.acknowledge(raised.alert.id, "anna", "", NOON_NS)
        assert change.alert is not None
        assert change.alert.acknowledged


class TestWaiting:
    def test_a_reading_waits_for_one_that_is_late_enough(self) -> None:
        one = sensor()
        made = engine(one, rules=replace(FIXED, on_readings=1), lateness=10)
        assert take(made, one, recorded(5, 7.0), recorded(0, 7.0)) == []
        assert types(take(made, one, recorded(12, 4.0))) == [RAISED]
        assert [waiting.event_id for waiting in one.state.waiting] == ["VB-1@5", "VB-1@12"]

    def test_who_has_waited_for_too_long_is_named_with_the_fact(self) -> None:
        one, other = sensor(), sensor("VB-2", 2)
        made = engine(one, other, lateness=10)
        take(made, one, recorded(0, 7.0), recorded(1, 7.0))
        take(made, other, recorded(8, 4.0, sensor="VB-2"))
        assert made.overdue(NOON_NS + 20 * SECOND, Reception()) == []
        (fact,) = made.overdue(NOON_NS + 21 * SECOND, Reception())
        assert (fact.subject, fact.type, fact.causation_id) == (one.id, TIME_PASSED, "VB-1@1")
        made.judge_waiting(one, fact.data["untilUs"])
        assert made.overdue(NOON_NS + 21 * SECOND, Reception()) == []
        assert one.state.waiting == []


levels = st.lists(st.sampled_from([4.0, 5.8, 6.3, 7.0, 9.0, 12.0]), max_size=60)


@examples(100)
@given(levels, st.sampled_from([0, 3, 30]))
def test_an_alert_is_raised_before_it_changes_and_two_are_never_open_at_once(levels: list[float], late: int) -> None:
    one = sensor()
    made = engine(one, lateness=late)
    severity = None
    for change in take(made, one, *(recorded(second, level) for second, level in enumerate(levels))):
        expected = {None: {RAISED}, "warning": {ESCALATED, CLEARED}, "critical": {CLEARED}}[severity]
        assert change.fact.type in expected
        assert change.alert is not None
        severity = None if change.alert.state == "cleared" else change.alert.severity


@examples(100)
@given(levels)
def test_waiting_changes_nothing_for_readings_in_order(levels: list[float]) -> None:
    readings = [recorded(second, level) for second, level in enumerate([*levels, 4.0])]
    one, other = sensor(), sensor()
    at_once, waiting = engine(one), engine(other, lateness=5)
    expected = take(at_once, one, *readings)
    found = take(waiting, other, *readings)
    for judged in waiting.judge_waiting(other, 2**62):
        found += waiting.conclude(other, judged)
    assert found == expected
    assert replace(other.state, released_us=None, limits=None) == replace(one.state, limits=None)
