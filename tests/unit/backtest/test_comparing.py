from gateway.backtest.comparing import compare
from gateway.backtest.running import AlertEntry, Outcome


def entry(opened: int, cleared: int | None = None, sensor: str = "VB-1", severity: str = "warning") -> AlertEntry:
    return AlertEntry("a", "machine", sensor, severity, "raised", opened, opened, "why", cleared)  # type: ignore[arg-type] # a literal


def test_the_same_alerts_are_the_same() -> None:
    found = compare(Outcome(alerts=[entry(1, 2), entry(5)]), Outcome(alerts=[entry(1, 3), entry(5, 9)]))
    assert (found.same, found.added, found.gone, found.earlier, found.later) == (2, [], [], [], [])


def test_alerts_that_overlap_are_earlier_or_later() -> None:
    found = compare(Outcome(alerts=[entry(10, 20), entry(30, 40)]), Outcome(alerts=[entry(8, 12), entry(33)]))
    assert [shift.later_ns for shift in found.earlier] == [-2]
    assert [shift.later_ns for shift in found.later] == [3]
    assert (found.same, found.added, found.gone) == (0, [], [])


def test_alerts_that_never_were_open_together_are_two() -> None:
    before, after = entry(10, 20), entry(30)
    found = compare(Outcome(alerts=[before]), Outcome(alerts=[after]))
    assert (found.gone, found.added, found.same) == ([before], [after], 0)


def test_another_sensor_or_severity_is_another_alert() -> None:
    before = [entry(1), entry(1, severity="critical")]
    after = [entry(1, sensor="VB-2"), entry(1)]
    found = compare(Outcome(alerts=before), Outcome(alerts=after))
    assert (found.gone, found.added, found.same) == ([before[1]], [after[0]], 1)


def test_an_alert_is_matched_once() -> None:
    found = compare(Outcome(alerts=[entry(1, 50)]), Outcome(alerts=[entry(2, 10), entry(20, 30)]))
    assert (len(found.later), [each.opened_ns for each in found.added]) == (1, [20])
