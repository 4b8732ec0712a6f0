"""What waits and what is muted, against the running gateway: floods, kills, silences."""

import json
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from statistics import quantiles

import pytest

from tests.accounting import facts, wait_until_told
from tests.faults.gateways import MortalGateway as Gateway
from tests.programs import MAIL
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

MACHINES = 500
LONGEST_ANSWER = 0.2  # seconds, for nineteen in twenty
MOST_MEMORY = 350e6  # bytes: 80 MB, and 27 kB for each new sensor with an open alert

ONE_READING = {"detection": {"on_readings": 1, "settling": "0s"}}
"""The first reading above the limits raises an alert."""

Make = Callable[..., Gateway]


@pytest.mark.parametrize("alerts", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_flood_is_one_digest_and_nothing_is_lost(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, alerts: int
) -> None:
    routes = [{"severity": "warning", "handlers": [MAIL]}]
    gateway = make(smtp=smtp, changes={"routes": routes, "noise": None, **ONE_READING})
    gateway.scale(flood_idle_ns=10 * 10**9)
    gateway.start()
    watch = Watch(gateway)
    watch.start()
    began = time.monotonic()
    mosquitto.publish_all(alarm(number, 7.0) for number in range(alerts))  # critical ones wait for no digest
    until(lambda: raised(gateway) == alerts, 60, f"{alerts} alerts")
    assert time.monotonic() - began < 60
    until(lambda: [mail for mail in smtp.messages if f"{alerts - 10} alerts" in mail.message["Subject"]], 120, "digest")
    wait_until_told(gateway, 11)
    watch.stop()
    gateway.stop()
    assert len(smtp.messages) == len(facts(gateway, "NotificationSent")) == 11
    assert gateway.rows("SELECT count(DISTINCT change) FROM told") == [(alerts,)]
    assert gateway.rows("SELECT count(*) FROM outbox WHERE state <> 'sent'") == [(0,)]
    assert watch.peak < MOST_MEMORY
    p95 = quantiles(watch.seconds, n=20)[-1]
    assert p95 < LONGEST_ANSWER, watch.seconds


def test_what_waits_survives_a_kill_and_is_told_once(make: Make, mosquitto: Mosquitto, smtp: SmtpServer) -> None:
    routes = [{"severity": "warning", "handlers": [MAIL], "group_wait": "4s"}]
    gateway = make(smtp=smtp, changes={"routes": routes, "noise": None, **ONE_READING})
    gateway.start()
    mosquitto.publish_all(alarm(number * MACHINES) for number in range(3))
    until(lambda: raised(gateway) == 3, 20, "three alerts of one machine")
    wait_until_told(gateway, 1)
    gateway.kill()
    gateway.start()
    wait_until_told(gateway, 2)
    gateway.kill()
    gateway.start()
    assert "2 alerts" in smtp.messages[1].message["Subject"]
    assert gateway.rows("SELECT count(*), count(DISTINCT change) FROM told") == [(3, 3)]
    assert len(facts(gateway, "NotificationSent")) == len(smtp.messages) == 2


def test_a_silence_survives_a_kill_and_what_it_muted_is_told_at_its_end(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer
) -> None:
    gateway = make(smtp=smtp, changes=ONE_READING)
    gateway.start()
    made = gateway.ask("silences", "add", "--machine", "m-1", "--for", "1h", "--reason", "bearing", "--by", "anna")
    mosquitto.publish_all([alarm(1), alarm(2)])
    wait_until_told(gateway, 1)
    gateway.kill()
    gateway.start()
    (suppressed,) = facts(gateway, "NotificationSuppressed")
    assert suppressed["data"]["by"] == "silence"
    alert = next(one for one in gateway.ask("alerts", "list") if one["sensorId"] == "S-00001")
    assert gateway.get(f"/api/v1/alerts/{alert['id']}")["messages"][0]["why"].endswith("by anna: bearing")
    assert len(smtp.messages) == 1
    gateway.command("silences", "expire", made["id"][:8])
    until(lambda: len(smtp.messages) == 2, 20, "the mail about what was muted")
    assert "S-00001" in smtp.messages[1].message["Subject"]


def alarm(number: int, level: float = 12.5) -> tuple[str, str]:
    """Return a reading far above the baseline that its sensor gives; critical, unless the level is below 10."""
    sensor, machine = f"S-{number:05d}", f"m-{number % MACHINES}"
    event = {
        "eventType": "VibrationRecorded",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": {"sensorId": sensor, "vibrationLevel": level, "baselineVibrationLevel": 4.0},
    }
    return f"vibration/plant/hall/{machine}/{sensor}/reading", json.dumps(event)


def raised(gateway: Gateway) -> int:
    return int(gateway.rows("SELECT count(*) FROM events WHERE type = 'AlertRaised'")[0][0])


class Watch(threading.Thread):
    """Asks for the page, the sensors and the alerts again and again, and notes how long the answers take."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(daemon=True)
        self._gateway = gateway
        self._over = threading.Event()
        self.seconds: list[float] = []
        self.peak = 0

    def run(self) -> None:
        while not self._over.wait(0.2):
            for path in ("/", "/api/v1/sensors?limit=100", "/api/v1/alerts"):
                began = time.monotonic()
                connection = HTTPConnection(HOST, self._gateway.port, timeout=30)
                connection.request("GET", path)
                assert connection.getresponse().read()
                connection.close()
                self.seconds.append(time.monotonic() - began)

    def stop(self) -> None:
        self._over.set()
        self.join()
        self.peak = self._gateway.resident_bytes(peak=True)
