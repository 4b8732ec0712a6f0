"""What the gateway does not take: bad messages, a broker that refuses it, a configuration with errors."""

import json
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.programs import Gateway, secret
from tests.servers.certificates import issue
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST
from tests.servers.waiting import until

TOPIC = "vibration/plant/hall/pump-1/S-1/reading"
WRONG_PASSWORD = "a-wrong-password"

EVENT = {
    "eventId": "EVENT-ID",
    "eventType": "VibrationRecorded",
    "timestamp": "2026-01-01T00:00:00Z",
    "data": {"sensorId": "S-1", "vibrationLevel": 4.0},
}


def event(**changes: Any) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def level(text: str) -> bytes:
    """Return the event with this for a level, letter for letter."""
    return event().replace(b"4.0", text.encode())


BAD = [
    ("NaN", level("NaN"), "not_json"),
    ("Infinity", level("-Infinity"), "not_json"),
    ("1e400", level("1e400"), "invalid"),
    ("5,000 digits", level("9" * 5000), "invalid"),
    ("true", level("true"), "invalid"),
    ("text", level('"12.5"'), "invalid"),
    ("null", level("null"), "invalid"),
    ("100,000 nested arrays", b"[" * 100_000 + b"]" * 100_000, "too_deep"),
    ("nested in an unknown field", event(extra="x").replace(b'"x"', b"[" * 100_000 + b"]" * 100_000), "too_deep"),
    ("1 MB of text", b"vibration" * 111_111, "not_json"),
    ("1 MB of an id", event(eventId="x" * 1_000_000), "bad_id"),
    ("empty", b"", "empty"),
    ("space", b" \r\n", "empty"),
    ("empty array", b"[]", "empty"),
    ("BOM", b"\xef\xbb\xbf" + event(), "not_json"),
    ("not UTF-8", event(sensorLocation="x").replace(b'"x"', b'"\xff\xfe"'), "not_json"),
    ("lone surrogate", event(eventId="\ud800"), "not_json"),
    ("NUL in an id", event(eventId="a\x00b"), "bad_id"),
    ("cut off", event()[:-1], "not_json"),
    ("another type", event(eventType="TemperatureRecorded"), "unknown_type"),
    ("another sensor", event(data={"sensorId": "S-2", "vibrationLevel": 4.0}), "topic_mismatch"),
    ("no time", event(timestamp=None), "invalid"),
]


def good(number: int) -> bytes:
    return event(eventId=f"good-{number}", timestamp=f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}Z")


def test_bad_messages_become_dead_letters_and_good_ones_flow(tmp_path: Path, mosquitto: Mosquitto) -> None:
    gateway = Gateway(tmp_path / "gateway", mosquitto)
    gateway.start()
    bad = [payload for _, payload, _ in BAD]
    mixed = [payload for number, each in enumerate(bad) for payload in (each, good(number))]
    mosquitto.publish_all((TOPIC, payload) for payload in mixed)
    until(lambda: gateway.metric("messages_received_total") == len(mixed), 20, "every message")
    assert gateway.count() == len(bad)
    assert gateway.resident_bytes(peak=True) < 150_000_000
    letters = gateway.ask("deadletters", "list")[::-1]
    found = {name: letter["reason"] for (name, _, _), letter in zip(BAD, letters, strict=True)}
    assert found == {name: reason for name, _, reason in BAD}
    assert all(letter["detail"] and letter["topic"] == TOPIC for letter in letters)
    assert [letter["bytes"] for letter in letters] == [len(payload) for payload in bad]
    gateway.stop()
    gateway.start()
    mosquitto.publish(TOPIC, good(len(bad)))
    until(lambda: gateway.stored() == 1, 10, "the next good one")
    assert gateway.metric("messages_received_total") == 1, "what was acknowledged is not sent again"
    gateway.stop()


