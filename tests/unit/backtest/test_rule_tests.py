"""Tests of rules: what is expected, what is not, and how the difference is put."""

from pathlib import Path
from typing import Any

import pytest

from gateway.backtest.rule_tests import Result, RuleTest, RuleTests, load_tests, run_test
from gateway.config import load_rules
from gateway.errors import ConfigError

ROOT = Path(__file__).parents[3]
SHIPPED = load_tests(ROOT / "config/rules-test.toml")
STEP = {"sensor": "S1", "values": "4~0.1x100 12.5~0.1x10 4~0.1x20"}
CRITICAL = {"at": 102, "sensor": "S1", "severity": "critical"}


def result(*alerts: dict[str, Any], series: dict[str, Any] | None = None, **more: Any) -> Result:
    test = {"name": "a step", "learning": 100, "series": [series or STEP], "alerts": alerts, **more}
    return run_test(RuleTest.model_validate(test), load_rules(None))


@pytest.mark.parametrize("test", SHIPPED.tests, ids=lambda test: test.name)
def test_the_shipped_rules_are_what_they_are_meant_to_be(test: RuleTest) -> None:
    found = run_test(test, load_rules(ROOT / "config/gateway.toml"))
    assert found.met, found


@pytest.mark.parametrize(
    "alert",
    [
        CRITICAL,
        {"at": 102},
        {**CRITICAL, "kind": "machine", "reason": "baseline", "cleared": 112},
        {**CRITICAL, "cleared": True},
    ],
)
def test_what_is_left_out_may_be_anything(alert: dict[str, Any]) -> None:
    assert result(alert).met


@pytest.mark.parametrize(
    ("alert", "difference"),
    [
        ({**CRITICAL, "at": 101}, "critical S1 at 101; the nearest: it comes at 102"),
        ({**CRITICAL, "severity": "warning"}, "warning S1 at 102; the nearest: its severity is critical"),
        ({**CRITICAL, "sensor": "S2"}, "critical S2 at 102; there is no other alert of S2"),
        ({**CRITICAL, "kind": "sensor"}, "critical (sensor) S1 at 102; the nearest: its kind is machine"),
        (
            {**CRITICAL, "reason": "drift"},
            "critical S1 at 102, saying 'drift'; the nearest: its reason does not say 'drift'",
        ),
        ({**CRITICAL, "cleared": False}, "critical S1 at 102, not clearing; the nearest: it clears at 112"),
        ({**CRITICAL, "cleared": 115}, "critical S1 at 102, cleared at 115; the nearest: it clears at 112"),
    ],
)
def test_what_differs_is_missing_and_unexpected_with_the_reason(alert: dict[str, Any], difference: str) -> None:
    found = result(alert)
    assert not found.met
    assert found.missing == [difference]
    assert [entry.row for entry in found.unexpected] == [102]


def test_an_alert_that_nobody_expects_fails_the_test() -> None:
    found = result()
    assert (found.met, found.missing, len(found.unexpected)) == (False, [], 1)


def test_one_alert_meets_one_expectation() -> None:
    found = result(CRITICAL, CRITICAL)
    assert found.missing == ["critical S1 at 102; there is no other alert of S1"]


def test_an_alert_that_must_end_and_does_not() -> None:
    found = result({**CRITICAL, "cleared": True}, series={"sensor": "S1", "values": "4~0.1x100 12.5~0.1x10"})
    assert found.missing == ["critical S1 at 102, cleared; the nearest: it does not clear"]


def test_readings_that_are_missing_count_as_rows() -> None:
    assert result({"at": 106}, series={"sensor": "S1", "values": "4~0.1x100 _x4 12.5~0.1x4"}).met
    series = {"sensor": "S1", "values": "4~0.1x100 _x20"}
    assert result({"at": 104, "kind": "sensor", "reason": "Silent", "cleared": False}, series=series).met


def test_states_and_features_belong_to_their_rows() -> None:
    series = {
        **STEP,
        "values": "4~0.1x100 12.5~0.1x3 4~0.1x27",
        "states": [["running", 100], ["Stopped", 3], ["running", 27]],
        "features": {"kurtosis": "3x130"},
    }
    assert result(series=series).met


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tests": []}, "tests: "),
        ({"tests": [{"name": "a"}]}, "tests #1.series: is required"),
        ({"tests": [{"name": "a", "series": [{"sensor": "S", "values": "four"}]}]}, "a series is parts"),
        ({"tests": [{"name": "a", "series": [{"sensor": "S", "values": [1, "x"]}]}]}, "tests #1.series #1.values #2"),
        ({"tests": [{"name": "a", "series": [STEP, STEP]}]}, "more than one series for S1"),
        ({"tests": [{"name": "a", "series": [{**STEP, "features": {"mood": "1"}}]}]}, "no feature mood"),
        ({"tests": [{"name": "a", "series": [{**STEP, "features": {"peak": "1x131"}}]}]}, "has 131 values"),
        ({"tests": [{"name": "a", "series": [STEP], "alerts": [{"at": -1}]}]}, "tests #1.alerts #1.at"),
        ({"tests": [{"name": "a", "series": [STEP], "alerts": [{"at": 1, "row": 2}]}]}, "row: unknown key"),
        ({"tests": [{"name": "a", "series": [STEP], "interval": "often"}]}, "a duration is a number and a unit"),
    ],
)
def test_mistakes_are_named_with_their_key(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    file = tmp_path / "rules-test.toml"
    file.write_text(toml(change))
    with pytest.raises(ConfigError, match=problem):
        load_tests(file)


def toml(tables: dict[str, Any]) -> str:
    return "\n".join(f"{key} = {_value(value)}" for key, value in tables.items())


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_tests(tmp_path / "nowhere.toml")


def test_the_shipped_tests_can_fail() -> None:
    """With rules that never warn, those that expect an alert are not met, and only those."""
    config = load_rules(ROOT / "config/gateway.toml")
    numb = config.model_copy(update={"detection": config.detection.model_copy(update={"on_readings": 10_000})})
    met = {test.name: run_test(test, numb).met for test in RuleTests(tests=SHIPPED.tests).tests}
    assert met == {test.name: not test.alerts for test in SHIPPED.tests}
