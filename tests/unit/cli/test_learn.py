import json
import tomllib
from pathlib import Path

import pytest

from gateway.config.learning import written
from gateway.domain.inputs.recognise import looks_like
from gateway.domain.model.events import Message
from tests.readings import Plant, message
from tests.unit.cli.conftest import Run

FEATURES = {"acc_rms_g": 0.25, "velocity_rms": 2.5}


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    path = tmp_path / "sample.json"
    path.write_text(json.dumps(FEATURES))
    return path


def test_a_file_becomes_a_table_that_says_what_it_gives(run: Run, sample: Path) -> None:
    result = run("inputs", "learn", sample, "--topic", "vib/dev-7/features")
    assert result.code == 0
    assert result.out.splitlines()[:3] == [
        "# Learned from messages: 1, on topics: 1.",
        "",
        "# Tried on what was heard: 1 of the messages gave readings, of dev-7.",
    ]
    assert tomllib.loads(result.out)["inputs"][0]["topic"] == "vib/{sensor}/features"


def test_what_was_learned_is_a_configuration_that_reads_the_sample(run: Run, sample: Path, config: Path) -> None:
    learned = run("inputs", "learn", sample, "--topic", "vib/dev-7/features")
    config.write_text(config.read_text() + learned.out)
    read = run("inputs", "test", sample, "--topic", "vib/dev-7/features", "-o", "json")
    assert [reading["sensor"] for reading in json.loads(read.out)["readings"]] == ["dev-7"]


def test_a_zone_is_told_only_by_messages_whose_time_of_arrival_is_known(run: Run, sample: Path) -> None:
    sample.write_text(json.dumps({**FEATURES, "time": "2026-11-17T12:00:00"}))
    command = ["inputs", "learn", sample, "--topic", "vib/dev-7/features"]
    known = run(*command, "--received", "2026-11-17T10:00:01Z").out
    assert tomllib.loads(known)["inputs"][0]["timezone"] == "Etc/GMT-2"
    unknown = run(*command).out
    assert "timezone" not in tomllib.loads(unknown)["inputs"][0]
    assert "no zone, and UTC is taken" in unknown


def test_nothing_to_learn_is_a_problem_and_says_what_was_heard(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "uplink.json"
    path.write_text(json.dumps({"deviceInfo": {}, "rxInfo": [], "data": "AAE="}))
    result = run("inputs", "learn", path, "--topic", "application/4/device/00aa11/event/up")
    assert result.code == 3
    assert "#   1 on application/+/device/+/event/up: it looks like a ChirpStack uplink" in result.out


def test_topics_and_files_go_together(run: Run, sample: Path) -> None:
    assert run("inputs", "learn").code == 2
    assert run("inputs", "learn", sample).code == 2
    assert run("inputs", "learn", sample, "--topic", "a", "--topic", "b").code == 2
    assert run("inputs", "learn", "--topic", "a/#", "--for", "soon").code == 2


def test_dead_letters_teach_what_was_missing(run: Run, here: Plant) -> None:
    here.take(message(json.dumps(FEATURES).encode(), second=5, topic="vib/dev-7/features"))
    result = run("inputs", "learn", "--dead-letters")
    assert result.code == 0
    assert tomllib.loads(result.out)["inputs"][0]["topic"] == "vib/{sensor}/features"


def test_what_was_heard_cannot_end_a_comment(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\x00")
    result = run("inputs", "learn", path, "--topic", "a\n[mqtt]\nhost = 1/\x1b[2J")
    assert tomllib.loads(result.out) == {}
    assert "\x1b" not in result.out


def test_many_kinds_of_topics_are_counted_and_not_all_listed() -> None:
    lines = list(written([Message(f"kind{'x' * k}/a", b"?", 1) for k in range(30)]))
    assert lines[-1] == "#   and 10 further kinds of topics"


def test_a_preset_that_reads_what_nothing_else_does_is_taken() -> None:
    pdin = "0019FC000014FF000007FF000190FF000023FF03"
    notification = {
        "code": "event",
        "cid": 1,
        "data": {"payload": {"/iolinkmaster/port[3]/iolinkdevice/pdin": {"code": 200, "data": pdin}}},
    }
    lines = list(written([Message("ifm/master-4/hall", json.dumps(notification).encode(), 1)]))
    assert tomllib.loads("\n".join(lines))["inputs"] == [{"topic": "ifm/{master}/hall", "preset": "ifm-vvb001"}]


@pytest.mark.parametrize(
    ("payload", "advice"),
    [
        (b"vib,sensor=a rms=0.5 1794909600000000000", 'it looks like InfluxDB\'s line protocol: format = "line"'),
        (b"{'rms': 0.5}", 'it looks like a dict as Python prints it: format = "python"'),
        (b"0.5", 'it looks like one value: format = "value"'),
        (b"a|0.5|b|2", 'it looks like names and values: format = "pairs"'),
        (b"1794909600,S-1,0.5,2.5", 'it looks like CSV: format = "csv"'),
        (b"\x81\xa1a\x01", 'it looks like MessagePack: format = "msgpack"'),
        (b"\x01\x03\x02\x00\x05\x78\x47", "it looks like an answer of Modbus RTU: inputs learn writes its frame"),
        (b"\x00", ""),
        (b'{"a": 1}', ""),
    ],
)
def test_a_format_is_recognised_for_dead_letters(payload: bytes, advice: str) -> None:
    assert looks_like("a/b", payload) == advice


def heard(topic: str, content: object) -> Message:
    return Message(topic, json.dumps(content).encode(), 1_794_909_600 * 10**9)


def test_numbers_without_telling_names_are_shown_with_the_table_that_would_read_one() -> None:
    content = {"s": 1, "t": "2026-11-17T10:00:00Z", "ai1": 8.25, "ai2": 12.5, "msg_id": 7, "ch": [{"c1": "12 mg"}]}
    lines = list(written([heard(f"adam/00d0c9f0d0a{at}/data", content) for at in (1, 2)]))
    assert "#   2 on adam/+/data: nothing says what these are: s 1, ai1 8.25, ai2 12.5, ch.0.c1 12 mg" in lines
    commented = lines[lines.index("#   [[inputs]]") :]
    (table,) = tomllib.loads("\n".join(line.removeprefix("#   ") for line in commented))["inputs"]
    assert table == {
        "topic": "adam/{sensor}/data",
        "time": "t",
        "fields": {"velocity_rms": ["ai1", "mm/s"]},
    }


def test_what_no_input_can_subscribe_to_is_said() -> None:
    lines = list(written([heard("$aws/things/a1/shadow/update", {"velocity_rms": 2.5})]))
    assert any("topics that begin with $ are the broker's own" in line for line in lines)
    assert "#   [[inputs]]" not in lines
