"""Tables as they stand on a terminal, and the times that people read and write."""

import contextlib
import io
import json
import unicodedata
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway.cli import output
from gateway.cli.output import Moment, print_json
from gateway.cli.tables import Id, lines, short_time
from gateway.domain.model.events import Message
from tests.readings import Plant, event, message, plant, reading, topic_of
from tests.unit.cli.conftest import Run

ID = "3192026d-3d0a-5656-927f-825279d047c5"
WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=12), max_size=30).map(" ".join)
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
SENSOR = "MOTOR-DRIVE-END-01"


def measured(second: int, level: float, sensor: str) -> Message:
    id_ = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{second} {sensor}"))
    return message(event(second, level, sensor, id_=id_, unit="mm/s"))


@pytest.fixture
def shown_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the terminal so many columns wide."""
    return lambda width: monkeypatch.setattr(
        output, "console", lambda: Console(width=width, highlight=False, emoji=False)
    )


@pytest.fixture
def alert(here: Plant, config: Path) -> str:
    """The id of an open alert, in a plant where there is something for every table."""
    config.write_text(config.read_text().replace("[mqtt]", 'timezone = "Europe/Stockholm"\n[mqtt]'))
    here.take(*(measured(second, 12.0 if second > 3 else 7.0, SENSOR) for second in range(8)))
    here.take(*(measured(second, 8.0, "FAN-02") for second in range(5)))
    here.take(message(b"{", topic=topic_of("VB-9")))
    return here.journal.open_alerts()[0].id


class TestOnATerminal:
    @pytest.mark.parametrize("width", [80, 120])
    @pytest.mark.parametrize(
        "command",
        ["sensors list", f"sensors show {SENSOR}", "alerts list", "alerts history", "alerts show ID", "events list",
         "deadletters list", "silences list", "baselines list", f"baselines show {SENSOR}", "trace ID"],
    )  # fmt: skip
    def test_no_line_is_too_wide_and_nothing_is_broken(
        self, run: Run, alert: str, shown_at: Callable[[int], None], command: str, width: int
    ) -> None:
        added = run("silences", "add", "--machine", "pump-7", "--for", "2h", "--reason", "the coupling", "--by", "Ada")
        assert run("baselines", "set", SENSOR, 5, "--by", "Bo", "--reason", "a new bearing").code == added.code == 0
        assert run("alerts", "shelve", alert, "--by", "Ada", "--reason", "the bearing is ordered").code == 0
        shown_at(width)
        result = run(*command.replace("ID", alert[:8]).split())
        assert result.code == 0, result.err
        assert max(map(len, result.out.splitlines())) <= width
        whole = [SENSOR, "vibration/plant-1/hall-2/pump-7/VB-9/reading", alert, "AlertEscalated", "BaselineRelearned"]
        words = result.out.split()
        assert not [
            word for word in words for name in whole if word != name and name.startswith(word) and len(word) > 8
        ]

    @pytest.mark.usefixtures("alert")
    def test_an_alert_takes_two_lines(self, run: Run, shown_at: Callable[[int], None]) -> None:
        shown_at(80)
        heading, first, reason = run("alerts", "list").out.splitlines()[:3]
        assert heading.split()[-3:] == ["since", "CET", "id"]
        assert len(first.split()[-1]) == 8
        assert reason.startswith("    RMS ")

    @pytest.mark.usefixtures("alert")
    def test_what_is_empty_everywhere_is_left_out(self, run: Run) -> None:
        assert "cleared" not in run("alerts", "list").out
        assert "flags" not in run("events", "list").out

    def test_an_alert_is_shown_without_what_there_is_not(self, run: Run, alert: str) -> None:
        out = run("alerts", "show", alert).out
        facts, _, _ = out.partition(" \n\n")
        assert not {"faults", "acknowledged", "cleared", "False", "[]"} & set(facts.split())
        assert facts.count(json.loads(run("alerts", "show", alert, "-o", "json").out)["sensorId"]) == 1


class TestZone:
    def test_tables_are_in_the_gateways_zone_and_json_in_utc(self, run: Run, alert: str) -> None:
        assert "2026-03-01 13:00:0" in run("alerts", "show", alert).out
        found = json.loads(run("alerts", "show", alert, "-o", "json").out)
        assert found["openedAt"].startswith("2026-03-01T12:00:0")
        assert found["openedAt"].endswith("Z")

    @pytest.mark.usefixtures("alert")
    def test_a_time_without_a_zone_is_in_the_gateways(self, run: Run, config: Path) -> None:
        aware = run("events", "count", "--since", "2026-03-01T12:00:05Z").out
        assert aware == "3\n"
        assert run("events", "count", "--since", "2026-03-01T13:00:05").out == aware
        assert run("events", "count", "--since", "2026-03-01T13:00:05", "-c", config).out == aware
        assert run("events", "count", "--since", "2026-03-01T14:00:05").out == "0\n"
        tested = json.loads(run("routes", "test", "--at", "2026-01-17T21:30:00", "-o", "json").out)
        assert tested["at"] == "2026-01-17T20:30:00.000Z"

    @pytest.mark.parametrize("ahead", [False, True])
    def test_a_time_of_the_day(self, *, ahead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        now = datetime(2026, 1, 17, 20, 30, tzinfo=UTC)  # 21:30 in Stockholm
        monkeypatch.setattr("time.time_ns", lambda: int(now.timestamp()) * 10**9)
        with click.Context(click.Command("x")) as context:
            context.meta["zone"] = ZoneInfo("Europe/Stockholm")
            moments = [Moment(ahead=ahead).convert(text, None, context) for text in ("22:00", "07:00", "90m")]
        read = [datetime.fromtimestamp(moment // 10**9, UTC).strftime("%d %H:%M") for moment in moments]
        assert read == ["17 21:00", "18 06:00" if ahead else "17 06:00", "17 22:00" if ahead else "17 19:00"]

    def test_a_zone_that_is_none_is_a_problem_of_the_configuration(self, run: Run, config: Path, here: Plant) -> None:
        here.take(reading())
        config.write_text(config.read_text().replace("[mqtt]", 'timezone = "Mars/Olympus"\n[mqtt]'))
        result = run("events", "count", "--since", "2026-03-01")
        assert (result.code, "gateway.timezone" in result.err) == (3, True)


class TestLayout:
    @given(st.lists(st.tuples(WORDS, st.none() | st.floats(0, 1e6), WORDS), min_size=1), st.integers(40, 200))
    def test_every_word_stands_whole_and_in_order(self, rows: list[tuple[str, float | None, str]], width: int) -> None:
        found = list(lines(("name", "level", "reason"), rows, width, ["reason"], []))
        assert all(len(line) <= width for line in found)
        printed = " ".join(found[1:]).split()
        assert sorted(word for row in rows for word in f"{row[0]} {row[2]}".split()) == sorted(
            word for word in printed if word.isalpha()
        )

    def test_what_is_spare_goes_where_there_is_no_room(self) -> None:
        table = ("sensor", "site", "machine"), [("a" * 20, "b" * 20, "c" * 20)]
        assert next(lines(*table, 70, [], ["site"])).split() == ["sensor", "site", "machine"]
        assert next(lines(*table, 60, [], ["site"])).split() == ["sensor", "machine"]

    def test_ids_are_as_long_as_it_takes_to_tell_them_apart(self) -> None:
        other = ID[:12] + "f" + ID[13:]
        assert list(lines(("id",), [(Id(ID),), (Id(other),), (Id(ID),)], 80, [], []))[1:] == [
            ID[:13], other[:13], ID[:13],
        ]  # fmt: skip
        assert list(lines(("id",), [(Id(ID),)], 80, [], [])) == ["id", ID[:8]]

    def test_two_zones_in_a_column_stand_beside_each_time(self) -> None:
        zone = ZoneInfo("Europe/Stockholm")
        rows = [(datetime(2020, 1, 1, tzinfo=zone),), (datetime(2020, 7, 1, tzinfo=zone),), (None,)]
        assert list(lines(("at",), rows, 80, [], [])) == [
            "at", "2020-01-01 00:00:00 CET", "2020-07-01 00:00:00 CEST", "-",
        ]  # fmt: skip
        assert next(lines(("at",), rows[:1], 80, [], [])) == "at CET"

    def test_a_time_is_as_short_as_it_can_be(self) -> None:
        now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        times = [now, datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2025, 3, 1, 12, tzinfo=UTC)]
        assert [short_time(time, now) for time in times] == ["12:00:00", " 3 Feb 04:05:06", "2025-03-01 12:00:00"]


class TestPrefixes:
    def test_the_beginning_of_an_id_is_enough_for_a_trace(self, run: Run, alert: str) -> None:
        reading_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"1 {SENSOR}"))
        whole = json.loads(run("trace", alert, "-o", "json").out)
        assert json.loads(run("trace", alert[:8], "-o", "json").out) == whole
        assert json.loads(run("trace", reading_id[:8], "-o", "json").out)["eventId"] == reading_id
        assert "more than one event has an id that begins with" in run("trace", "").err

    def test_an_id_that_another_begins_with_is_itself(self, run: Run, here: Plant) -> None:
        here.take(message(event(1, id_="a")), message(event(2, id_="ab")), message(event(3, id_="abc")))
        assert json.loads(run("trace", "ab", "-o", "json").out)["eventId"] == "ab"
        assert json.loads(run("trace", "abc", "-o", "json").out)["eventId"] == "abc"


class TestWords:
    def test_an_ending_that_is_none_is_refused(self, run: Run, tmp_path: Path, here: Plant) -> None:
        here.take(reading())
        result = run("events", "export", tmp_path / "out.xls")
        assert (result.code, (tmp_path / "out.xls").exists()) == (2, False)
        assert "no format has the ending .xls (there are: .csv, .ndjson, .parquet)" in " ".join(result.err.split())
        assert run("events", "export", tmp_path / "out.xls", "--format", "csv").code == 0

    @pytest.mark.parametrize("text", ["abc", "0", "-1", "1.5", "9" * 20])
    def test_what_is_not_the_number_of_a_dead_letter(self, run: Run, text: str) -> None:
        result = run("deadletters", "show", "--", text)
        assert result.code == 2
        assert f"'{text}' is not the number of a dead letter" in result.err

    def test_under_sudo_the_person_is_recorded(self, run: Run, alert: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SUDO_USER", "ada")
        assert run("alerts", "ack", alert).out.endswith("acknowledged by ada\n")


class TestWhyNothingArrived:
    @pytest.mark.usefixtures("alert")
    def test_the_dead_letters_of_a_sensor_are_mentioned(self, run: Run) -> None:
        result = run("sensors", "show", "VB-9")
        assert (result.code, result.out) == (1, "")
        assert (
            "no sensor 'VB-9' has published yet, but dead letters came on its topic: 1, the newest not_json"
            in result.err
        )
        assert "'deadletters list --topic VB-9'" in result.err
        assert "dead letters" not in run("sensors", "show", "VB").err
        assert "dead letters" not in run("sensors", "show", "FAN-02").out
        found = json.loads(run("deadletters", "list", "--topic", "VB-9", "-o", "json").out)
        assert [letter["reason"] for letter in found] == ["not_json"]
        assert json.loads(run("deadletters", "list", "--topic", "VB-8", "-o", "json").out) == []

    def test_a_replay_that_mends_nothing_has_failed_and_says_why(self, run: Run, tmp_path: Path) -> None:
        with plant(tmp_path / "state") as here:
            here.take(message(b"{"), message(b"["), message([1]))
        result = run("deadletters", "replay", "--all")
        assert result.code == 1
        assert result.out.startswith("0 of 3 could be used\n2 still cannot be used: not_json: ")

    def test_what_was_heard_and_not_understood_is_said(self, run: Run, here: Plant) -> None:
        assert "nderstood" not in run("sensors", "list").out
        assert run("deadletters", "groups").out == "Everything was understood.\n"
        here.take(*(message(b'{"rms": 1}', topic=f"mill/dev-{number}/data") for number in range(40)))
        said = "eard, not understood: 40 messages on 40 topics"
        assert f"H{said}.\n'deadletters groups' shows what" in run("sensors", "list").out
        assert "40 messages on 40 topics" in run("stats").out
        groups = run("deadletters", "groups").out
        assert "mill/+/data" in groups
        assert f"H{said}." in groups
        assert json.loads(run("deadletters", "groups", "-o", "json").out)["groups"][0]["topics"] == 40

    def test_a_level_is_shown_in_the_unit_that_its_sensor_uses(self, run: Run, here: Plant) -> None:
        here.take(reading(1, 2.91257505, "S-1", sensorUnit="g", baselineVibrationLevel=1.96133))
        (row,) = [line.split() for line in run("sensors", "list").out.splitlines() if line.startswith("S-1")]
        assert row[row.index("0.297") :][:4] == ["0.297", "0.4079", "0.7281", "g"]
        shown = run("sensors", "show", "S-1").out
        assert "0.297" in shown
        assert "shownLevel" not in shown
        (known,) = json.loads(run("sensors", "list", "-o", "json").out)
        assert (known["level"], known["unit"]) == (2.91257505, "m/s²")
        assert (known["shownLevel"], known["shownUnit"]) == (0.297, "g")


_ANY = st.characters(exclude_categories=["Cs"])  # what is UTF-8 has no halves of characters


@given(st.text(st.one_of(_ANY, st.characters(categories=["Cc", "Cf", "Zl", "Zp"]))))
def test_json_reads_as_the_same_text_and_commands_no_terminal(text: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print_json({"text": text})
    assert json.loads(out.getvalue()) == {"text": text}
    rest = out.getvalue().replace("\n", "")
    assert not [one for one in rest if unicodedata.category(one) in {"Cc", "Zl", "Zp"}]
    assert not [one for one in rest if unicodedata.bidirectional(one) in BIDI]
