"""The shipped broker configuration, loaded as docker-compose.yml loads it, keeps what docs/deployment.md promises."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.servers.mosquitto import TIMEOUT, Mosquitto
from tests.servers.ports import is_listening
from tests.servers.processes import Process, find_program
from tests.servers.waiting import until

CONFIG = Path(__file__).parents[2] / "config"
DROP_IN = CONFIG / "mosquitto/mosquitto.conf"
READINGS = [(f"vibration/plant/hall/pump-1/VB-{number}/reading", b"{}") for number in range(1500)]  # default: 1000 kept


class ShippedMosquitto(Mosquitto):
    """A broker with the container's two files, on another port and in another folder."""

    def _config(self) -> list[str]:
        folder = self._folder / "conf.d"
        folder.mkdir()
        (folder / DROP_IN.name).write_text(DROP_IN.read_text())
        replacements = {
            "listener": f"{self.port} {self.host}",
            "persistence_location": f"{self._folder}/",
            "include_dir": str(folder),
        }
        text = (CONFIG / "docker/mosquitto.conf").read_text()
        for key, value in replacements.items():
            text, found = re.subn(rf"^{key} .*$", f"{key} {value}", text, flags=re.MULTILINE)
            assert found == 1, key
        return ["user root", text]  # where the tests run as root it must not give up the right to its folder

    @property
    def saved_at(self) -> float:
        """The time of the last save in seconds, 0 before the first."""
        file = self._folder / "mosquitto.db"
        return file.stat().st_mtime if file.exists() else 0.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[ShippedMosquitto]:
    server = ShippedMosquitto(tmp_path)
    server.start()
    yield server
    server.stop()


@contextmanager
def gateway(broker: Mosquitto, *, acknowledge: bool = True) -> Iterator[list[mqtt.MQTTMessage]]:
    """Connect with the session of a gateway (MQTT 3.1.1) and collect what it is sent."""
    received: list[mqtt.MQTTMessage] = []
    subscribed = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "gateway", clean_session=False, manual_ack=not acknowledge)
    client.on_message = lambda _client, _userdata, message: received.append(message)
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        client.subscribe("vibration/#", 1)
        assert subscribed.wait(TIMEOUT)
        yield received
    finally:
        client.disconnect()
        client.loop_stop()


@contextmanager
def sensor(broker: Mosquitto) -> Iterator[mqtt.Client]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def missing(received: list[mqtt.MQTTMessage]) -> set[str]:
    return {topic for topic, _ in READINGS} - {message.topic for message in received}


def test_a_stopped_broker_keeps_the_queue_of_an_absent_gateway(broker: ShippedMosquitto) -> None:
    with gateway(broker):
        pass
    broker.publish_all(READINGS)
    broker.stop()
    broker.start()
    with gateway(broker) as received:
        until(lambda: not missing(received), TIMEOUT, "every reading")
    assert [message.topic for message in received] == [topic for topic, _ in READINGS]


def test_readings_at_qos_0_do_not_hold_up_the_others(broker: ShippedMosquitto) -> None:
    with gateway(broker):
        pass
    with sensor(broker) as client:
        for topic, payload in READINGS:
            client.publish(topic, payload, qos=0)
        last = client.publish("vibration/last", b"", qos=1)  # confirmed once the broker has seen what came before it
        last.wait_for_publish(TIMEOUT)
    with gateway(broker) as received:
        until(lambda: [message.topic for message in received] == ["vibration/last"], TIMEOUT, "the QoS 1 reading")


def test_a_gateway_that_has_yet_to_commit_is_sent_a_thousand_readings(broker: ShippedMosquitto) -> None:
    with gateway(broker):
        pass
    broker.publish_all(READINGS)
    with gateway(broker, acknowledge=False) as received:
        until(lambda: len(received) == 1000, TIMEOUT, "1000 readings in flight")


def test_a_killed_broker_keeps_what_is_older_than_the_stated_window(broker: ShippedMosquitto) -> None:
    window = int(re.findall(r"^autosave_interval (\d+)$", DROP_IN.read_text(), re.MULTILINE)[0]) + 1
    with gateway(broker):
        pass
    broker.publish_all(READINGS)
    published_at = time.time()
    until(lambda: broker.saved_at > published_at, window + 1, "a save within the stated window")
    broker.kill()
    broker.start()
    with gateway(broker) as received:
        until(lambda: not missing(received), TIMEOUT, "every reading")


def test_as_a_drop_in_alone_it_serves_this_machine_only(tmp_path: Path) -> None:
    """Without a listener Mosquitto opens localhost:1883; the port on the command line replaces that number only."""
    log = tmp_path / "mosquitto.log"
    broker = ShippedMosquitto(tmp_path)
    main, folder = tmp_path / "main.conf", tmp_path / "conf.d"
    folder.mkdir()
    (folder / DROP_IN.name).write_text(DROP_IN.read_text())
    main.write_text(f"user root\npersistence_location {tmp_path}/\nlog_dest stderr\ninclude_dir {folder}\n")
    process = Process([find_program("mosquitto"), "-c", main, "-p", str(broker.port)], log=log)
    process.start(lambda: is_listening(broker.port))
    process.stop()
    assert "Starting in local only mode" in log.read_text()
