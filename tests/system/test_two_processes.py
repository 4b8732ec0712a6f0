"""Two processes: either is killed under load, and nothing is lost or told twice."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.accounting import telling_problems, wait_until_told
from tests.programs import Gateway, report, simulating
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer
from tests.servers.waiting import until

READINGS, ALERTS = 6_000, 5
LOAD = ("--rate", "600", "--count", str(READINGS), "--sensors", "100", "--alert-every", "20")


@pytest.fixture
def gateway(
    tmp_path: Path, mosquitto: Mosquitto, influx: Influx, mail_server: SmtpServer, twilio: TwilioServer
) -> Iterator[Gateway]:
    changes = {"gateway": {"processes": 2}}
    made = Gateway(tmp_path / "gateway", mosquitto, influx=influx, smtp=mail_server, twilio=twilio, changes=changes)
    made.start()
    yield made
    made.stop()


def followers_of(gateway: Gateway) -> int:
    """Return the process that follows the journal, 0 if there is none right now."""
    children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
    return int(children[0]) if children else 0


def kill_followers(gateway: Gateway) -> None:
    """Kill the process that follows the journal, and wait until another one answers."""
    before = followers_of(gateway)
    os.kill(before, signal.SIGKILL)
    until(lambda: followers_of(gateway) not in {0, before} and gateway.answers("/-/ready"), 45, "another process")


def test_either_process_is_killed_under_load(
    gateway: Gateway, mosquitto: Mosquitto, influx: Influx, mail_server: SmtpServer, twilio: TwilioServer
) -> None:
    with simulating(mosquitto, "load", *LOAD) as load:
        wait_until_told(gateway, 2 * ALERTS)
        kill_followers(gateway)
        assert gateway.metric("follower_restarts_total") == 1
        gateway.kill()
        gateway.start()
        report(load)
    until(lambda: gateway.readings() >= READINGS, 30, "all readings in the journal")
    assert gateway.rows("SELECT count(DISTINCT event_id), count(*) FROM readings") == [(READINGS, READINGS)]
    assert gateway.rows("SELECT count(*) FROM dead_letters") == [(0,)]
    until(lambda: influx.count("vibration", "level") >= READINGS, 30, "all points in InfluxDB")
    assert influx.count("vibration", "level") == READINGS
    assert telling_problems(gateway, mail_server, twilio) == []
