"""Silences and routes on the command line, while no gateway runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.inputs.topics import TopicTemplates
from tests.readings import Plant, plant, reading
from tests.unit.cli.conftest import Run

TABLES = """
[handlers.mail]
type = "log"
[handlers.sms]
type = "log"
[[routes]]
name = "pumps"
severity = "warning"
machines = ["pump-*"]
handlers = ["mail"]
quiet = { from = "22:00", to = "06:00", timezone = "UTC" }
escalation = [{ after = "15m", handlers = ["sms"] }]
[[routes]]
severity = "critical"
handlers = ["mail", "sms"]
[[silences]]
name = "service"
machines = ["fan-1"]
owner = "bo"
reason = "weekly service"
hours = { days = ["sun"], timezone = "UTC" }
"""


@pytest.fixture
def told(config: Path) -> Path:
    """Return a configuration with routes, and a journal that nobody uses."""
    config.write_text(config.read_text() + TABLES)
    return config


@pytest.fixture
def closed(tmp_path: Path) -> None:
    with plant(tmp_path / "state"):
        pass


def answer(run: Run, *words: object) -> Any:
    done = run(*words, "-o", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def answer_with_warning(run: Run, *words: object) -> Any:
    done = run(*words, "-o", "json")
    assert (done.code, "no sensor of it" in done.err) == (0, True)
    return json.loads(done.out)


@pytest.mark.usefixtures("told", "closed")
class TestSilences:
    def test_one_is_added_listed_ended_and_on_record(self, run: Run) -> None:
        made = answer(
            run, "silences", "add", "--machine", "pump-*", "--for", "2h", "--reason", "bearing", "--by", "anna"
        )
        assert (made["owner"], made["machines"], made["state"]) == ("anna", ["pump-*"], "active")
        listed = answer(run, "silences", "list")
        assert [one["id"] for one in listed] == ["service", made["id"]]
        ended = answer(run, "silences", "expire", made["id"][:8], "--by", "bo")
        assert ended["state"] == "over"
        assert [one["id"] for one in answer(run, "silences", "list")] == ["service"]
        assert len(answer(run, "silences", "list", "--all")) == 2
        facts = answer(run, "events", "list", "--type", "SilenceExpired")
        assert [fact["data"]["by"] for fact in facts] == ["bo"]

    def test_it_is_told_in_a_sentence(self, run: Run) -> None:
        done = run("silences", "add", "--sensor", "VB-1", "--for", "1h", "--reason", "x", "--severity", "warning")
        assert "nobody is told of sensor VB-1 (warnings only) until" in done.out
        assert "sensor VB-1 (warnings only)" in run("silences", "list").out

    def test_a_placeholder_is_one_to_choose_by(self, run: Run, config: Path, tmp_path: Path) -> None:
        config.write_text(config.read_text().replace("{machine}/", "{line}/{machine}/"))
        templates = TopicTemplates(["vibration/{site}/{line}/{machine}/{sensor}/reading"])
        here = Plant(tmp_path / "state", templates=templates)
        here.take(reading())
        here.journal.close()
        add = ("silences", "add", "--for", "1h", "--reason", "x")
        made = answer(run, *add, "--tag", "line=hall-*", "--tag", "line=L2")
        assert made["tags"] == {"line": ["hall-*", "L2"]}
        assert "line hall-*, L2" in run("silences", "list").out
        assert "no sensor of it" in run(*add, "--tag", "line=L3").err
        told = answer(run, "routes", "test", "--machine", "pump-1", "--tag", "line=L2")["told"]
        assert told[0]["why"].startswith("silenced by")

    def test_it_begins_and_ends_when_somebody_says(self, run: Run) -> None:
        times = ("--starts", "2098-01-31T12:00:00Z", "--until", "2098-01-31T14:00:00+01:00")
        made = answer_with_warning(run, "silences", "add", "--machine", "m", *times, "--reason", "x")
        assert (made["startsAt"], made["endsAt"]) == ("2098-01-31T12:00:00.000Z", "2098-01-31T13:00:00.000Z")
        long = ("--starts", "2098-01-31T12:00:00Z", "--for", "3h")
        made = answer_with_warning(run, "silences", "add", "--machine", "m", *long, "--reason", "x")
        assert made["endsAt"] == "2098-01-31T15:00:00.000Z"
        assert "from 2098" in run("silences", "add", "--machine", "m", *long, "--reason", "y").out

    def test_a_name_that_no_sensor_is_known_by_is_warned_of(self, run: Run, tmp_path: Path) -> None:
        with plant(tmp_path / "state") as here:
            here.take(reading())
        add = ("silences", "add", "--for", "1h", "--reason", "x")
        for known in (("--machine", "pump-*"), ("--sensor", "VB-1", "--site", "plant-1"), ("--kind", "gateway")):
            assert run(*add, *known).err == ""
        for unknown in (("--machine", "pimp-7"), ("--sensor", "VB-1", "--site", "plant-2"), ("--sensor", "VB-9")):
            done = run(*add, *unknown)
            assert (done.code, "no sensor of it has ever published" in done.err) == (0, True)

    @pytest.mark.parametrize(
        ("words", "problem"),
        [
            (["--machine", "m", "--reason", "x"], "say how long by --for, or until when by --until"),
            (["--machine", "m", "--for", "1h", "--until", "7h", "--reason", "x"], "say how long by --for, or until"),
            (["--tag", "line", "--for", "2h", "--reason", "x"], "no placeholder with a value"),
            (["--for", "2h", "--reason", "x"], "it does not mute everything"),
            (["--machine", "*", "--for", "2h", "--reason", "x"], "it does not mute everything"),
            (["--machine", "**", "--for", "2h", "--reason", "x"], "a star stands at the end only"),
            (["--machine", "m", "--for", "2 moons", "--reason", "x"], "--for: a duration is a number and a unit"),
            (["--machine", "m", "--for", "400d", "--reason", "x"], "a silence lasts for a year at most"),
            (["--machine", "*-m", "--for", "2h", "--reason", "x"], "a star stands at the end only"),
            (["--machine", "m", "--for", "2h"], "Missing option '--reason'"),
        ],
    )
    def test_what_cannot_be_is_refused(self, run: Run, words: list[str], problem: str) -> None:
        done = run("silences", "add", *words)
        assert done.code == 2
        assert problem in done.err

    def test_what_there_is_not_cannot_be_ended(self, run: Run) -> None:
        assert "no silence that holds or will has an id" in run("silences", "expire", "abc").err
        assert "service is in the configuration" in run("silences", "expire", "service").err


@pytest.mark.usefixtures("told")
class TestRoutes:
    def test_who_would_be_told_when_and_why(self, run: Run) -> None:
        found = answer(
            run, "routes", "test", "--severity", "warning", "--machine", "pump-3", "--at", "2026-01-14T23:00Z"
        )
        rows = [(row["route"], row["handler"], row["when"]) for row in found["told"]]
        assert rows == [
            ("pumps", "mail", "at 2026-01-15T06:00:00.000Z"),
            ("pumps", "sms", "15 min later"),
            ("route 2", None, "never"),
        ]
        assert found["told"][2]["why"] == "takes critical only"

    def test_a_silence_is_the_reason(self, run: Run) -> None:
        done = run("routes", "test", "--machine", "fan-1", "--at", "2026-01-18T12:00:00Z")
        assert "silenced by bo: weekly service" in done.out
        assert "from 2026-01-19 00:00:00 UTC" in done.out
