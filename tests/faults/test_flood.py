"""Ten thousand alerts within a minute: people get a digest, and the page answers meanwhile."""

import json
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from statistics import quantiles

from tests.accounting import facts
from tests.faults.gateways import MortalGateway as Gateway
from tests.programs import MAIL
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

ALERTS, MACHINES = 10_000, 500
LONGEST_ANSWER = 0.2  # seconds, for nineteen in twenty
MOST_MEMORY = 250e6  # bytes

Make = Callable[..., Gateway]


def test_ten_thousand_alerts_are_one_digest(make: Make, mosquitto: Mosquitto, smtp: SmtpServer) -> None:
    routes = [{"severity": "warning", "handlers": [MAIL]}]
    gateway = make(
        smtp=smtp, changes={"routes": routes, "noise": None, "detection": {"on_readings": 1, "settling": "0s"}}
    )
    gateway.start()
    watch = Watch(gateway)
    watch.start()
    began = time.monotonic()
    mosquitto.publish_all(alarm(number) for number in range(ALERTS))
    until(lambda: raised(gateway) == ALERTS, 60, f"{ALERTS} alerts")
    assert time.monotonic() - began < 60
    until(lambda: [mail for mail in smtp.messages if "9990 alerts" in mail.message["Subject"]], 120, "the digest")
    watch.stop()
    gateway.stop()
    assert len(smtp.messages) == 11
    assert len(facts(gateway, "NotificationSent")) == 11
    told = gateway.rows("SELECT count(DISTINCT change) FROM told")[0][0]
    assert told == ALERTS
    assert gateway.rows("SELECT count(*) FROM outbox WHERE state <> 'sent'") == [(0,)]
    assert watch.peak < MOST_MEMORY
    assert quantiles(watch.seconds, n=20)[-1] < LONGEST_ANSWER, watch.seconds


def alarm(number: int) -> tuple[str, str]:
    """Return a reading far above the baseline that its sensor gives."""
    sensor, machine = f"S-{number:05d}", f"m-{number % MACHINES}"
    event = {
        "eventType": "VibrationRecorded",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": {"sensorId": sensor, "vibrationLevel": 12.5, "baselineVibrationLevel": 4.0},
    }
    return f"vibration/plant/hall/{machine}/{sensor}/reading", json.dumps(event)


def raised(gateway: Gateway) -> int:
    return int(gateway.command("events", "count", "--type", "AlertRaised"))


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
                print(path, round(self.seconds[-1], 3))

    def stop(self) -> None:
        self._over.set()
        self.join()
        self.peak = self._gateway.resident_bytes(peak=True)
