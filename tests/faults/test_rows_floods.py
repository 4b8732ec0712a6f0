"""Row 46: what is worse than a digest holds waits for none."""

import json
import time

from tests.faults.conftest import Make
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, CRITICAL, WARNING, event
from tests.faults.results import Recorder
from tests.programs import MAIL
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

FALSE_ALARMS = 14
WITHIN = 5.0  # seconds


def test_row_46_a_critical_alert_in_a_flood(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, record: Recorder
) -> None:
    """Row 46: fourteen false warnings of other machines, and the real one is told within five seconds."""
    routes = [{"severity": "warning", "handlers": [MAIL]}]
    detection = {"on_readings": 1, "settling": "0s"}
    gateway = make(smtp=smtp, changes={"routes": routes, "noise": None, "detection": detection})
    gateway.start()
    for number in range(FALSE_ALARMS):
        mosquitto.publish_all([reading(f"M-{number}", "S-1", WARNING, second) for second in range(2)])
    until(lambda: alerts(gateway) == FALSE_ALARMS, 20, "the false alarms")
    began = time.monotonic()
    mosquitto.publish_all([reading("press", "S-REAL", BASELINE, 0), reading("press", "S-REAL", CRITICAL, 1)])
    until(lambda: any("S-REAL" in mail.message["Subject"] for mail in smtp.messages), 30, "the mail about it")
    seconds = time.monotonic() - began
    assert seconds < WITHIN
    record(alerts=FALSE_ALARMS + 1, note=f"told after {seconds:.1f} s; the digest was still waiting")


def alerts(gateway: MortalGateway) -> int:
    return int(gateway.rows("SELECT count(*) FROM alerts")[0][0])


def reading(machine: str, sensor: str, level: float, second: float) -> tuple[str, bytes]:
    """Return one of a sensor of its own on a machine."""
    name = f"{sensor}-{machine}" if sensor == "S-1" else sensor
    return f"vibration/plant/hall/{machine}/{name}/reading", json.dumps(event(name, level, second=second)).encode()
