import importlib
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from simulator.cli import main
from simulator.formats import FORMATS
from simulator.scenario import Growth
from simulator.scripting import choose_fleet

SILENT = """
site = "plant"
[[machines]]
id = "pump"
area = "hall"
description = "Pump"
[[machines.sensors]]
id = "VB-1"
interval = "2s"
baseline = 2.0
faults = [{ kind = "dropout", after = "6s" }]
"""
REPLAY = ["replay", "{file}", "--interval", "10s", "--value", "rms=S-1"]


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    file = tmp_path / "values.csv"
    file.write_text("rms\n1.5\n")
    return file


def invoke(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["run", "--duration", "60"], "'60' is not a duration"),
        (["run", "--start", "today"], "Invalid isoformat string: 'today'"),
        (["run", "--speed", "0"], "0.0 is not in the range x>0"),
        (["run", "--fleet", "none.toml"], "does not exist"),
        (["run", "--fleet", "{file}", "--trial", "2"], "either --fleet or --trial"),
        (["run", "--out", "folder"], "--out needs --duration"),
        (["run", "--out", "folder", "--duration", "1h", "--format", "ncd"], "in which a --format has no meaning"),
        (["run", "--format", "modem"], "'modem' is not one of 'event', 'chirpstack'"),
        (["score", "{file}"], "Missing argument 'ALERTS'"),
        (["load", "--rate", "-1"], "-1.0 is not in the range x>=0"),
        (["load", "--format", "ncd", "--batch", "2"], "leave out --format, or --batch"),
        (["load", "--protocol", "4"], "'4' is not one of '5', '3.1.1'"),
        (["replay", "{file}", "--value", "rms=S-1"], "Give either --time COLUMN or --interval"),
        ([*REPLAY, "--time", "t"], "Give either --time COLUMN or --interval"),
        ([*REPLAY, "--keep-time"], "--keep-time needs --time"),
        ([*REPLAY, "--value", "rms"], "--value rms: write COLUMN=SENSOR"),
        ([*REPLAY, "--value", "rms=a/b"], "'a/b' is no level of a topic"),
        ([*REPLAY, "--value", "rms=S-1"], "sensor S-1 has a value already"),
        ([*REPLAY, "--feature", "k=S-1:a size"], "'a size' is no name of a feature"),
        ([*REPLAY, "--feature", "k=S-2:peak"], "sensor 'S-2' has no --value"),
        ([*REPLAY, "--site", "#"], "'#' is no level of a topic"),
        (["replay", "{file}"], "{file} is a CSV file, which needs --value COLUMN=SENSOR"),
        (["replay", "{file}", "--interval", "10s"], "--interval is for a CSV file, which needs --value COLUMN=SENSOR"),
        ([*REPLAY, "--password-file", "{file}"], "--password-file needs --username"),
    ],
)
def test_wrong_usage_says_what_to_do(csv_file: Path, arguments: list[str], problem: str) -> None:
    code, output = invoke(*(argument.format(file=csv_file) for argument in arguments))
    assert code == 2
    assert problem.format(file=csv_file) in output


def test_a_fleet_file_with_errors_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text('site = "plant"\n')
    code, output = invoke("run", "--fleet", str(file))
    assert (code, output.strip()) == (3, f"{file}: machines: Field required")


