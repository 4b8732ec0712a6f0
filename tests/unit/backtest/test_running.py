"""The engine over history concludes what the pipeline concluded, at the same rows."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backtest.recorded import Recorded
from gateway.backtest.running import AlertEntry, Outcome, run, run_config
from gateway.config import load_rules
from gateway.domain.detection.rules import DAY_NS
from gateway.domain.detection.timeline import Clocks
from gateway.domain.model.reading import ReadingData, VibrationRecorded
from tests.examples import examples
from tests.readings import FIXED, NOON, NOON_NS, SECOND, plant, reading

DAY = Clocks(DAY_NS // 1000)


def history(levels: list[float], sensor: str = "VB-1", unit: str = "m/s²") -> Iterator[Recorded]:
    for row, level in enumerate(levels):
        event = VibrationRecorded("VibrationRecorded", NOON, ReadingData(sensor, level, unit=unit), f"row {row}")
        time_ns = NOON_NS + row * SECOND
        yield Recorded(row, event, time_ns // 1000, time_ns, {"machine": "pump-7"})


def fixed(levels: list[float], lateness_us: int = 0) -> Outcome:
    return run(history(levels), lambda _: FIXED, Clocks(DAY_NS // 1000, lateness_us))


def shown(entries: list[AlertEntry]) -> list[tuple[str, str, int, int | None]]:
    return [(entry.change, entry.severity, entry.row, entry.cleared_row) for entry in entries]


def test_an_alert_and_its_escalation_are_entries_with_their_own_rows() -> None:
    outcome = fixed([4, 7, 7, 7, 7, 12, 12, 12, 4, 4, 4, 7, 7, 7])
    assert shown(outcome.alerts) == [
        ("raised", "warning", 3, 10),
        ("escalated", "critical", 7, 10),
        ("raised", "warning", 13, None),
    ]
    first, second, third = outcome.alerts
    assert first.alert_id == second.alert_id != third.alert_id
    assert (first.opened_ns, second.opened_ns) == (NOON_NS + 3 * SECOND, NOON_NS + 7 * SECOND)
    assert "1.8 × the configured baseline" in first.reason


def test_the_same_history_gives_the_same_outcome() -> None:
    assert fixed([4, 12, 12, 12, 4, 4, 4]) == fixed([4, 12, 12, 12, 4, 4, 4])


def test_readings_that_wait_are_judged_at_the_end_of_the_history() -> None:
    assert shown(fixed([12, 12, 12], lateness_us=3_600_000_000).alerts) == [("raised", "critical", 2, None)]


def test_a_learning_period_in_readings_replaces_both_keys() -> None:
    levels = [4.0, 4.1, 3.9] * 4 + [8, 8, 8]
    config = load_rules(None)
    assert not run_config(history(levels), config).alerts
    assert shown(run_config(history(levels), config, learning=12).alerts) == [("raised", "warning", 14, None)]


def test_what_came_late_is_counted_and_not_judged() -> None:
    in_order = list(history([4, 4, 4]))
    late = [in_order[2], in_order[0], in_order[1]]
    outcome = run(late, lambda _: FIXED, DAY)
    assert (outcome.readings, outcome.late) == (3, 2)


def test_a_clock_that_is_years_off_is_replaced_and_counted() -> None:
    off = [replace_time(each, -3 * 365 * 86_400_000_000) for each in history([12, 12, 12])]
    outcome = run(off, lambda _: FIXED, DAY)
    assert (outcome.clock_replaced, outcome.furthest_ns < SECOND) == (3, True)
    assert outcome.alerts[0].opened_ns // SECOND == NOON_NS // SECOND + 2


def replace_time(reading: Recorded, by_us: int) -> Recorded:
    return Recorded(reading.row, reading.event, reading.event_us + by_us, reading.received_ns, reading.tags)


def test_a_change_of_unit_or_place_is_known_to_the_registry() -> None:
    first, second = history([4, 4])
    second.event.data.unit, second.tags = "g", {"machine": "pump-8"}
    sensor = run([first, second], lambda _: FIXED, DAY).sensors["VB-1"]
    assert (sensor.unit, sensor.tags) == ("g", {"machine": "pump-8"})


@examples(30)  # each opens a journal
@given(levels=st.lists(st.sampled_from([4.0, 7.0, 12.0]), max_size=40))
def test_the_pipeline_would_have_concluded_the_same(
    tmp_path_factory: pytest.TempPathFactory, levels: list[float]
) -> None:
    outcome = fixed(levels)
    with plant(tmp_path_factory.mktemp("journal")) as made:
        made.take(*(reading(second, level) for second, level in enumerate(levels)))
        expected = made.changes()
    assert [(fact.type, fact.data["severity"]) for _, fact in outcome.facts] == expected