def test_a_bad_element_of_an_array_is_a_dead_letter_of_its_own(tmp_path: Path, mosquitto: Mosquitto) -> None:
    gateway = Gateway(tmp_path / "gateway", mosquitto)
    gateway.start()
    mosquitto.publish(TOPIC, b"[" + b",".join([good(0), level("null"), good(1), b"7"]) + b"]")
    until(lambda: gateway.stored() == 2, 10, "the good ones")
    letters = gateway.ask("deadletters", "list")[::-1]
    assert [(letter["element"], letter["reason"]) for letter in letters] == [(1, "invalid"), (3, "invalid")]
    shown = gateway.ask("deadletters", "show", str(letters[1]["seq"]))
    assert shown["payloadBase64"] == "Nw=="
    gateway.stop()


def assert_refused(gateway: Gateway, reason: str, secret_text: str) -> None:
    """Check that the gateway says what is wrong and does not say the secret."""
    gateway.start(ready=False)
    until(lambda: any(reason in text for text in gateway.get("/-/ready")["reasons"]), 10, f"a reason with {reason!r}")
    assert not gateway.answers("/-/ready")
    lines = [line for line in gateway.said() if reason in line["event"]]  # one of each connection
    assert {line["level"] for line in lines} == {"warning"}
    assert secret_text not in gateway.log.read_text()
    assert secret_text not in Path(f"/proc/{gateway.pid}/cmdline").read_text()
    gateway.stop()
    assert secret_text not in gateway.log.read_text()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_wrong_password_is_named_and_not_told(tmp_path: Path, protocol: str) -> None:
    broker = Mosquitto(tmp_path, password="the-right-password")
    broker.start()
    password = secret(tmp_path / "mqtt-password", WRONG_PASSWORD)
    login = {"username": broker.username, "password": password, "protocol": protocol}
    gateway = Gateway(tmp_path / "gateway", broker, changes={"mqtt": login})
    assert_refused(gateway, "the broker refused the connection: Not authorized", WRONG_PASSWORD)
    broker.stop()


def test_a_broker_with_a_certificate_of_somebody_else_gets_no_password(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, password=WRONG_PASSWORD, tls=issue(tmp_path / "theirs"))
    broker.start()
    password = secret(tmp_path / "mqtt-password", WRONG_PASSWORD)
    trusted = {"ca": str(issue(tmp_path / "ours").ca)}
    login = {"username": broker.username, "password": password, "tls": trusted}
    gateway = Gateway(tmp_path / "gateway", broker, changes={"mqtt": login})
    assert_refused(gateway, f"no connection to the broker at {HOST}:{broker.port}", WRONG_PASSWORD)
    broker.stop()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"mqtt": {"hosst": "x"}}, "mqtt.hosst: unknown key"),
        ({"detection": {"learning": "7 years"}}, "detection.learning: a duration is a number and a unit"),
        ({"mqtt": {"username": "gateway", "password": "${NOWHERE_SET}"}}, "mqtt.password: ${NOWHERE_SET}: not set"),
        ({"handlers": {"sms": {"type": "sms", "auth_token": "tok-3n"}}}, "handlers.sms.account_sid: is required"),
        ({"routes": [{"severity": "critical", "handlers": ["nobody"]}]}, "there is no [handlers.nobody]"),
        ({"sensors": [{"id": "S-1"}, {"id": "S-1"}]}, "sensors: more than one table for id 'S-1'"),
    ],
    ids=["typo", "unit", "secret", "handler", "route", "duplicate"],
)
def test_a_bad_configuration_is_named_and_connects_to_nothing(
    tmp_path: Path, mosquitto: Mosquitto, changes: dict[str, Any], problem: str
) -> None:
    with socket.create_server((HOST, 0)) as listener:
        mqtt = {"port": listener.getsockname()[1], **changes.get("mqtt", {})}
        gateway = Gateway(tmp_path / "gateway", mosquitto, changes={**changes, "mqtt": mqtt})
        for command in ("check", "run"):
            assert_names(gateway.run(command), gateway.config, problem)
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert not gateway.state_dir.exists()


def assert_names(done: subprocess.CompletedProcess[str], file: Path, problem: str) -> None:
    assert done.returncode == 3
    assert any(line.startswith(f"{file}: ") and problem in line for line in done.stderr.splitlines()), done.stderr
    assert "Traceback" not in done.stderr
    assert "tok-3n" not in done.stderr
