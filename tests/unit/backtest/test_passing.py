"""Time that passes between readings: sensors fall silent when they do, not when they come back."""

from collections.abc import Iterator, Sequence

from gateway.backtest.recorded import Recorded
from gateway.backtest.running import Outcome, run
from gateway.domain.alerting.liveness import time_passed
from gateway.domain.detection.baseline_events import BASELINE_RELEARN, BASELINE_SET
from gateway.domain.detection.rules import DAY_NS, Rules
from gateway.domain.detection.timeline import Clocks
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.reading import ReadingData, VibrationRecorded
from tests.readings import FIXED, NOON, NOON_NS, SECOND

MINUTE = 60 * SECOND
SET = {"sensorId": "VB-1", "level": 4.0, "version": 1, "state": "", "by": "Ada"}
CLOCKS = Clocks(DAY_NS // 1000)


def readings(minutes: Sequence[float], sensor: str = "VB-1", level: float = 4.0) -> Iterator[Recorded]:
    for row, minute in enumerate(minutes):
        event = VibrationRecorded("VibrationRecorded", NOON, ReadingData(sensor, level), f"{sensor} {row}")
        time_ns = NOON_NS + int(minute * MINUTE)
        yield Recorded(row, event, time_ns // 1000, time_ns, {})


def silences(outcome: Outcome) -> list[tuple[str, float, float | None]]:
    """Return (sensor, silent from, until) in minutes after noon."""
    return [
        (entry.sensor_id, _minutes(entry.opened_ns), None if entry.cleared_ns is None else _minutes(entry.cleared_ns))
        for entry in outcome.alerts
        if entry.kind == "sensor"
    ]


def _minutes(time_ns: int) -> float:
    return round((time_ns - NOON_NS) / MINUTE, 3)


def test_a_sensor_is_silent_five_intervals_after_its_last_reading() -> None:
    outcome = run(readings([*range(10), 60]), lambda _: FIXED, CLOCKS)
    assert silences(outcome) == [("VB-1", 14, 60)]


def test_a_gap_of_a_year_is_one_silence() -> None:
    outcome = run(readings([*range(10), 365 * 1440]), lambda _: FIXED, CLOCKS)
    assert silences(outcome) == [("VB-1", 14, 365 * 1440)]


def test_who_ends_early_is_noticed_while_the_others_go_on() -> None:
    both = sorted([*readings(range(10)), *readings(range(60), "VB-2")], key=lambda each: each.received_ns)
    assert silences(run(both, lambda _: FIXED, CLOCKS)) == [("VB-1", 14, None)]


def test_time_passes_up_to_the_end_that_is_given() -> None:
    until_ns = NOON_NS + 30 * MINUTE
    assert silences(run(readings(range(10)), lambda _: FIXED, CLOCKS)) == []
    assert silences(run(readings(range(10)), lambda _: FIXED, CLOCKS, until_ns=until_ns)) == [("VB-1", 14, None)]


def test_regular_sensors_of_any_interval_are_never_silent() -> None:
    for interval in (0.1, 1, 15, 200):
        outcome = run(readings([interval * number for number in range(200)]), lambda _: FIXED, CLOCKS)
        assert silences(outcome) == [], interval


def test_readings_that_waited_are_judged_when_their_sensor_falls_silent() -> None:
    clocks = Clocks(DAY_NS // 1000, lateness_us=60_000_000)
    outcome = run(readings(range(10), level=12.0), lambda _: FIXED, clocks, until_ns=NOON_NS + 30 * MINUTE)
    assert [entry.severity for entry in outcome.alerts if entry.kind == "machine"] == ["critical"]


def test_a_history_with_facts_of_its_own_is_not_watched() -> None:
    history: list[Recorded | DomainEvent] = [*readings(range(10))]
    silence = time_passed("silence", "VB-1", NOON_NS + 20 * MINUTE, {"forNs": 11 * MINUTE, "allowedNs": 5 * MINUTE})
    outcome = run([*history, silence], lambda _: FIXED, CLOCKS, watch=False)
    assert silences(outcome) == [("VB-1", 20, None)]
    assert silences(run([*readings([*range(10), 60])], lambda _: FIXED, CLOCKS, watch=False)) == []


def test_what_people_set_holds_from_then_on() -> None:
    rules = Rules(on_readings=3, learning_readings=1000)
    given = DomainEvent("1", BASELINE_SET, NOON_NS, "VB-1", "1", "1", SET)
    history = list(readings(range(10), level=12.0))
    assert run(history, lambda _: rules, CLOCKS).alerts == []
    outcome = run([*history[:2], given, *history[2:]], lambda _: rules, CLOCKS)
    assert [(entry.severity, entry.row) for entry in outcome.alerts] == [("critical", 4)]
    again = DomainEvent(
        "2", BASELINE_RELEARN, NOON_NS, "VB-1", "2", "2", {"sensorId": "VB-1", "state": None, "by": "Ada"}
    )
    assert run([*history[:2], given, *history[2:4], again, *history[4:]], lambda _: rules, CLOCKS).alerts == []


def test_what_people_did_to_a_sensor_that_is_not_in_the_history_changes_nothing() -> None:
    given = DomainEvent("1", BASELINE_SET, NOON_NS, "VB-9", "1", "1", SET | {"sensorId": "VB-9"})
    outcome = run([given, *readings(range(3))], lambda _: FIXED, CLOCKS)
    assert (list(outcome.sensors), outcome.alerts) == (["VB-1"], [])


def test_why_nothing_was_learned() -> None:
    def reason(rules: Rules, level: float = 4.0) -> str | None:
        return run(readings(range(20), level=level), lambda _: rules, CLOCKS).not_learned.get("VB-1")

    assert reason(Rules(learning_readings=10, learning_ns=0)) is None
    assert reason(FIXED) is None
    assert reason(Rules(learning_readings=100)) == "20 readings to learn from; learning_readings is 100"
    assert reason(Rules(learning_readings=10)) == "the readings to learn from span 19 min; learning is 7 d"
    assert reason(Rules(learning_readings=10, learning_ns=0), 0.0) == (
        "too few of its readings are above zero and of a running machine"
    )


def test_a_machine_that_never_ran_teaches_nothing() -> None:
    history = list(readings(range(20)))
    for each in history:
        each.event.data.operating_state = "stopped"
    outcome = run(history, lambda _: Rules(), CLOCKS)
    assert outcome.not_learned["VB-1"].startswith("there was no reading to learn from")
