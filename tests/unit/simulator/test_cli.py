from pathlib import Path

import pytest
from click.testing import CliRunner

from simulator.cli import main

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
        (["load", "--rate", "-1"], "-1.0 is not in the range x>=0"),
        (["load", "--protocol", "4"], "'4' is not one of '5', '3.1.1'"),
        (["replay", "{file}", "--value", "rms=S-1"], "Give either --time COLUMN or --interval"),
        ([*REPLAY, "--time", "t"], "Give either --time COLUMN or --interval"),
        ([*REPLAY, "--keep-time"], "--keep-time needs --time"),
        ([*REPLAY, "--value", "rms"], "--value rms: write COLUMN=SENSOR"),
        ([*REPLAY, "--value", "rms=a/b"], "'a/b' is no level of a topic"),
        ([*REPLAY, "--value", "rms=S-1"], "sensor S-1 has a value already"),
        ([*REPLAY, "--feature", "k=S-1:size"], "no feature 'size'; there are velocityRms, peak"),
        ([*REPLAY, "--feature", "k=S-2:peak"], "sensor 'S-2' has no --value"),
        ([*REPLAY, "--site", "#"], "'#' is no level of a topic"),
        ([*REPLAY, "--password-file", "{file}"], "--password-file needs --username"),
    ],
)
def test_wrong_usage_says_what_to_do(csv_file: Path, arguments: list[str], problem: str) -> None:
    code, output = invoke(*(argument.format(file=csv_file) for argument in arguments))
    assert code == 2
    assert problem in output


def test_a_fleet_file_with_errors_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text('site = "plant"\n')
    code, output = invoke("run", "--fleet", str(file))
    assert (code, output.strip()) == (3, f"{file}: machines: Field required")
