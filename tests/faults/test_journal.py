"""A journal that is damaged while nobody looks, or found so in use: set aside, counted, kept, and the gateway runs."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.accounting import wait_until_told
from tests.faults.conftest import Make
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, series
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

Damage = Callable[[Path], None]
READINGS = 2000


def garbage_in_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(random.Random(1).randbytes(50_000))


def truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def header_destroyed(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(100))


DAMAGES = [garbage_in_the_middle, truncated, header_destroyed]


def damaged(gateway: MortalGateway, damage: Damage) -> Path:
    """Damage the journal of a gateway that is dead, and return the path of the journal."""
    path = gateway.state_dir / "journal.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that all of it is in the one file
        assert database.execute("SELECT count(*) FROM readings").fetchone() == (READINGS,)
    damage(path)
    return path


def assert_set_aside(gateway: MortalGateway, broker: Mosquitto, smtp: SmtpServer) -> int:
    """Check that it runs, has said what happened, and takes readings; return how many it has kept."""
    wait_until_told(gateway, 1)
    (alert,) = gateway.ask("alerts", "list")
    assert (alert["kind"], alert["sensorId"], alert["severity"]) == ("gateway", "journal", "critical")
    (aside,) = gateway.state_dir.glob("journal.db.damaged-*Z")
    assert aside.name in alert["reason"]
    assert "journal" in smtp.messages[-1].message["Subject"]
    kept = gateway.readings()
    assert (f"{kept} readings" in alert["reason"]) == (kept > 0)
    broker.publish_all(series("S-NEW", [BASELINE] * 100))
    until(lambda: gateway.readings() == kept + 100, 10, "new readings")
    assert gateway.answers("/-/ready")
    assert gateway.integrity() == ["ok"]
    return kept


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_after_a_power_cut(make: Make, mosquitto: Mosquitto, smtp: SmtpServer, *, damage: Damage) -> None:
    gateway = make(smtp=smtp)
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE] * READINGS))
    until(lambda: gateway.readings() == READINGS, 20, "the readings")
    gateway.stop()
    gateway.start()  # now it runs, with everything in the one file
    gateway.kill()
    damaged(gateway, damage)
    gateway.start()
    kept = assert_set_aside(gateway, mosquitto, smtp)
    assert kept > READINGS / 4 or damage is header_destroyed  # what begins every journal lies in the first half of it
    gateway.stop()
    gateway.start()
    until(lambda: gateway.ask("alerts", "list") == [], 10, "the end of the alert after a start without damage")


def test_damage_that_a_consumer_finds_in_use(
    make: Make, mosquitto: Mosquitto, influx: Influx, smtp: SmtpServer
) -> None:
    """After a stop in order nobody looks: the one who reads it first finds it; the next start sets it aside."""
    gateway = make(influx=influx, smtp=smtp)
    influx.proxy.stop()
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE] * READINGS))
    until(lambda: gateway.readings() == READINGS, 20, "the readings")
    gateway.stop()
    damaged(gateway, garbage_in_the_middle)
    influx.proxy.start(lambda: True)
    gateway.launch()
    assert gateway.wait_for_end(20) == 1
    assert "damaged" in gateway.log.read_text()
    assert "the next start sets it aside" in gateway.log.read_text()
    gateway.start()
    kept = assert_set_aside(gateway, mosquitto, smtp)
    assert kept > READINGS / 3
    until(lambda: influx.count("vibration", "level") >= kept + 100, 20, "everything that is left in InfluxDB")
