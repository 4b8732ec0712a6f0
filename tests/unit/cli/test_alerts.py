"""alerts ack, shelve, unshelve: what people do on the command line, here while no gateway runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.readings import Plant, reading
from tests.unit.cli.conftest import Run


@pytest.fixture
def alert(here: Plant) -> str:
    """The id of an open alert."""
    here.take(*(reading(second, 8.0) for second in range(3)))
    (open_alert,) = here.journal.open_alerts()
    return open_alert.id


def listed(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("alerts", "list", "-o", "json").out)
    return found


def test_shelving_and_taking_off_the_shelf(run: Run, alert: str) -> None:
    result = run("alerts", "shelve", alert[:8], "--for", "2h", "--by", "Anna", "--reason", "bearing is ordered")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("VB-1: warning shelved by Anna until 20")
    (shelved,) = listed(run)
    assert shelved["shelvedBy"] == "Anna"
    assert "active, shelved" in run("alerts", "list").out
    result = run("alerts", "unshelve", alert, "--by", "Bert")
    assert (result.code, result.out) == (0, "VB-1: warning not shelved any more\n")
    assert listed(run)[0]["shelvedUntil"] is None
    changes = [change["change"] for change in json.loads(run("alerts", "show", alert, "-o", "json").out)["history"]]
    assert changes == ["AlertRaised", "AlertShelved", "AlertUnshelved"]


def test_what_is_silenced_says_so_and_lists_are_of_what_was_asked_for(run: Run, alert: str) -> None:
    assert "silenced" not in run("alerts", "list").out
    run("silences", "add", "--sensor", "VB-*", "--for", "2h", "--reason", "cleaning", "--by", "Anna")
    assert "active, silenced" in run("alerts", "list").out
    for wanted in (["--sensor", "VB-*"], ["--severity", "warning"], ["--machine", "pump-*"], []):
        assert [each["id"] for each in json.loads(run("alerts", "list", *wanted, "-o", "json").out)] == [alert]
    for unwanted in (["--sensor", "VB"], ["--severity", "critical"], ["--machine", "pump-4"]):
        assert run("alerts", "list", *unwanted).out == "No alert is of what was asked for.\n"


@pytest.mark.usefixtures("alert")
def test_a_configuration_with_a_mistake_hides_no_alert(run: Run, config: Path) -> None:
    config.write_text(config.read_text() + "\n[[silences]]\nnonsense = 1\n")
    listed = run("alerts", "list")
    assert "VB-1" in listed.out
    assert "silences of the configuration are not marked" in listed.err


def test_the_first_who_acknowledges_counts(run: Run, alert: str) -> None:
    assert run("alerts", "ack", alert, "--by", "Anna").out == "VB-1: warning acknowledged by Anna\n"
    again = run("alerts", "ack", alert, "--by", "Bert")
    assert (again.code, again.err) == (1, "Error: Anna has acknowledged this alert already\n")
    assert "active, acknowledged" in run("alerts", "list").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("shelve", "ID"), 2, "--reason"),
        (("shelve", "ID", "--reason", "x", "--for", "soon"), 2, "a duration is a number and a unit"),
        (("shelve", "ID", "--reason", "x", "--for", "8d"), 1, "an alert can be shelved for 7 d at most"),
        (("shelve", "ID", "--reason", " "), 1, "a reason"),
        (("unshelve", "ID"), 1, "this alert is not shelved"),
        (("shelve", "nobody", "--reason", "x"), 1, "no alert has an id that begins with 'nobody'"),
        (("ack", "nobody"), 1, "no alert has an id that begins with 'nobody'"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    run: Run, alert: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    before = listed(run)
    result = run("alerts", *(alert if word == "ID" else word for word in arguments))
    assert result.code == code
    assert words in result.err
    assert "Traceback" not in result.err
    assert listed(run) == before


def test_the_configuration_says_for_how_long(run: Run, alert: str, config: Path) -> None:
    with config.open("a") as file:
        file.write('\n[alerts]\nmax_shelving = "1h"\n')
    assert "1 h at most" in run("alerts", "shelve", alert, "--reason", "x").err


def test_the_history_of_one_and_of_all(run: Run, alert: str) -> None:
    assert run("alerts", "ack", alert, "--by", "Anna", "--reason", "on my way").code == 0
    one = run("alerts", "history", alert[:8])
    assert one.code == 0
    assert all(word in one.out for word in ("AlertRaised", "AlertAcknowledged", "Anna", "on my way"))
    assert "No message was decided on yet." in one.out
    every = json.loads(run("alerts", "history", "-o", "json").out)
    assert [(row["change"], row["who"], row["alertId"]) for row in every] == [
        ("AlertAcknowledged", "Anna", alert),
        ("AlertRaised", None, alert),
    ]
    assert len(json.loads(run("alerts", "history", "--limit", 1, "-o", "json").out)) == 1
    assert json.loads(run("alerts", "history", "--sensor", "VB-9", "-o", "json").out) == []
    assert "AlertRaised" in run("alerts", "history").out
    assert set(json.loads(run("alerts", "history", alert, "-o", "json").out)) == {"history", "messages"}
