import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers.certificates import issue
from tests.servers.mosquitto import Message, Mosquitto

TIMEOUT = 20.0  # seconds


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    file = tmp_path / "bearing.csv"
    file.write_text("time,rms\n" + "".join(f"2024-01-01T00:{n:02d}:00Z,{1 + n / 10}\n" for n in range(20)) + "x,1\n")
    return file


def command(broker: Mosquitto, *arguments: str) -> list[str]:
    name, *options = arguments
    return [sys.executable, "-m", "simulator", name, "--host", broker.host, "--port", str(broker.port), *options]


def simulate(broker: Mosquitto, *arguments: str, password: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"VIBRATION_SIMULATOR_PASSWORD": password}
    done = subprocess.run(
        command(broker, *arguments), env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


@contextmanager
def started(broker: Mosquitto, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start the simulator; whatever the test does, it is gone afterwards."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command(broker, *arguments), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str], number: int, *, within: float = 2.0) -> tuple[dict[str, Any], str]:
    process.send_signal(number)
    output, errors = process.communicate(timeout=within)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    return json.loads(output), errors


def wait_for_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    assert any(text in line for line in process.stderr), f"it ended without saying {text!r}"


def readings(messages: Iterable[Message]) -> list[Message]:
    return [message for message in messages if message.topic.endswith("/reading")]


def events(messages: Iterable[Message]) -> list[dict[str, Any]]:
    decoded = [json.loads(message.payload) for message in readings(messages)]
    return [event for each in decoded for event in (each if isinstance(each, list) else [each])]


def test_the_same_seed_and_start_publish_the_same_bytes(mosquitto: Mosquitto) -> None:
    run = (
        "run",
        "--seed",
        "7",
        "--start",
        "2026-01-01T00:00:00Z",
        "--speed",
        "60",
        "--duration",
        "500ms",
        "-o",
        "json",
    )
    with mosquitto.record("vibration/#") as recording:
        counts = report(simulate(mosquitto, *run))
        assert counts == {"published": 180, "acknowledged": 180, "dropped": 0, "seed": 7}
        first = recording.wait_for(
            lambda messages: len(readings(messages)) == 180 and messages[-1].payload == b"offline"
        )
        simulate(mosquitto, *run)
        both = recording.wait_for(lambda messages: len(messages) == 2 * len(first))
    assert [message.payload for message in both[len(first) :]] == [message.payload for message in first]
    assert {message.qos for message in readings(first)} == {1}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_states_are_retained_until_the_orderly_end(mosquitto: Mosquitto, protocol: str) -> None:
    with started(mosquitto, "run", "--protocol", protocol, "-o", "json") as process:
        with mosquitto.record("vibration/#") as recording:
            recording.wait_for(readings)
        with mosquitto.record("vibration/+/+/+/+/status") as recording:
            online = recording.wait_for(lambda messages: len(messages) == 6)
        with mosquitto.record("vibration/+/+/+/state") as recording:
            states = recording.wait_for(lambda messages: len(messages) == 4)
        finish(process, signal.SIGTERM)
    with mosquitto.record("vibration/+/+/+/+/status") as recording:
        offline = recording.wait_for(lambda messages: len(messages) == 6)
    assert {(message.payload, message.retain) for message in online} == {(b"online", True)}
    assert {json.loads(message.payload)["state"] for message in states} == {"running"}
    assert {(message.payload, message.retain) for message in offline} == {(b"offline", True)}


FLEET = """
site = "plant"
[[machines]]
id = "pump"
area = "hall"
description = "Pump"
cycle = [{ lasts = "40s" }, { state = "stopped", lasts = "40s", speed = 0, load = 0 }]
[[machines.sensors]]
id = "VB-1"
interval = "1s"
baseline = 2.0
[[machines.sensors]]
id = "VB-2"
interval = "1s"
baseline = 2.0
faults = [{ kind = "stuck", after = "10s" }]
"""
LAST_WILL = """
[[transport]]
kind = "last-will"
after = "20s"
lasts = "20s"
sensors = ["VB-1"]
"""


def statuses(messages: Iterable[Message], sensor: str) -> list[bytes]:
    return [message.payload for message in messages if message.topic.endswith(f"/{sensor}/status")]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_sensor_that_loses_its_connection_leaves_its_will(
    mosquitto: Mosquitto, tmp_path: Path, protocol: str
) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET + LAST_WILL)
    run = ("run", "--fleet", str(file), "--speed", "20", "--protocol", protocol, "-o", "json")
    with mosquitto.record("vibration/#") as recording, started(mosquitto, *run) as process:
        recording.wait_for(lambda messages: statuses(messages, "VB-1") == [b"online", b"offline", b"online"])
        finish(process, signal.SIGTERM)
        messages = recording.wait_for(lambda messages: messages[-1].payload == b"offline")
    assert statuses(messages, "VB-1") == [b"online", b"offline", b"online", b"offline"]
    assert statuses(messages, "VB-2") == [b"online", b"offline"]
    with mosquitto.record("vibration/+/+/+/+/status") as recording:
        kept = recording.wait_for(lambda messages: len(messages) == 2)
    assert {(message.payload, message.retain) for message in kept} == {(b"offline", True)}


def test_of_a_killed_simulator_every_sensor_is_offline(mosquitto: Mosquitto) -> None:
    with mosquitto.record("vibration/#") as recording, started(mosquitto, "run") as process:
        recording.wait_for(readings)
        process.kill()
        recording.wait_for(
            lambda messages: sum(m.topic.endswith("/status") and m.payload == b"offline" for m in messages) == 6
        )


REBIRTH = bytes.fromhex("12 1a 0a 14") + b"Node Control/Rebirth" + bytes.fromhex("20 0b 70 01")


def born(messages: Iterable[Message]) -> list[str]:
    """Return the births of one machine's node and of its two devices."""
    return [message.topic.split("/")[2] for message in messages if "BIRTH/pump-1" in message.topic]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_an_edge_node_is_born_again_when_asked_and_leaves_its_death(mosquitto: Mosquitto, protocol: str) -> None:
    births = ["NBIRTH", "DBIRTH", "DBIRTH"]
    run = ("run", "--format", "sparkplug-b", "--protocol", protocol)
    with mosquitto.record("spBv1.0/#") as recording, started(mosquitto, *run) as process:
        recording.wait_for(lambda messages: born(messages) == births)
        mosquitto.publish("spBv1.0/demo-plant/NCMD/pump-1", REBIRTH)
        recording.wait_for(lambda messages: born(messages) == births + births)
        process.kill()
        recording.wait_for(lambda messages: sum("/NDEATH/" in message.topic for message in messages) == 4)
    assert not any(message.retain for message in recording.messages)


def test_states_of_a_machine_and_the_truth_of_a_run(mosquitto: Mosquitto, tmp_path: Path) -> None:
    file, truth = tmp_path / "fleet.toml", tmp_path / "truth.json"
    file.write_text(FLEET)
    run = ("run", "--fleet", str(file), "--speed", "50", "--truth", str(truth), "-o", "json")
    with mosquitto.record("vibration/plant/hall/pump/state") as recording, started(mosquitto, *run) as process:
        states = recording.wait_for(lambda messages: len(messages) >= 3)
        assert json.loads(truth.read_text())["end"] is None
        finish(process, signal.SIGINT)
    assert [json.loads(message.payload)["state"] for message in states[:3]] == ["running", "stopped", "running"]
    found = json.loads(truth.read_text())
    assert found["end"] > found["start"]
    assert [(fault["sensorId"], fault["kind"]) for fault in found["faults"]] == [("VB-2", "stuck")]


def test_an_interrupt_ends_an_endless_run_with_its_report(mosquitto: Mosquitto) -> None:
    with started(mosquitto, "run", "-o", "json") as process:
        with mosquitto.record("vibration/#") as recording:
            recording.wait_for(lambda messages: len(readings(messages)) >= 3)
        counts, _ = finish(process, signal.SIGINT)
    assert counts["published"] == counts["acknowledged"] >= 3


def test_a_sensor_that_is_silent_for_ever_keeps_the_others_from_nothing(mosquitto: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET.replace('kind = "stuck", after = "10s"', 'kind = "dropout"'))
    with started(mosquitto, "run", "--fleet", str(file), "--speed", "20", "-o", "json") as process:
        with mosquitto.record("vibration/#") as recording:
            recording.wait_for(lambda messages: len(readings(messages)) >= 3)
        finish(process, signal.SIGTERM)
    assert {event["data"]["sensorId"] for event in events(recording.messages)} == {"VB-1"}


def test_a_broker_that_comes_late_and_goes_away_loses_nothing(mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    with started(mosquitto, "run", "--speed", "20", "-o", "json") as process:
        wait_for_line(process, "the next attempt is in 0.25 s")
        mosquitto.start()
        wait_for_line(process, "connected to")
        with mosquitto.record("vibration/+/+/+/+/reading") as recording:
            recording.wait_for(lambda messages: len(messages) >= 50)
        mosquitto.kill()
        wait_for_line(process, "no connection to")
        mosquitto.start()
        wait_for_line(process, "connected to")
        with mosquitto.record("vibration/+/+/+/+/status") as states:
            states.wait_for(lambda messages: len(messages) == 6)
        counts, _ = finish(process, signal.SIGINT)
    assert counts["published"] == counts["acknowledged"] > 50
    assert counts["dropped"] == 0


@pytest.mark.parametrize("arguments", [["run"], ["load", "--rate", "0"]])
def test_a_frozen_broker_does_not_hold_up_the_end(mosquitto: Mosquitto, arguments: list[str]) -> None:
    with started(mosquitto, *arguments, "-o", "json") as process:
        with mosquitto.record("vibration/#") as recording:
            recording.wait_for(readings)
        mosquitto.pause()
        try:
            finish(process, signal.SIGINT)
        finally:
            mosquitto.resume()


def test_over_tls_with_a_password_from_file_and_environment(tmp_path: Path) -> None:
    certificates = issue(tmp_path / "certificates")
    broker = Mosquitto(tmp_path, password="s3cret", tls=certificates)
    password_file = tmp_path / "password"
    password_file.write_text("s3cret\n")
    login = ("--ca", str(certificates.ca), "--username", broker.username)
    run = ("run", "--duration", "100ms", "--speed", "60", "-o", "json", *login)
    broker.start()
    try:
        assert report(simulate(broker, *run, "--password-file", str(password_file)))["acknowledged"] > 0
        assert report(simulate(broker, *run, password="s3cret"))["acknowledged"] > 0
        assert report(simulate(broker, "load", "--count", "10", "-o", "json", *login, password="s3cret"))["sent"] == 10
        refused = simulate(broker, *run, password="wrong-one", code=1)
        assert "refused the connection: not authorized" in refused.stderr
        assert "refused the connection" in simulate(broker, "load", *login, password="wrong-one", code=1).stderr
        assert "wrong-one" not in refused.stderr
    finally:
        broker.stop()


def test_a_replay_with_the_files_times_is_the_same_again(mosquitto: Mosquitto, csv_file: Path) -> None:
    replay = (
        "replay",
        str(csv_file),
        "--time",
        "time",
        "--value",
        "rms=S-1",
        "--unit",
        "g",
        "--keep-time",
        "--speed",
        "0",
    )
    with mosquitto.record("vibration/#") as recording:
        done = simulate(mosquitto, *replay, "-o", "json")
        assert report(done) == {"published": 20, "acknowledged": 20, "bad_rows": 1}
        assert done.stderr == "bearing.csv line 22: time is 'x', not a time\n"
        first = recording.wait_for(lambda messages: len(messages) == 20)
        simulate(mosquitto, *replay)
        both = recording.wait_for(lambda messages: len(messages) == 40)
    assert [message.payload for message in both[20:]] == [message.payload for message in first]
    assert [event["timestamp"] for event in events(first)[:2]] == [
        "2024-01-01T00:00:00.000000Z",
        "2024-01-01T00:01:00.000000Z",
    ]


def test_a_replay_is_stamped_anew_with_the_files_spacing(mosquitto: Mosquitto, csv_file: Path) -> None:
    replay = ("replay", str(csv_file), "--time", "time", "--value", "rms=S-1", "--site", "mill", "--speed", "6000")
    with mosquitto.record("vibration/mill/+/+/S-1/reading") as recording:
        done = simulate(mosquitto, *replay)
        messages = recording.wait_for(lambda messages: len(messages) == 20)
    stamps = [event["timestamp"] for event in events(messages)]
    assert stamps == sorted(set(stamps))
    assert stamps[0] > "2025"
    assert "acknowledged" in done.stdout


@pytest.mark.parametrize("form", ["%j", "%I %t %x"])
def test_a_recorded_broker_is_replayed_byte_for_byte(mosquitto: Mosquitto, tmp_path: Path, form: str) -> None:
    sent = [
        (f"/plant/a {n}", each) for n, each in enumerate([b'{"a": 1.50,  "b":[1]}', b'\xff\xb5z"\\', "ü\n".encode()])
    ]
    mosquitto.publish_all(sent, retain=True)
    recorder = ["mosquitto_sub", "-h", mosquitto.host, "-p", str(mosquitto.port), "-t", "/plant/#", "-F", form]
    file = tmp_path / "recorded.txt"
    with file.open("wb") as out:
        subprocess.run([*recorder, "-C", "3", "-W", "20"], stdout=out, check=True, timeout=TIMEOUT)
    with mosquitto.record("/plant/#") as recording:
        recording.wait_for(lambda messages: len(messages) == 3)
        done = simulate(mosquitto, "replay", str(file), "--speed", "0", "-o", "json")
        both = recording.wait_for(lambda messages: len(messages) == 6)
    assert report(done) == {"published": 3, "acknowledged": 3, "bad_lines": 0}
    assert sorted((message.topic, message.payload) for message in both[3:]) == sent


def test_a_recording_keeps_the_distances_in_time(mosquitto: Mosquitto, tmp_path: Path) -> None:
    file = tmp_path / "recorded.txt"
    file.write_text("".join(f"2026-11-30T22:00:{second:02d}+0000 t 3{second}\n" for second in range(0, 10, 3)))
    began = time.monotonic()
    simulate(mosquitto, "replay", str(file), "--speed", "9")
    assert time.monotonic() - began > 1.0


def test_a_missing_column_is_wrong_usage(mosquitto: Mosquitto, csv_file: Path) -> None:
    done = simulate(mosquitto, "replay", str(csv_file), "--time", "when", "--value", "rms=S-1", code=2)
    assert "no column when; the columns are time, rms" in done.stderr


def test_a_replay_without_a_usable_row_fails(mosquitto: Mosquitto, csv_file: Path) -> None:
    done = simulate(mosquitto, "replay", str(csv_file), "--time", "rms", "--value", "time=S-1", code=1)
    assert "no row could be used" in done.stderr


@pytest.mark.parametrize("options", [["--protocol", "5"], ["--protocol", "3.1.1"], ["--batch", "8"]])
def test_load_sends_unique_events_as_many_as_asked_for(mosquitto: Mosquitto, options: list[str]) -> None:
    with mosquitto.record("vibration/load/#") as recording:
        load = simulate(mosquitto, "load", "--rate", "0", "--count", "5000", "--sensors", "50", "-o", "json", *options)
        messages = recording.wait_for(lambda messages: len(events(messages)) == 5000)
    result = report(load)
    assert list(result) == ["sent", "acknowledged", "seconds", "rate", "p50_ms", "p99_ms"]
    assert result["sent"] == result["acknowledged"] == 5000
    assert result["rate"] == pytest.approx(5000 / result["seconds"], rel=0.01)
    assert 0 < result["p50_ms"] <= result["p99_ms"]
    assert len({event["eventId"] for event in events(messages)}) == 5000


def test_load_keeps_its_rate_without_bursts(mosquitto: Mosquitto) -> None:
    with mosquitto.record("vibration/load/#") as recording:
        result = report(simulate(mosquitto, "load", "--rate", "500", "--duration", "1s", "-o", "json"))
        messages = recording.wait_for(lambda messages: len(messages) == 500)
    assert result["sent"] == result["acknowledged"] == 500
    assert 1.0 <= result["seconds"] < 1.5
    hundredths = {event["timestamp"][: len("2026-01-01T00:00:00.00")] for event in events(messages)}
    assert len(hundredths) > 50


def test_an_interrupt_ends_the_load_with_its_report(mosquitto: Mosquitto) -> None:
    with started(mosquitto, "load", "--rate", "200", "-o", "json") as process:
        with mosquitto.record("vibration/load/#") as recording:
            recording.wait_for(lambda messages: len(messages) > 10)
        result, _ = finish(process, signal.SIGINT)
    assert result["sent"] == result["acknowledged"] > 10


def test_load_says_how_many_readings_a_lost_broker_did_not_acknowledge(mosquitto: Mosquitto) -> None:
    with started(mosquitto, "load", "--rate", "2000", "--duration", "60s") as process:
        with mosquitto.record("vibration/load/#") as recording:
            recording.wait_for(lambda messages: len(messages) > 100)
        mosquitto.kill()
        _, errors = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert re.search(r"the connection was lost, \d+ of \d+ readings were not acknowledged", errors)
    assert "Traceback" not in errors


def test_load_without_a_broker_fails_at_once(mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    assert f"no connection to {mosquitto.host}:{mosquitto.port}" in simulate(mosquitto, "load", code=1).stderr
