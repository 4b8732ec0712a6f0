"""A gateway tells what a real broker has lost, refused or let others overwrite, and puts its own topics right."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.faults.gateways import MortalGateway
from tests.faults.messages import CRITICAL, series
from tests.servers.guarded import PASSWORD, GuardedMosquitto
from tests.servers.mosquitto import TIMEOUT, Mosquitto
from tests.servers.waiting import until

CLIENT = "vibration-gateway-edge-1"
STATUS = "vibration/gateway/edge-1/status"
ALERT = "vibration/alerts/plant/hall/pump-1/S-1"
Make = Callable[..., MortalGateway]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[MortalGateway] = []

    def make_gateway(broker: Mosquitto, protocol: str = "5") -> MortalGateway:
        made.append(MortalGateway(tmp_path / "gateway", broker, changes={"mqtt": {"protocol": protocol}}))
        return made[-1]

    yield make_gateway
    for gateway in made:
        gateway.stop()


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Mosquitto]:
    """Return a broker that keeps nothing over a restart, like Mosquitto as it comes."""
    broker = Mosquitto(tmp_path / "forgetful", config_lines=["persistence false"])
    broker.start()
    yield broker
    broker.stop()


def told(gateway: MortalGateway, subject: str, timeout: float = 15) -> dict[str, Any]:
    """Wait for the gateway's own alert about a subject."""
    found: list[dict[str, Any]] = []

    def is_told() -> bool:
        found[:] = [each for each in gateway.ask("alerts", "list") if each["sensorId"] == subject]
        return bool(found)

    until(is_told, timeout, f"an alert about {subject}")
    return found[0]


def noted(gateway: MortalGateway) -> str:
    """Return what the gateway has noted of its broker."""
    return "".join(value for (value,) in gateway.rows("SELECT value FROM notes WHERE name = 'broker'"))


