import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.grades import Grades, grade
from simulator.score import BadFileError, Score, read_alerts, read_truth, score

START = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = 100


def at(hours: float) -> str:
    return (START + timedelta(hours=hours)).isoformat()


def fault(kind: str, scope: str, begin: float, end: float | None = None, **more: object) -> dict[str, Any]:
    shows = at(begin) if scope != "benign" else None
    return {
        "scope": scope,
        "kind": kind,
        "sensorId": "S-1",
        "machine": "m",
        "detail": "",
        "growing": scope == "machine",
        "from": at(begin),
        "to": None if end is None else at(end),
        "leavesBand": shows,
        **more,
    }


def alert(begin: float, end: float | None = None, **more: object) -> dict[str, Any]:
    return {
        "kind": "machine",
        "sensorId": "S-1",
        "severity": "warning",
        "openedAt": at(begin),
        "clearedAt": None if end is None else at(end),
        "reason": "Level 9",
        **more,
    }


def scored(faults: list[dict[str, Any]], alerts: list[dict[str, Any]], sensors: int = 2) -> Score:
    watched = [{"sensorId": f"S-{n}", "site": "", "area": "", "machine": "m", "interval": 60.0} for n in range(sensors)]
    truth = {"seed": 1, "start": at(0), "end": at(HOURS), "sensors": watched, "faults": faults}
    return score(read_truth(json.dumps(truth).encode()), read_alerts(json.dumps(alerts).encode()))


def graded(faults: list[dict[str, Any]], alerts: list[dict[str, Any]]) -> Grades:
    return grade(scored(faults, alerts))


def goals(grades: Grades) -> dict[str, bool]:
    return {goal.goal: goal.met for goal in grades.goals}


def test_a_fault_that_was_found_in_time() -> None:
    found = graded([fault("growth", "machine", 10)], [alert(10.5)])
    (kind,) = found.kinds
    assert (kind.faults, kind.shown, kind.found, kind.missed, kind.delay_median) == (1, 1, 1, 0, 1800.0)
    assert (found.alerts_belonging_to_no_fault, found.healthy_sensor_hours) == (0, 110.0)
    assert all(goals(found).values())


def test_a_fault_that_was_missed() -> None:
    found = graded([fault("growth", "machine", 10), fault("jump", "machine", 20, sensorId="S-0")], [alert(11)])
    assert {kind.kind: kind.missed for kind in found.kinds} == {"growth": 0, "jump": 1}
    assert not goals(found)["growing faults found"]


def test_a_fault_that_never_shows_is_not_missed() -> None:
    found = graded([fault("growth", "machine", 10, leavesBand=None)], [])
    (kind,) = found.kinds
    assert (kind.shown, kind.missed) == (0, 0)
    assert "growing faults found" not in goals(found)


def test_a_late_alert_misses_the_goal() -> None:
    found = graded([fault("growth", "machine", 10)], [alert(11.2)])
    assert (goals(found)["growing faults found"], goals(found)["their median delay"]) == (True, False)


def test_an_alert_before_the_level_leaves_its_band_has_a_delay_below_zero() -> None:
    early = fault("growth", "machine", 10, leavesBand=at(20))
    assert graded([early], [alert(15)]).kinds[0].delay_median == -5 * 3600


@pytest.mark.parametrize("begin", [5.0, 60.0])
def test_an_alert_before_a_fault_or_long_after_it_is_a_false_one(begin: float) -> None:
    found = graded([fault("growth", "machine", 10, 40)], [alert(begin, begin + 1)])
    assert (found.alerts_belonging_to_no_fault, found.kinds[0].found) == (1, 0)
    assert found.false_alarms_per_1000_sensor_hours == pytest.approx(1000 / 170, abs=0.001)
    assert not goals(found)["false alarms"]


def test_an_alert_right_after_the_end_still_belongs_to_the_fault() -> None:
    assert graded([fault("dropout", "sensor", 10, 40)], [alert(40.9, kind="sensor")]).alerts_belonging_to_no_fault == 0


def test_an_alert_of_another_sensor_is_a_false_one() -> None:
    assert graded([fault("growth", "machine", 10)], [alert(11, sensorId="S-0")]).alerts_belonging_to_no_fault == 1