def test_a_fleet_that_does_not_fit_the_format_is_one_with_errors(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    second = '[[machines.sensors]]\nid = "vb-1"\nbaseline = 2.0\n'
    file.write_text(SILENT + second)
    code, output = invoke("run", "--fleet", str(file), "--format", "esphome")
    assert (code, output.strip()) == (3, "in this format more than one sensor would be vb-1: rename them")


def test_the_bearing_of_devices_that_tell_no_baseline_fails_when_one_has_been_learned() -> None:
    def fails_after(name: str) -> float:
        wear = choose_fleet(None, None, 1, FORMATS[name]).machines[0].sensors[0].wear
        assert isinstance(wear, Growth)
        return wear.after

    assert (fails_after("event"), fails_after("ncd")) == (15.0, 150.0)


def test_a_sensor_that_is_silent_for_ever_is_written_up_to_the_end(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(SILENT)
    made = ["run", "--fleet", str(file), "--duration", "1h", "--out", str(tmp_path / "out"), "-o", "json"]
    code, output = invoke(*made)
    assert (code, json.loads(output)["readings"]) == (0, 3)


def test_readings_and_truth_are_written_without_a_broker_and_scored(tmp_path: Path) -> None:
    truth, alerts = tmp_path / "truth.json", tmp_path / "alerts.json"
    made = ["run", "--trial", "1", "--seed", "1", "--start", "2026-01-01T00:00:00Z", "--duration", "20d"]
    code, output = invoke(*made, "--out", str(tmp_path / "out"), "--truth", str(truth), "-o", "json")
    assert code == 0
    counts = json.loads(output)
    assert counts["files"] == len(list((tmp_path / "out").iterdir())) == 4
    assert counts["readings"] > 10 * 288 * 19
    (growing,) = [fault for fault in json.loads(truth.read_text())["faults"] if fault["kind"] == "growth"]
    alerts.write_text(json.dumps([raised(growing["sensorId"], growing["leavesBand"])]))
    code, output = invoke("score", str(truth), str(alerts), "-o", "json")
    found = json.loads(output)
    kinds = {kind["kind"]: (kind["found"], kind["missed"]) for kind in found["kinds"]}
    assert (code, kinds["growth"], kinds["stuck"]) == (3, (1, 0), (0, 1))
    assert set(found) == {
        *("kinds", "alertsBelongingToNoFault", "healthySensorHours", "falseAlarmsPer1000SensorHours"),
        *("chattering", "goals"),
    }
    code, output = invoke("score", str(truth), str(alerts))
    assert code == 3
    assert "sensor faults named as such" in output


def raised(sensor: str, moment: str) -> dict[str, str]:
    return {"kind": "machine", "sensorId": sensor, "severity": "warning", "openedAt": moment}


def test_a_file_that_cannot_be_scored_is_named(csv_file: Path) -> None:
    code, output = invoke("score", str(csv_file), str(csv_file))
    assert (code, "not a truth file" in output) == (1, True)


def test_without_numpy_simulated_machines_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "simulator"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numpy", None)
    main_without: click.Command = importlib.import_module("simulator.cli").main
    result = CliRunner().invoke(main_without, ["run"])
    assert (result.exit_code, ".venv/bin/pip install '.[simulator]' in the checkout" in result.output) == (1, True)


@pytest.mark.parametrize("name", ["run", "replay", "load", "score"])
def test_the_list_of_commands_has_whole_sentences(name: str) -> None:
    _, output = invoke("--help")
    (line,) = [line for line in output.splitlines() if line.startswith(f"  {name} ")]
    assert line.endswith(".")
    assert "..." not in line


def test_the_version_is_said_in_the_words_of_the_gateway() -> None:
    code, output = invoke("--version")
    assert (code, output) == (0, f"vibration-simulator {version('vibration-gateway')}\n")


DOCS = (Path(__file__).parents[3] / "docs/simulator.md").read_text(encoding="utf-8")


def test_every_format_is_documented() -> None:
    table = DOCS.partition("| `--format` |")[2].partition("\n\n")[0]
    documented = re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE)
    assert documented == [name for name in FORMATS if name != "event"]


@pytest.mark.parametrize("name", ["run", "replay", "load", "score"])
def test_every_option_is_documented(name: str) -> None:
    options = {option for parameter in main.commands[name].params for option in parameter.opts if "--" in option}
    documented = set(re.findall(r"(--[a-z-]+)", DOCS)) | {"--output"}  # as -o
    assert not options - documented
