"""rules test: exit codes, and the difference in plain words."""

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Run

GOOD = """
[[tests]]
name = "a step"
series = [{ sensor = "S1", values = "12.5x5" }]
alerts = [{ at = 2, severity = "critical" }]
"""
BAD = """
[[tests]]
name = "a step \\u001b[2J"
series = [{ sensor = "S1", values = "12.5x5" }]
alerts = [{ at = 1, severity = "critical" }]
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text('[[sensors]]\nid = "S1"\nbaseline = 4.0\n')
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rules-test.toml"


def test_rules_that_are_met(run: Run, file: Path, rules: Path) -> None:
    file.write_text(GOOD)
    result = run("rules", "test", file, "-c", rules)
    assert (result.code, result.out) == (0, "ok      a step\n1 tests, 0 failed\n")


def test_rules_that_are_not_met_are_a_problem(run: Run, file: Path, rules: Path) -> None:
    file.write_text(GOOD + BAD)
    result = run("rules", "test", file, "-c", rules)
    assert result.code == 3
    assert result.out.splitlines()[1:3] == [
        "FAILED  a step \\x1b[2J",
        "        expected, but not found: critical at 1; the nearest: it comes at 2",
    ]
    assert result.out.splitlines()[3].startswith(
        "        found, but not expected: critical (machine) S1 at 2: RMS 12.5"
    )
    assert result.out.endswith("2 tests, 1 failed\n")


def test_the_json_says_the_same(run: Run, file: Path, rules: Path) -> None:
    file.write_text(BAD)
    result = run("rules", "test", file, "-c", rules, "-o", "json")
    found = json.loads(result.out)
    assert (result.code, found["tests"], found["failed"]) == (3, 1, 1)
    assert found["results"][0]["missing"] == ["critical at 1; the nearest: it comes at 2"]
    assert found["results"][0]["unexpected"][0]["row"] == 2


def test_a_file_with_mistakes_names_them(run: Run, file: Path, rules: Path) -> None:
    file.write_text("[[tests]]\nname = 5\n")
    result = run("rules", "test", file, "-c", rules)
    assert result.code == 3
    assert result.err.splitlines() == [
        f"{file}: tests #1.name: must be text, in quotes",
        f"{file}: tests #1.series: is required",
    ]


def test_without_a_file(run: Run) -> None:
    assert run("rules", "test").code == 2
    assert run("rules", "test", "nowhere.toml").code == 3
