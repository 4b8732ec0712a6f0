"""baselines: what holds, what held, and changing it while no gateway runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.detection.rules import Rules
from tests.readings import plant, reading
from tests.unit.cli.conftest import Run

LEARNING = Rules(learning_readings=5, learning_ns=0)


@pytest.fixture
def learned(tmp_path: Path, config: Path) -> None:
    """Leave a journal in which a sensor has learned what is normal, by the rules of the configuration."""
    config.write_text(config.read_text() + '[detection]\nlearning = "0s"\nlearning_readings = 5\n')
    with plant(tmp_path / "state", LEARNING) as made:
        made.take(*(reading(second, 4.0 + 0.01 * (second % 3)) for second in range(6)))


def answer(run: Run, *arguments: object) -> Any:
    result = run("baselines", *arguments, "-o", "json")
    assert result.code == 0, result.err
    return json.loads(result.out)


@pytest.mark.usefixtures("learned")
def test_the_baselines_that_hold(run: Run, config: Path) -> None:
    config.write_text(config.read_text() + '[[sensors]]\nid = "VB-9"\nbaseline = 7.5\n')
    configured, learned = answer(run, "list")
    assert (configured["sensorId"], configured["level"], configured["source"]) == ("VB-9", 7.5, "configured")
    assert (learned["sensorId"], learned["source"], learned["version"]) == ("VB-1", "learned", 1)
    assert "7.5" in run("baselines", "list").out


@pytest.mark.usefixtures("learned")
def test_set_and_relearn_without_a_running_gateway(run: Run) -> None:
    result = run("baselines", "set", "VB-1", "9.5", "--by", "Ada\x1b[2J", "--reason", "new bearing")
    assert (result.code, result.out) == (
        0, "VB-1: 9.5 m/s² is normal now, version 2, said by Ada\\x1b[2J\n",
    )  # fmt: skip
    assert [(row["level"], row["by"]) for row in answer(run, "list")] == [(9.5, "Ada\x1b[2J")]
    assert answer(run, "relearn", "VB-1", "--by", "Bob")["change"] == "relearn"
    assert answer(run, "list") == []
    shown = answer(run, "show", "VB-1")
    assert shown["current"] == []
    assert [(row["change"], row.get("comment")) for row in shown["history"]] == [
        ("learned", None), ("set", "new bearing"), ("relearn", ""),
    ]  # fmt: skip
    table = run("baselines", "show", "VB-1").out
    assert (
        "No baseline of it holds. Learning takes 5 readings of a running machine over 0 s; it has sent 6 readings since"
        " 2026-03-01 12:00:00 UTC."
    ) in table
    assert "new bearing" in table
    assert "\x1b" not in table


@pytest.mark.usefixtures("learned")
def test_a_state_has_a_baseline_of_its_own(run: Run) -> None:
    answer(run, "set", "VB-1", "9.5", "--state", "Fast")
    assert [(row["state"], row["level"] > 9) for row in answer(run, "list")] == [("", False), ("fast", True)]
    answer(run, "relearn", "VB-1", "--state", "fast")
    assert [row["state"] for row in answer(run, "list")] == [""]


@pytest.mark.usefixtures("learned")
def test_nothing_known(run: Run) -> None:
    assert run("baselines", "show", "nobody").code == 1


def test_an_empty_journal(run: Run, tmp_path: Path) -> None:
    with plant(tmp_path / "state"):
        assert run("baselines", "list").out == "No baseline has been learned or set yet.\n"


@pytest.mark.usefixtures("learned")
@pytest.mark.parametrize("level", ["0", "-1", "nan", "inf", "much"])
def test_a_level_is_a_number_above_zero(run: Run, level: str) -> None:
    result = run("baselines", "set", "VB-1", "--", level)
    assert result.code == 2, result.out
    assert answer(run, "list")[0]["version"] == 1


@pytest.mark.usefixtures("learned")
def test_what_cannot_be_is_one_line(run: Run, config: Path) -> None:
    unknown = run("baselines", "relearn", "nobody")
    assert (unknown.code, unknown.err) == (1, "Error: no sensor 'nobody' has published yet\n")
    mistyped = run("baselines", "relearn", "VB-1", "--state", "Fst")
    assert (mistyped.code, mistyped.err) == (1, "Error: no reading was in the state 'fst'; states are ''\n")
    config.write_text(config.read_text() + '[[sensors]]\nid = "VB-1"\nbaseline = 7.5\n')
    refused = run("baselines", "set", "VB-1", "5")
    assert refused.code == 1
    assert "take it out of [[sensors]]" in refused.err
