"""inputs: what a person and a program are told of how a message is read."""

import json
from pathlib import Path

import pytest

from gateway.domain.inputs.results import InputHeard
from tests.unit.cli.conftest import Run

INPUTS = """
[[inputs]]
name = "pumps"
topic = "plant/{sensor}"
where = { kind = "vibration" }
axes = ["x", "y"]
time = "at"
fields = { level = ["acc.{axis}", "g"], temperature = "t" }
[[inputs]]
name = "status"
topic = "plant/{sensor}/status"
format = "value"
status = { path = "value", online = "online", offline = "offline" }
"""
READING = {"kind": "vibration", "at": "2026-11-30T10:30:00Z", "acc": {"x": 1, "z": 2}, "t": 20}


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    path = tmp_path / "inputs.toml"
    path.write_text(INPUTS)
    return path


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "sample.json"
    path.write_text(json.dumps(READING))
    return path


def test_a_program_is_told_everything(run: Run, inputs: Path, sample: Path) -> None:
    result = run("inputs", "test", sample, "--topic", "plant/vb", "-c", inputs, "-o", "json")
    assert result.code == 0
    assert json.loads(result.out) == {
        "messages": [{"topic": "plant/vb", "input": "pumps", "ignored": False, "problem": None, "unused": ["acc.z"]}],
        "readings": [
            {
                "sensor": "vb-x",
                "axis": "x",
                "time": "2026-11-30T10:30:00Z",
                "timeFrom": "message",
                "level": 9.80665,
                "unit": "m/s²",
                "quantities": {"temperature": 20.0},
            }
        ],
        "statuses": [],
    }


def test_a_person_sees_path_value_and_what_is_left_over(run: Run, inputs: Path, sample: Path) -> None:
    result = run("inputs", "test", sample, "--topic", "plant/vb", "-c", inputs)
    assert result.code == 0
    words = [line.split() for line in result.out.splitlines()]
    assert ["acc.x", "1", "level", "9.807"] in words
    assert ["acc.y", "not", "there", "level", "-"] in words
    assert "  numbers that no field uses: acc.z" in result.out.splitlines()


def test_files_are_messages_in_their_order_with_their_topics(
    run: Run, inputs: Path, sample: Path, tmp_path: Path
) -> None:
    status, other = tmp_path / "status.txt", tmp_path / "other.json"
    status.write_text("offline")
    other.write_text('{"kind": "battery"}')
    topics = ("--topic", "plant/vb", "--topic", "plant/vb/status", "--topic", "plant/vb", "--topic", "elsewhere")
    result = run("inputs", "test", sample, status, other, other, *topics, "-c", inputs, "-o", "json")
    found = json.loads(result.out)
    assert result.code == 0
    assert found["statuses"] == [{"sensor": "vb", "status": "offline"}]
    assert [(each["input"], each["ignored"]) for each in found["messages"]] == [
        ("pumps", False),
        ("status", False),
        (None, True),
        (None, False),
    ]
    assert found["messages"][3]["problem"] == "no input's topic fits"


def test_nothing_is_a_problem(run: Run, inputs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"kind": "battery"}')
    result = run("inputs", "test", other, "--topic", "plant/vb", "-c", inputs)
    assert result.code == 3
    assert "input pumps leaves it: kind is 'battery'" in result.out
    assert result.out.endswith("nothing came out\n")


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ([{"sensor": "vb-x", "level": 1, "unit": "g"}], 0),
        ({"readings": [{"sensor": "vb-x", "quantities": {"temperature": 20}}], "statuses": []}, 0),
        ([{"sensor": "vb-x", "level": 1.001, "unit": "g"}], 3),
        ([{"sensor": "vb-x"}, {"sensor": "vb-y"}], 3),
        ([], 3),
        ([{"sensor": "vb-x", "level": 1, "unit": "furlong"}], 3),
        ([{"sensor": "vb-x", "quantities": {"rpm": 1}}], 3),
        ("text", 3),
    ],
)
def test_a_sample_is_tested_against_what_it_should_give(
    run: Run, inputs: Path, sample: Path, expected: object, code: int
) -> None:
    wanted = sample.with_name("expected.json")
    wanted.write_text(json.dumps(expected))
    result = run("inputs", "test", sample, "--topic", "plant/vb", "--expect", wanted, "-c", inputs)
    assert result.code == code
    assert ("expected" in result.out) == (code == 3)


def test_without_a_time_the_given_one_counts(run: Run, inputs: Path, tmp_path: Path) -> None:
    sample = tmp_path / "sample.json"
    sample.write_text(json.dumps({**READING, "at": 5}))
    received = ("--received", "2026-01-31T12:00:00Z")
    result = run("inputs", "test", sample, "--topic", "plant/vb", *received, "-c", inputs, "-o", "json")
    found = json.loads(result.out)
    assert (found["readings"][0]["time"], found["readings"][0]["timeFrom"]) == ("2026-01-31T12:00:00Z", "received")
    assert "'5' is none" in found["messages"][0]["problem"]


def test_topics_and_files_go_together(run: Run, inputs: Path, sample: Path) -> None:
    result = run("inputs", "test", sample, sample, sample, "--topic", "a", "--topic", "b", "-c", inputs)
    assert result.code == 2
    assert "3 files have one --topic, or one each; these are 2" in result.err


def test_a_bad_configuration_is_a_problem(run: Run, inputs: Path, sample: Path) -> None:
    inputs.write_text(INPUTS.replace("axes", "axis"))
    result = run("inputs", "test", sample, "--topic", "plant/vb", "-c", inputs)
    assert result.code == 3
    assert "inputs #1 (pumps).axis: unknown key; did you mean axes?" in result.err


def test_inputs_are_listed_in_their_order(run: Run, inputs: Path) -> None:
    result = run("inputs", "list", "-c", inputs, "-o", "json")
    assert json.loads(result.out) == [
        {
            "name": "pumps",
            "topics": ["plant/{sensor}"],
            "format": "json",
            "sensor": None,
            "quantities": ["level", "temperature"],
        },
        {
            "name": "status",
            "topics": ["plant/{sensor}/status"],
            "format": "value",
            "sensor": None,
            "quantities": [],
        },
    ]
    assert "plant/{sensor}/status" in run("inputs", "list", "-c", inputs).out


def test_what_the_inputs_have_done_is_shown_of_a_gateway_that_runs(
    run: Run, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = {"pumps": InputHeard("pumps", 67, 3, ["acc.z", "rssi"])}
    monkeypatch.setattr("gateway.cli.inputs.inputs_heard", lambda _: done)
    first, second = json.loads(run("inputs", "list", "-c", inputs, "-o", "json").out)
    assert (first["messages"], first["ignored"], first["unused"]) == (67, 3, ["acc.z", "rssi"])
    assert "messages" not in second
    assert "acc.z, rssi" in run("inputs", "list", "-c", inputs).out


def test_files_or_what_comes_now(run: Run, tmp_path: Path) -> None:
    assert run("inputs", "test").code == 2
    file = tmp_path / "1.json"
    file.write_text("{}")
    assert run("inputs", "test", file, "--topic", "a", "--live", "1s").code == 2
