"""The table of faults is complete, and so is its report."""

import json
from pathlib import Path

import pytest

from tests.faults import report, rows


def test_every_row_is_proven() -> None:
    assert rows.TITLES.keys() == set(range(1, 50))
    assert rows.tests_of_rows().keys() == rows.TITLES.keys()


def test_the_report_has_each_row_with_its_figures(tmp_path: Path) -> None:
    lines = [
        {"row": 1, "test": "tests/a.py::test_row_01_x[b-3]", "at": "2026-01-02T03:04:05+00:00", "machine": "2 × CPU",
         "sent": 29, "stored": 21, "dead_letters": {"invalid": 4}, "seed": 7, "note": "a | b"},
        {"row": 6, "test": "tests/a.py::test_row_06_y", "at": "2026-01-01T03:04:05+00:00", "machine": "2 × CPU",
         "kills": 6},
    ]  # fmt: skip
    file = tmp_path / "report.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = report.render(report.load(file))
    assert "2026-01-01 to 2026-01-02, on 2 × CPU" in text
    assert "## 1. kill -9 after receive, before commit" in text
    assert "| test | sent | stored, unique | dead letters by reason | seed | note |" in text
    assert "| test_row_01_x[b-3] | 29 | 21 | invalid 4 | 7 | a \\| b |" in text
    assert "python -m pytest -m '' 'tests/a.py::test_row_01_x[b-3]'" in text
    assert "| test_row_06_y | 6 |" in text
    for row, title in rows.TITLES.items():
        assert f"## {row}. {title}" in text
    for test in (test for tests in rows.tests_of_rows().values() for test in tests):
        assert f"\n.venv/bin/python -m pytest -m '' '{test}'\n" in text
    assert "`make dev servers`" in text


def test_the_last_result_of_a_test_counts(tmp_path: Path) -> None:
    line = {"row": 1, "test": "t.py::test_row_01_x", "at": "2026-01-02T03:04:05+00:00", "machine": "m", "sent": 1}
    file = tmp_path / "report.jsonl"
    file.write_text("".join(json.dumps(line | {"sent": sent}) + "\n" for sent in (28, 29)))
    (only,) = report.load(file)
    assert only["sent"] == 29


def test_the_report_has_the_soak() -> None:
    line = {"row": 1, "test": "t.py::test_row_01_x", "at": "2026-01-02T03:04:05+00:00", "machine": "m", "sent": 1}
    soak = {"minutes": 30.0, "rate": 2000.0, "seed": 1, "faults": {"SIGHUP": 9}, "files": [22, 22], "problems": []}
    text = report.render([line], soak)
    assert "30 minutes at 2000 readings a second" in text
    assert "| faults | SIGHUP 9 |\n| files | 22, 22 |\n" in text


def test_an_empty_report_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "report.jsonl"
    file.write_text("")
    with pytest.raises(SystemExit, match="no results"):
        report.load(file)
