"""stats --alerts: the load of alerts, from the journal."""

import json
import re

import pytest

from tests.readings import NOON_NS, SECOND, Plant, reading
from tests.unit.cli.conftest import Run

DAY = ["--since", "2026-03-01T00:00:00Z", "--until", "2026-03-02T00:00:00Z"]


@pytest.fixture
def eventful(here: Plant) -> Plant:
    """A pump that was ill and critical, and is well again, and one whose alert somebody acknowledged."""
    levels = [4.0, 7.0, 7.0, 7.0, 12.0, 12.0, 12.0, 4.0, 4.0, 4.0]
    here.take(*(reading(second, level) for second, level in enumerate(levels)))
    here.take(*(reading(second, 8.0, "VB-2") for second in range(5)))
    with here.reader() as reader:
        (alert,) = reader.alerts(everything=False)
    now_ns = NOON_NS + 90 * SECOND
    here.pipeline.attend(lambda alerts: alerts.acknowledge(alert.id, "Ada", "seen", now_ns), now_ns)
    return here


@pytest.mark.usefixtures("eventful")
def test_the_figures_are_those_of_the_span(run: Run) -> None:
    result = run("stats", "--alerts", *DAY, "-o", "json")
    assert result.code == 0
    found = json.loads(result.out)
    assert (found["since"], found["until"]) == ("2026-03-01T00:00:00.000Z", "2026-03-02T00:00:00.000Z")
    figures = found["kpis"]
    assert (figures["hours"], figures["announcements"], figures["alerts"], figures["escalations"]) == (24, 3, 2, 1)
    assert figures["perHour"] == pytest.approx(3 / 24)
    assert (figures["acknowledged"], figures["unacknowledged"], figures["secondsToAcknowledge"]) == (1, 1, 90)
    assert [(entry["sensorId"], entry["alerts"]) for entry in figures["top"]] == [("VB-1", 2), ("VB-2", 1)]
    assert {"name": "chattering sensors", "value": 0.0, "recommended": "none", "met": True} in found["recommended"]


@pytest.mark.usefixtures("eventful")
def test_a_table_for_people(run: Run) -> None:
    out = run("stats", "--alerts", *DAY).out
    assert "2 alerts from 2026-03-01 00:00:00 UTC to 2026-03-02 00:00:00 UTC" in out
    assert re.search(r"announcements an hour +0.125  about 6, at most 12  ok", out)
    assert "1 of 2, half within 0:01:30" in out
    assert "33 %, 67 %" in out


@pytest.mark.usefixtures("eventful")
def test_the_span_ends_before_its_end(run: Run) -> None:
    window = ["--since", "2026-02-01", "--until", "2026-03-01T12:00:00Z"]
    found = json.loads(run("stats", "--alerts", *window, "-o", "json").out)
    assert found["kpis"]["announcements"] == 0
    found = json.loads(run("stats", "--alerts", "--until", "2026-03-01T13:00:00Z", "-o", "json").out)
    assert found["since"] == "2026-03-01T12:00:00.500Z"  # nothing was known before the first reading


@pytest.mark.usefixtures("here")
def test_nothing_has_happened(run: Run) -> None:
    result = run("stats", "--alerts")
    assert result.code == 0
    assert "0 alerts from" in result.out
    assert "No sensor has had an alert." in result.out


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--alerts", "--since", "2026-01-02", "--until", "2026-01-01"], "--since must be before --until"),
        (["--since", "2h"], "--since and --until are for --alerts"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], words: str) -> None:
    result = run("stats", *arguments)
    assert (result.code, words in result.err) == (2, True)