def test_an_escalation_is_no_alert_of_its_own() -> None:
    worse = alert(12, 30, severity="critical")
    assert len(read_alerts(json.dumps([alert(11, 30), worse]).encode())) == 1
    assert len(read_alerts(json.dumps([alert(11), worse]).encode())) == 1
    assert len(read_alerts(json.dumps([alert(11, 12), alert(12, 30)]).encode())) == 2


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("dropout", "Silent for 25 minutes"),
        ("stuck", "The same value 4.21 in 20 readings"),
        ("floor", "Flat at the floor of the sensor"),
        ("clock", "Its clock is 400 days behind"),
    ],
)
def test_a_sensors_fault_is_named_by_an_alert_about_the_sensor(kind: str, reason: str) -> None:
    broken = [fault(kind, "sensor", 10, 40)]
    named = graded(broken, [alert(11, kind="sensor", reason=reason)])
    assert (named.kinds[0].found, named.kinds[0].named) == (1, 1)
    assert all(goals(named).values())
    unnamed = graded(broken, [alert(11, kind="sensor", reason="Something")])
    assert (unnamed.kinds[0].found, unnamed.kinds[0].named) == (1, 0)
    assert not goals(unnamed)["sensor faults named as such"]


def test_a_sensors_fault_taken_for_a_machines_is_said_so() -> None:
    found = graded([fault("stuck", "sensor", 10, 40)], [alert(11)])
    assert (found.kinds[0].found, found.kinds[0].taken_for_machine) == (0, 1)
    assert not goals(found)["sensor faults taken for a machine's"]


def test_a_spike_may_be_passed_over() -> None:
    assert all(goals(graded([fault("spike", "sensor", 10, 40)], [])).values())


def test_an_alert_that_comes_again_soon_after_its_end_chatters() -> None:
    found = graded([fault("growth", "machine", 10)], [alert(11, 12), alert(12.5, 13), alert(20)])
    assert (found.chattering, found.kinds[0].found) == (1, 1)


def test_an_alert_that_was_open_and_becomes_worse_tells_of_the_fault() -> None:
    listed = [alert(5, 50), alert(11, 50, severity="critical")]
    found = graded([fault("growth", "machine", 10)], listed)
    assert (found.kinds[0].found, found.kinds[0].delay_median, found.alerts_belonging_to_no_fault) == (1, 3600.0, 1)
    assert graded([fault("growth", "machine", 10)], listed[:1]).kinds[0].missed == 1


def test_an_alert_about_a_shift_of_all_levels_is_not_false_within_a_day() -> None:
    shift = [fault("shift", "benign", 10)]
    told = graded(shift, [alert(11)])
    assert (told.kinds[0].found, told.alerts_belonging_to_no_fault) == (1, 0)
    assert graded(shift, [alert(50)]).alerts_belonging_to_no_fault == 1
    assert graded(shift, []).healthy_sensor_hours == 200.0


def test_what_happens_on_the_way_is_nobodys_fault() -> None:
    found = graded([fault("drop", "transport", 10), fault("drop", "transport", 10, sensorId="")], [alert(11)])
    assert (found.kinds, found.alerts_belonging_to_no_fault) == ([], 1)


def test_a_backtest_and_a_list_of_alerts_are_read_alike_and_the_gateways_own_left_out() -> None:
    alerts = [alert(1), alert(2, kind="gateway", sensorId="disk")]
    listed = read_alerts(json.dumps(alerts).encode())
    assert listed == read_alerts(json.dumps({"readings": 5, "alerts": alerts, "kpis": {}}).encode())
    assert len(listed) == 1


@given(
    st.lists(st.tuples(st.floats(0, 90), st.floats(0.1, 50), st.sampled_from(["S-0", "S-1"]))),
    st.lists(st.tuples(st.floats(0, 90), st.floats(0.1, 9), st.sampled_from(["S-0", "S-1"]))),
)
def test_every_alert_belongs_to_one_fault_or_to_none(
    faults: list[tuple[float, float, str]], alerts: list[tuple[float, float, str]]
) -> None:
    wrong = [fault("jump", "machine", begin, begin + lasts, sensorId=name) for begin, lasts, name in faults]
    raised = [alert(begin, begin + lasts, sensorId=name) for begin, lasts, name in alerts]
    found = scored(wrong, raised)
    count = len(read_alerts(json.dumps(raised).encode()))
    assert sum(len(each.alerts) for each in found.found) + len(found.false) == count
    assert found.healthy_hours >= 0


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"seed": 1', b"\xff"])
def test_what_is_no_truth_is_named_so(content: bytes) -> None:
    with pytest.raises(BadFileError, match="not a truth file"):
        read_truth(content)


def test_a_run_that_goes_on_cannot_be_scored() -> None:
    going_on: dict[str, Any] = {"start": at(0), "end": None, "sensors": [], "faults": []}
    with pytest.raises(BadFileError, match="has not ended"):
        read_truth(json.dumps(going_on).encode())


@pytest.mark.parametrize("content", [b"", b"{}", b'{"alerts": 1}', b'[{"kind": "machine"}]', b'"x"'])
def test_what_holds_no_alerts_is_named_so(content: bytes) -> None:
    with pytest.raises(BadFileError, match="neither"):
        read_alerts(content)
