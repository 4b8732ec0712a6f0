"""The two listeners that are shipped, in a real Mosquitto: no account of a sensor can do more than that sensor."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs import Gateway
from tests.servers.certificates import issue
from tests.servers.guarded import CONTROLLER, NEIGHBOUR, PASSWORD, SENSOR, GuardedMosquitto
from tests.servers.waiting import until

TAKEN = ("Success", "No matching subscribers")
REFUSED = "Not authorized"
ALERT = "vibration/alerts/plant-1/hall-2/pump-7/VB-1"
GATEWAYS_SESSION = "vibration-gateway-edge-1"


@pytest.fixture(params=["plain", "tls"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GuardedMosquitto]:
    server = GuardedMosquitto(tmp_path, issue(tmp_path / "certificates") if request.param == "tls" else None)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def gateway(broker: GuardedMosquitto, tmp_path: Path) -> Iterator[Gateway]:
    login = {"username": "gateway", "password": PASSWORD}
    made = Gateway(tmp_path / "gateway", broker, changes={"mqtt": login})
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("account", "topic"),
    [
        (SENSOR, f"vibration/{SENSOR}/reading"),
        (SENSOR, f"vibration/{SENSOR}/status"),
        (CONTROLLER, f"vibration/{CONTROLLER}/state"),
    ],
)
def test_an_account_says_what_is_its_own(broker: GuardedMosquitto, account: str, topic: str) -> None:
    with broker.account(account) as own:
        assert own.connected() == "Success"
        assert own.publish(topic, retain=True) in TAKEN


@pytest.mark.parametrize(
    ("account", "topic"),
    [
        (SENSOR, f"vibration/{NEIGHBOUR}/reading"),
        (SENSOR, "vibration/plant-1/hall-2/fan-9/VB-1/reading"),
        (SENSOR, f"vibration/{NEIGHBOUR}/status"),
        (SENSOR, f"vibration/{CONTROLLER}/state"),
        (CONTROLLER, "vibration/plant-1/hall-2/fan-9/state"),
        (CONTROLLER, f"vibration/{SENSOR}/reading"),
        (SENSOR, ALERT),
        (SENSOR, "vibration/alerts/plant-1/hall-2/pump-7/VB-1/health"),
        (SENSOR, "vibration/gateway/edge-1/status"),
    ],
)
def test_an_account_says_nothing_else(broker: GuardedMosquitto, account: str, topic: str) -> None:
    with broker.account(account) as own:
        assert own.connected() == "Success"
        assert own.publish(topic, retain=True) == REFUSED
        assert own.publish(topic, payload="", retain=True) == REFUSED, "an empty one would delete what is retained"


@pytest.mark.parametrize("topic", ["#", "$share/g/vibration/#", ALERT, "$SYS/#"])
def test_a_sensor_reads_nothing(broker: GuardedMosquitto, topic: str) -> None:
    with broker.account(SENSOR) as own, broker.account("gateway", door=broker.port) as gateway:
        assert own.connected() == gateway.connected() == "Success"
        heard: list[object] = []
        own.client.on_message = lambda *_: heard.append(1)
        own.subscribe(topic)
        assert gateway.publish(ALERT, retain=True) in TAKEN
        assert own.publish(f"vibration/{SENSOR}/reading") in TAKEN  # what came before it would have been heard by now
    assert heard == []


@pytest.mark.parametrize("topic", [ALERT, "vibration/gateway/edge-1/status", f"vibration/{CONTROLLER}/state"])
def test_a_last_will_is_no_way_round(broker: GuardedMosquitto, topic: str) -> None:
    own_status = f"vibration/{SENSOR}/status"
    with broker.account("gateway", door=broker.port) as reader:
        assert reader.connected() == "Success"
        heard: list[str] = []
        reader.client.on_message = lambda _client, _data, message: heard.append(message.topic)
        reader.subscribe("vibration/#")
        for will in (topic, own_status):
            with broker.account(SENSOR, will=will) as own:
                own.connected()
                own.leave_with_will()
        until(lambda: heard, 10, "the will that is allowed")
    assert heard == [own_status]


def test_no_account_of_the_sensors_opens_the_gateways_door(broker: GuardedMosquitto) -> None:
    with broker.account(SENSOR, door=broker.port) as own:
        assert own.connected() == REFUSED


def test_no_account_of_the_gateway_opens_the_sensors_door(broker: GuardedMosquitto) -> None:
    with broker.account("gateway") as own:
        assert own.connected() == REFUSED


def test_nobody_comes_in_without_a_password(broker: GuardedMosquitto) -> None:
    with broker.account(SENSOR, password="guessed") as own:
        assert own.connected() == REFUSED


@pytest.mark.parametrize("ending", ["", "-out"])
def test_a_sensor_cannot_take_the_gateways_session(broker: GuardedMosquitto, gateway: Gateway, ending: str) -> None:
    with broker.account(SENSOR, client_id=GATEWAYS_SESSION + ending) as own:
        assert own.connected() == "Success"
        assert own.publish(f"vibration/{SENSOR}/reading") in TAKEN
        until(lambda: gateway.metric("messages_received_total") == 1, 10, "the gateway's own session to get it")
    assert gateway.answers("/-/ready")
    assert "has ended" not in gateway.log.read_text()


def test_the_gateway_has_every_right_that_it_needs(broker: GuardedMosquitto, gateway: Gateway) -> None:
    with broker.account("gateway", door=broker.port) as reader, broker.account(SENSOR) as sensor:
        assert reader.connected() == sensor.connected() == "Success"
        heard: dict[str, bytes | bytearray] = {}
        reader.client.on_message = lambda _client, _data, message: heard.update({message.topic: message.payload})
        reader.subscribe("vibration/#")
        until(lambda: heard.get("vibration/gateway/edge-1/status") == b"online", 10, "the gateway's status")
        for second in range(3):
            data = '{"sensorId": "VB-1", "vibrationLevel": 40, "baselineVibrationLevel": 4}'
            time = f"2026-11-01T10:00:0{second}Z"
            event = f'{{"eventType": "VibrationRecorded", "timestamp": "{time}", "data": {data}}}'
            assert sensor.publish(f"vibration/{SENSOR}/reading", event) in TAKEN
        until(lambda: ALERT in heard, 10, "the alert")
    assert gateway.answers("/-/ready")
