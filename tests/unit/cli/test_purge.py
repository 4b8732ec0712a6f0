"""sensors purge: it says what would go, asks, and removes nothing that nobody has agreed to."""

import io
import json

import pytest

from tests.readings import Plant, reading
from tests.unit.cli.conftest import Run


@pytest.fixture(autouse=True)
def _sensors(here: Plant) -> None:
    here.take(reading(0), *(reading(number, sensor=f"FORGED-{number}") for number in range(30)))


def listed(run: Run) -> list[str]:
    return [sensor["sensor"] for sensor in json.loads(run("sensors", "list", "-o", "json").out)]


def test_it_asks_and_takes_no_for_an_answer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    result = run("sensors", "purge", "--pattern", "FORGED-*")
    assert result.code == 1
    assert "30 sensors, with all their readings: FORGED-0, " in result.err
    assert "and 10 more" in result.err
    assert len(listed(run)) == 31


def test_it_removes_them_when_somebody_agrees(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    result = run("sensors", "purge", "--pattern", "FORGED-*", "--reason", "invented")
    assert (result.code, result.out) == (0, "30 sensors removed, and the states of 0 machines\n")
    assert listed(run) == ["VB-1"]


def test_with_yes_nobody_is_asked(run: Run) -> None:
    made = json.loads(run("sensors", "purge", "--yes", "-o", "json", "FORGED-1", "FORGED-2", "nobody").out)
    assert made == {"sensors": 2, "machineStates": 0}
    result = run("sensors", "purge", "--yes", "--unlearned", "--not-heard-for", "1h")
    assert result.out.startswith("29 sensors removed")
    assert listed(run) == []


def test_without_saying_which_it_is_wrong_usage(run: Run) -> None:
    result = run("sensors", "purge", "--yes")
    assert (result.code, len(listed(run))) == (2, 31)
    assert "say which" in result.err
