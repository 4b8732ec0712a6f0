"""backtest: the options, what is printed, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.readings import Plant, message, reading
from tests.unit.cli.conftest import Run

LEVELS = [4.0] * 5 + [7.0] * 4 + [12.0] * 4 + [4.0] * 4
RULES = '[[sensors]]\nid = "S1"\nbaseline = 4.0\n'
ROUTED = (
    RULES
    + """
[handlers.mail]
type = "email"
password = "${NOT_SET_ANYWHERE}"
[handlers.sms]
type = "sms"
[[routes]]
severity = "warning"
handlers = ["mail"]
[[routes]]
severity = "critical"
handlers = ["sms"]
"""
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "history.csv"
    rows = [f"2026-01-01T00:00:{second:02}Z,{level},3.0,running" for second, level in enumerate(LEVELS)]
    path.write_text("\n".join(["time,rms,kurt,state", *rows]) + "\n")
    return path


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(ROUTED)
    return path


def answer(run: Run, *arguments: object) -> Any:
    result = run("backtest", *arguments, "-o", "json")
    assert result.code == 0, result.err
    return json.loads(result.out)


def csv(file: Path) -> list[object]:
    return ["--csv", file, "--time", "time", "--value", "rms=S1"]


def test_the_json_is_what_was_promised(run: Run, file: Path, rules: Path) -> None:
    found = answer(run, *csv(file), "-c", rules)
    assert found["readings"] == len(LEVELS)
    assert [{key: alert[key] for key in ("kind", "sensorId", "severity", "row")} for alert in found["alerts"]] == [
        {"kind": "machine", "sensorId": "S1", "severity": "warning", "row": 7},
        {"kind": "machine", "sensorId": "S1", "severity": "critical", "row": 11},
    ]
    first, second = found["alerts"]
    assert (first["openedAt"], second["openedAt"]) == ("2026-01-01T00:00:07.000Z", "2026-01-01T00:00:11.000Z")
    assert first["clearedAt"] == second["clearedAt"] == "2026-01-01T00:00:15.000Z"
    assert "configured baseline" in first["reason"]
    assert (found["kpis"]["alerts"], found["kpis"]["escalations"]) == (1, 1)
    assert [(told["handler"], told["kind"]) for told in found["notifications"]] == [
        ("mail", "raised"),
        ("mail", "escalated"),
        ("sms", "escalated"),
    ]
    assert (found["badRows"], found["rowsOutOfOrder"], found["problems"]) == (0, 0, [])


def test_what_a_silence_mutes_would_not_have_been_sent(run: Run, file: Path, rules: Path) -> None:
    always = '{ days = ["thu"], from = "00:00", to = "23:59" }'
    silence = f'[[silences]]\nname = "s"\nowner = "Ada"\nreason = "test"\nsensors = ["S1"]\nhours = {always}\n'
    rules.write_text(rules.read_text() + silence)
    found = answer(run, *csv(file), "-c", rules)
    assert (len(found["alerts"]), found["notifications"]) == (2, [])


def test_the_shipped_rules_hold_without_a_configuration(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIBRATION_GATEWAY_CONFIG")
    result = run("backtest", *csv(file), "--learning", 5)
    assert result.code == 0
    assert "critical" in result.out
    assert "There are no routes" in result.out
    assert "announcements an hour" in result.out


def test_a_table_for_people(run: Run, file: Path, rules: Path) -> None:
    result = run("backtest", *csv(file), "--feature", "kurt=S1:kurtosis", "--state", "state", "-c", rules)
    assert result.code == 0
    assert "17 readings, 1 sensor(s), 2026-01-01 00:00:00 UTC to 2026-01-01 00:00:16 UTC" in result.out
    assert "mail     escalated         1" in result.out


def test_a_stopped_machine_is_not_judged(run: Run, file: Path, rules: Path) -> None:
    file.write_text(file.read_text().replace("running", "stopped"))
    assert answer(run, *csv(file), "--state", "state", "-c", rules)["alerts"] == []


def test_a_machine_of_its_own_has_its_own_rules(run: Run, file: Path, tmp_path: Path) -> None:
    own = tmp_path / "machine.toml"
    own.write_text(RULES + '[[machines]]\nid = "pump-3"\nwarning_ratio = 50.0\ncritical_ratio = 100.0\n')
    assert len(answer(run, *csv(file), "-c", own)["alerts"]) == 2
    assert answer(run, *csv(file), "-c", own, "--machine", "pump-3")["alerts"] == []


def test_other_rules_are_compared(run: Run, file: Path, rules: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(RULES + "[detection]\non_readings = 1\nwarning_ratio = 1.2\ncritical_ratio = 10.0\n")
    found = answer(run, *csv(file), "-c", rules, "--compare", other)["compare"]
    assert [(alert["severity"], alert["laterBySeconds"]) for alert in found["earlier"]] == [("warning", -2.0)]
    assert [alert["severity"] for alert in found["gone"]] == ["critical"]
    assert (found["added"], found["later"], found["same"]) == ([], [], 0)
    assert (found["kpis"]["escalations"], found["notifications"]) == (0, [])
    table = run("backtest", *csv(file), "-c", rules, "--compare", other).out
    assert "earlier  0:00:02  warning" in table
    assert "these rules  the others" in table


def test_rows_that_cannot_be_used_are_counted_and_named(run: Run, file: Path, rules: Path) -> None:
    text = file.read_text().splitlines()
    text[3] = "never,4.0,,"
    text[5:5] = ["2026-01-01T00:00:03Z,-,,", "1999-12-31T00:00:00Z,4.0,,"]
    file.write_text("\n".join(text))
    result = run("backtest", *csv(file), "-c", rules)
    assert result.code == 0
    assert "2 rows with bad cells" in result.out
    assert "1 rows out of the order of time" in result.out
    assert result.err.splitlines() == [
        "line 4: time is 'never', not a time",
        "line 6: rms is '-', not a number",
        "line 7: not in the order of time; left out",
    ]


def test_what_a_file_holds_commands_no_terminal(run: Run, file: Path, rules: Path) -> None:
    file.write_text("time,rms\n\x1b[2J,4\n1,4\n")
    assert "\x1b" not in run("backtest", *csv(file), "-c", rules).err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give either --csv FILE or --journal"),
        (["--csv", "FILE"], "Give either --time COLUMN or --interval"),
        (["--csv", "FILE", "--time", "time", "--interval", "1s"], "Give either --time COLUMN or --interval"),
        (["--csv", "FILE", "--interval", "0s"], "at least a microsecond"),
        (["--csv", "FILE", "--interval", "soon"], "a duration is a number and a unit"),
        (["--csv", "FILE", "--interval", "1s", "--received", "time"], "--received needs --time"),
        (["--csv", "FILE", "--time", "time"], "Give at least one --value"),
        (["--csv", "FILE", "--time", "time", "--value", "rms"], "write COLUMN=SENSOR"),
        (["--csv", "FILE", "--time", "time", "--value", "rms=a", "--value", "kurt=a"], "has a value already"),
        (["--csv", "FILE", "--time", "time", "--value", f"rms={'x' * 129}"], "1 to 128 printable"),
        (["--csv", "FILE", "--time", "nope", "--value", "rms=a"], "has no column nope; its columns are time, rms"),
        (["--csv", "FILE", "--time", "time", "--value", "rms=a", "--feature", "kurt=a:x"], "no feature 'x'"),
        (["--csv", "FILE", "--time", "time", "--value", "rms=a", "--feature", "kurt=b:peak"], "has no --value"),
        (["--csv", "FILE", "--time", "time", "--value", "rms=a", "--learning", "1"], "1 is not in the range"),
        (["--csv", "FILE", "--time", "time", "--value", "rms=a", "--since", "2h"], "are for --journal"),
        (["--csv", "nowhere.csv"], "does not exist"),
        (["--journal", "--value", "rms=a"], "--journal takes the readings as they are"),
        (["--journal", "--csv", "FILE"], "--journal takes the readings as they are"),
    ],
)
def test_wrong_usage_is_said_so(run: Run, file: Path, arguments: list[str], words: str) -> None:
    result = run("backtest", *(file if word == "FILE" else word for word in arguments))
    assert result.code == 2
    assert words in result.err


def test_a_file_without_any_usable_row_fails(run: Run, file: Path, rules: Path) -> None:
    file.write_text("time,rms\nx,1\ny,2\n")
    result = run("backtest", *csv(file), "-c", rules)
    assert result.code == 1
    assert "line 3: time is 'y', not a time" in result.err
    assert "there is no reading that could be used" in result.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[detection]\nwarning_ratoi = 2.0\n", "detection.warning_ratoi: unknown key"),
        ("[detecton]\n", "detecton: unknown key"),
        ("[[routes]]\nseverity = 'warning'\nhandlers = ['nobody']\n", "there is no [handlers.nobody]"),
        ("handlers = 5\n", "handlers"),
        ("[detection]\nlearning = '${NOT_SET_ANYWHERE}'\n", "detection.learning: ${NOT_SET_ANYWHERE}: not set"),
        ("no toml", "is not TOML"),
    ],
)
def test_rules_that_cannot_be_used_are_named(run: Run, file: Path, tmp_path: Path, text: str, words: str) -> None:
    rules = tmp_path / "wrong.toml"
    rules.write_text(text)
    for option in ("-c", "--compare"):
        result = run("backtest", *csv(file), option, rules)
        assert result.code == 3
        assert words in result.err


def test_the_journal_gives_what_the_gateway_concluded(run: Run, here: Plant, config: Path) -> None:
    config.write_text(config.read_text() + RULES.replace("S1", "VB-1"))
    here.take(*(reading(second, level) for second, level in enumerate(LEVELS)), message(b"{"))
    found = answer(run, "--journal")
    assert found["readings"] == len(LEVELS)
    assert [(alert["severity"], alert["row"]) for alert in found["alerts"]] == [("warning", 7), ("critical", 11)]
    assert [alert["openedAt"] for alert in found["alerts"]] == ["2026-03-01T12:00:07.000Z", "2026-03-01T12:00:11.000Z"]


def test_a_span_of_the_journal(run: Run, here: Plant) -> None:
    here.take(*(reading(second, level) for second, level in enumerate(LEVELS)))
    window = ["--since", "2026-03-01T12:00:05Z", "--until", "2026-03-01T12:00:08Z"]
    assert answer(run, "--journal", *window)["readings"] == 3
    assert run("backtest", "--journal", "--since", "2027-01-01").code == 1