def steal(broker: Mosquitto, *, stay: bool = False) -> mqtt.Client:
    """Connect with the gateway's client id and a clean start: the broker deletes the gateway's session."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, CLIENT, protocol=MQTTProtocolVersion.MQTTv5)
    connected: list[object] = []
    client.on_connect = lambda *_: connected.append(1)
    client.connect(broker.host, broker.port, clean_start=True)
    client.loop_start()
    until(lambda: connected, TIMEOUT, "the thief's connection")
    if not stay:
        client.disconnect()
        client.loop_stop()
    return client


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_session_that_went_while_the_gateway_was_away(make: Make, mosquitto: Mosquitto, protocol: str) -> None:
    gateway = make(mosquitto, protocol)
    gateway.start()
    until(lambda: "dropped" in noted(gateway), TIMEOUT, "the session to be noted")
    gateway.stop()
    mosquitto.publish_all(series("S-1", [4.0] * 20))
    steal(mosquitto)
    gateway.start()
    alert = told(gateway, "broker session")
    assert alert["severity"] == "critical"
    assert CLIENT in alert["reason"]


def test_a_start_that_finds_its_session_tells_of_nothing(make: Make, mosquitto: Mosquitto) -> None:
    gateway = make(mosquitto)
    for count in (20, 40):
        gateway.start()
        mosquitto.publish_all(series("S-1", [4.0] * 20, start=count))
        gateway.wait_for_count(count)
        until(lambda: "dropped" in noted(gateway), TIMEOUT, "the session to be noted")
        gateway.stop()
    gateway.start()
    mosquitto.publish_all(series("S-1", [CRITICAL] * 3, start=100))
    until(lambda: gateway.ask("alerts", "list"), TIMEOUT, "the alert about the machine")
    assert [alert["sensorId"] for alert in gateway.ask("alerts", "list")] == ["S-1"]


def test_a_session_that_is_taken_while_the_gateway_is_there(make: Make, mosquitto: Mosquitto) -> None:
    gateway = make(mosquitto)
    gateway.start()
    thief = steal(mosquitto, stay=True)
    alert = told(gateway, "broker session")
    thief.disconnect()
    thief.loop_stop()
    assert alert["severity"] == "critical"
    assert f"client id '{CLIENT}'" in alert["reason"]  # taken once, or, where both come back, again and again


def test_what_did_not_fit_into_the_queue_is_told_with_its_number(make: Make, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "small", config_lines=["max_queued_messages 10", "sys_interval 1"])
    broker.start()
    gateway = make(broker)
    gateway.start()
    until(lambda: '"dropped":0' in noted(gateway), TIMEOUT, "the count to be noted")
    gateway.stop()
    broker.publish_all(series("S-1", [4.0] * 100))
    gateway.start()

    def is_told_whole() -> bool:
        return f"has dropped {100 - gateway.count()} messages" in told(gateway, "broker queue")["reason"]

    until(is_told_whole, TIMEOUT, "the number of those that were not stored")
    assert told(gateway, "broker queue")["severity"] == "critical"
    gateway.stop()
    broker.stop()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_has_forgotten_everything_gets_it_again(make: Make, forgetful: Mosquitto, protocol: str) -> None:
    gateway = make(forgetful, protocol)
    gateway.start()
    with forgetful.record("vibration/#") as recording:
        forgetful.publish_all(series("S-1", [CRITICAL] * 3))
        first = recording.wait_for(lambda got: any(each.topic == ALERT for each in got))
    forgetful.stop()
    forgetful.start()
    with forgetful.record("vibration/#") as recording:
        again = recording.wait_for(lambda got: {ALERT, STATUS} <= {each.topic for each in got}, 30)
    assert payload(again, STATUS) == b"online"
    assert payload(again, ALERT) == payload(first, ALERT)


def test_a_gateway_that_starts_puts_right_what_is_missing(make: Make, forgetful: Mosquitto) -> None:
    gateway = make(forgetful)
    gateway.start()
    forgetful.publish_all(series("S-1", [CRITICAL] * 3))
    until(lambda: gateway.ask("alerts", "list"), TIMEOUT, "the alert")
    gateway.stop()
    forgetful.stop()
    forgetful.start()
    gateway.start()
    with forgetful.record(ALERT) as recording:
        again = recording.wait_for(lambda got: got, 20)
    assert json.loads(again[0].payload)["state"] == "active"


@pytest.mark.parametrize("forged", [b"", b'{"state": "cleared"}'], ids=["deleted", "overwritten"])
def test_what_others_write_on_our_topics_is_put_right_and_told(make: Make, mosquitto: Mosquitto, forged: bytes) -> None:
    gateway = make(mosquitto)
    gateway.start()
    with mosquitto.record("vibration/#") as recording:
        mosquitto.publish_all(series("S-1", [CRITICAL] * 3))
        first = recording.wait_for(lambda got: any(each.topic == ALERT for each in got))
        for topic in (ALERT, STATUS):
            mosquitto.publish(topic, forged, retain=True)
        recording.wait_for(
            lambda got: payload(got, ALERT) == payload(first, ALERT) and payload(got, STATUS) == b"online"
        )
    alert = told(gateway, "broker topics")
    assert alert["severity"] == "warning"
    assert "somebody else has published on 'vibration/" in alert["reason"]


@pytest.mark.parametrize(
    ("protocol", "queued", "words"),
    [
        ("5", 1000, "refuses (Not authorized) what this gateway publishes"),
        ("3.1.1", 1000, "but it is not there"),
        ("3.1.1", 0, "does not last"),  # Mosquitto 2.0.11 then ends the connection instead of acknowledging
    ],
)
def test_a_right_that_is_missing_is_told(make: Make, tmp_path: Path, *, protocol: str, queued: int, words: str) -> None:
    rights = tmp_path / "rights.acl"
    rights.write_text("topic read vibration/#\ntopic write vibration/+/+/+/+/reading\n")
    lines = [f"acl_file {rights}", f"max_queued_messages {queued}"]
    broker = Mosquitto(tmp_path / "guarded", config_lines=lines)
    broker.start()
    gateway = make(broker, protocol)
    gateway.start()
    alert = told(gateway, "broker topics", 40)
    gateway.stop()
    broker.stop()
    assert words in alert["reason"]


def payload(messages: list[Any], topic: str) -> bytes:
    """Return the last payload on a topic."""
    return [bytes(each.payload) for each in messages if each.topic == topic][-1]


def test_two_connections_that_end_each_other_are_recognised(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path / "one", config_lines=["use_username_as_clientid true"], password="secret")
    broker.start()
    login = {"username": broker.username, "password": "secret"}
    gateway = MortalGateway(tmp_path / "gateway", broker, changes={"mqtt": login})
    gateway.start(ready=False)
    reason = "mqtt.publish_username"
    until(lambda: any(reason in each for each in gateway.get("/-/ready")["reasons"]), 20, "the reason")
    alert = told(gateway, "broker connections")
    until(lambda: len(gateway.get("/-/ready")["reasons"]) == 1, TIMEOUT, "the connection that takes readings")
    gateway.stop()
    broker.stop()
    assert alert["severity"] == "critical"


def test_an_account_for_what_is_published(tmp_path: Path) -> None:
    broker = GuardedMosquitto(tmp_path)
    broker.start()
    login = {"username": "gateway", "publish_username": "gateway-out"}
    passwords = dict.fromkeys(("password", "publish_password"), PASSWORD)
    gateway = MortalGateway(tmp_path / "gateway", broker, changes={"mqtt": login | passwords})
    gateway.start()
    log = tmp_path / f"mosquitto-{broker.port}/mosquitto.log"
    until(lambda: f"{CLIENT}-out (p5, c1, k30, u'gateway-out')" in log.read_text(), TIMEOUT, "the second account")
    assert f"{CLIENT} (p5, c0, k30, u'gateway')" in log.read_text()
    gateway.stop()
    broker.stop()


@pytest.mark.parametrize(
    ("protocol", "words"), [("5", "the state of an alert has to be retained"), ("3.1.1", "keeps no retained messages")]
)
def test_a_broker_that_keeps_nothing_retained_is_named(
    make: Make, tmp_path: Path, *, protocol: str, words: str
) -> None:
    broker = Mosquitto(tmp_path / "plain", config_lines=["retain_available false"])
    broker.start()
    gateway = make(broker, protocol)
    gateway.start()
    alert = told(gateway, "broker topics", 40)
    gateway.stop()
    broker.stop()
    assert words in alert["reason"]
