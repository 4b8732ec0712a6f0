"""A Mosquitto with the two listeners that are shipped, and what their accounts can do."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from tests.servers.certificates import Certificates
from tests.servers.mosquitto import TIMEOUT, Mosquitto
from tests.servers.ports import HOST, free_port
from tests.servers.processes import find_program

SHIPPED = Path(__file__).parents[2] / "config/mosquitto"
SENSOR = "plant-1/hall-2/pump-7/VB-1"
NEIGHBOUR = "plant-1/hall-2/fan-9/VB-2"
CONTROLLER = "plant-1/hall-2/pump-7"
ACCOUNTS = {"sensors.passwd": [SENSOR, NEIGHBOUR, CONTROLLER], "gateway.passwd": ["gateway", "gateway-out"]}
PASSWORD = "secret"
WITH_WILL = 4  # a reason to disconnect


class GuardedMosquitto(Mosquitto):
    """`port` is the gateway's door, `sensors_port` the other. The shipped files, on other ports and in another folder.

    With `certificates` it is the variant with TLS.
    """

    def __init__(self, tmp_path: Path, certificates: Certificates | None = None) -> None:
        self.sensors_port = free_port()
        self.certificates = certificates
        super().__init__(tmp_path)
        self.password = PASSWORD

    def _config(self) -> list[str]:
        self._write_accounts()
        files = ["listeners.conf" if self.certificates is None else "listeners-tls.conf", "mosquitto.conf"]
        shipped = "\n".join((SHIPPED / name).read_text() for name in files)
        text = shipped.replace("/etc/mosquitto/vibration", str(self._folder))
        for old, new in {
            r"^listener (?:1883|8883)$": f"listener {self.sensors_port} {HOST}",
            r"^listener 1884 127\.0\.0\.1$": f"listener {self.port} {HOST}",
        }.items():
            text, found = re.subn(old, new, text, flags=re.MULTILINE)
            assert found == 1, old
        return ["user root", f"persistence_location {self._folder}/", "log_dest stderr", text]

    def _write_accounts(self) -> None:
        for name in ("sensors.acl", "gateway.acl"):
            (self._folder / name).write_text((SHIPPED / name).read_text())
        for name, accounts in ACCOUNTS.items():
            file = self._folder / name
            file.touch()
            for account in accounts:
                subprocess.run([find_program("mosquitto_passwd"), "-b", file, account, PASSWORD], check=True)
        if self.certificates is not None:
            (self._folder / "broker.pem").write_bytes(self.certificates.cert.read_bytes())
            (self._folder / "broker-key.pem").write_bytes(self.certificates.key.read_bytes())

    @contextmanager
    def account(self, name: str, *, door: int | None = None, will: str = "", **options: Any) -> Iterator["Account"]:
        """Connect an account of the sensors' door, or of another one."""
        account = Account(name, **options)
        if self.certificates is not None and door is None:
            account.client.tls_set(str(self.certificates.ca))
        if will:
            account.client.will_set(will, "offline", 1, retain=True)
        account.client.connect(HOST, door or self.sensors_port)
        account.client.loop_start()
        try:
            yield account
        finally:
            account.client.disconnect()
            account.client.loop_stop()


class Account:
    """A connection with MQTT 5, and the broker's answers."""

    def __init__(self, name: str, client_id: str = "", password: str = PASSWORD) -> None:
        self.client = client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv5, reconnect_on_failure=False
        )
        client.username_pw_set(name, password)
        self._answered = threading.Event()
        self._answer = ""
        client.on_connect = lambda _client, _data, _flags, reason, _properties: self._take(reason)
        client.on_publish = lambda _client, _data, _mid, reason, _properties: self._take(reason)
        client.on_subscribe = lambda _client, _data, _mid, reasons, _properties: self._take(reasons[0])

    def connected(self) -> str:
        """Return what the broker says to the connection."""
        return self._wait()

    def publish(self, topic: str, payload: str = "{}", *, retain: bool = False) -> str:
        """Publish at QoS 1 and return what the broker says."""
        self.client.publish(topic, payload, 1, retain)
        return self._wait()

    def subscribe(self, topic: str) -> str:
        """Subscribe and return what the broker says."""
        self.client.subscribe(topic, 1)
        return self._wait()

    def leave_with_will(self) -> None:
        """End the connection so that the broker publishes its will."""
        self.client.disconnect(ReasonCode(PacketTypes.DISCONNECT, identifier=WITH_WILL))

    def _take(self, reason: object) -> None:
        self._answer = str(reason)
        self._answered.set()

    def _wait(self) -> str:
        assert self._answered.wait(TIMEOUT), "the broker does not answer"
        self._answered.clear()
        return self._answer
