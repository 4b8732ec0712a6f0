"""Nothing lost, nothing twice, and everybody told once, whatever stops, fails or comes back."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.accounting import EVERYTHING, alert_changes, telling_problems, wait_until_told
from tests.programs import Gateway, report, simulate, simulating
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer
from tests.servers.waiting import until

SENSORS = ("--sensors", "100", "--alert-every", "20")
ALERTS = 5  # of the sensors above, each critical at once: told by mail and by SMS
MESSAGES = 2 * ALERTS

Make = Callable[..., Gateway]


@pytest.fixture
def make(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[Make]:
    """Make a gateway that is gone after the test; one that still runs has to end as it should."""
    made: list[Gateway] = []

    def make_gateway(**options: Any) -> Gateway:
        made.append(Gateway(tmp_path / "gateway", mosquitto, **options))
        return made[-1]

    yield make_gateway
    for gateway in made:
        gateway.stop()


def assert_stored_once(gateway: Gateway, readings: int, influx: Influx | None = None) -> None:
    """Wait for the last reading; check that each is there, and none twice."""
    gateway.wait_for_count(readings)
    events = gateway.ask("events", "list", "--type", "VibrationRecorded", *EVERYTHING)
    assert len({event["eventId"] for event in events}) == len(events) == readings
    assert gateway.command("deadletters", "count") == "0\n"
    if influx is not None:
        until(lambda: influx.count("vibration", "level") >= readings, 30, f"{readings} points in InfluxDB")
        assert influx.count("vibration", "level") == readings


def assert_told_once(gateway: Gateway, smtp: SmtpServer, twilio: TwilioServer, alerts: int = ALERTS) -> None:
    """Check that each critical sensor has raised one alert, told by one mail and one SMS."""
    wait_until_told(gateway, 2 * alerts)
    changes = alert_changes(gateway)
    assert len({change["subject"] for change in changes}) == len(changes) == alerts
    assert telling_problems(gateway, smtp, twilio) == []


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_killed_again_and_again_under_load(
    make: Make, mosquitto: Mosquitto, influx: Influx, mail_server: SmtpServer, twilio: TwilioServer, *, protocol: str
) -> None:
    changes = {"mqtt": {"protocol": protocol}}
    gateway = make(influx=influx, smtp=mail_server, twilio=twilio, changes=changes)
    gateway.start()
    with simulating(mosquitto, "load", "--rate", "1500", "--count", "15000", *SENSORS) as load:
        wait_until_told(gateway, MESSAGES)
        for _ in range(3):
            until(lambda: gateway.stored() > 300, 20, "more readings")
            gateway.kill()
            gateway.start()
        counts = report(load)
    assert counts["sent"] == counts["acknowledged"] == 15_000
    assert_stored_once(gateway, 15_000, influx)
    assert_told_once(gateway, mail_server, twilio)


def test_stopped_under_load_it_ends_at_once_and_goes_on_later(make: Make, mosquitto: Mosquitto) -> None:
    gateway = make()
    gateway.start()
    with simulating(mosquitto, "load", "--rate", "1500", "--count", "4500", *SENSORS) as load:
        until(lambda: gateway.stored() > 500, 20, "some readings")
        began = time.monotonic()
        gateway.stop()
        assert time.monotonic() - began < 4
        gateway.start()
        report(load)
    assert_stored_once(gateway, 4500)
    assert len(alert_changes(gateway)) == ALERTS


def test_a_restarted_broker_loses_nothing(make: Make, mosquitto: Mosquitto) -> None:
    gateway = make()
    gateway.start()
    with simulating(mosquitto, "run", "--speed", "40", "--duration", "4s") as run:
        until(lambda: gateway.stored() > 200, 20, "some readings")
        mosquitto.stop()
        until(lambda: not gateway.answers("/-/ready"), 10, "the gateway to notice")
        mosquitto.start()
        counts = report(run)
    assert counts["published"] == counts["acknowledged"] == 960
    assert_stored_once(gateway, 960)
    assert gateway.answers("/-/ready")


def test_started_before_the_broker(make: Make, mosquitto: Mosquitto) -> None:
    mosquitto.stop()
    gateway = make()
    gateway.start(ready=False)
    problem = f"no connection to the broker at {mosquitto.host}:{mosquitto.port} (Connection refused); trying again"
    until(lambda: gateway.get("/-/ready") == {"ready": False, "reasons": [problem]}, 10, "the reason")
    mosquitto.start()
    until(lambda: gateway.answers("/-/ready"), 20, "the connection")
    simulate(mosquitto, "load", "--rate", "0", "--count", "500")
    assert_stored_once(gateway, 500)
    assert problem in [line["event"] for line in gateway.said()]


def test_influxdb_away_at_the_start_and_later(
    make: Make, mosquitto: Mosquitto, influx: Influx, mail_server: SmtpServer, twilio: TwilioServer
) -> None:
    influx.stop()
    gateway = make(influx=influx, smtp=mail_server, twilio=twilio)
    gateway.start()
    simulate(mosquitto, "load", "--rate", "2000", "--count", "2000", *SENSORS)
    assert_told_once(gateway, mail_server, twilio)
    gateway.wait_for_count(2000)
    influx.start()
    until(lambda: influx.count("vibration", "level") == 2000, 20, "the backlog in InfluxDB")
    influx.database.stop()  # the proxy before it answers 502
    simulate(mosquitto, "load", "--rate", "2000", "--count", "2000", "--sensors", "100")
    gateway.wait_for_count(4000)
    influx.start_database()
    assert_stored_once(gateway, 4000, influx)
    said = [line["event"] for line in gateway.said()]
    assert said.count("a consumer cannot deliver; trying again") == 2
    assert said.count("a consumer delivers again") == 2


@pytest.mark.parametrize("killed", [False, True], ids=["waits", "killed-before-the-mail"])
def test_a_mail_server_that_was_away_gets_the_mail_once(
    make: Make, mosquitto: Mosquitto, mail_server: SmtpServer, twilio: TwilioServer, *, killed: bool
) -> None:
    mail_server.stop()
    gateway = make(smtp=mail_server, twilio=twilio)
    gateway.start()
    simulate(mosquitto, "load", "--rate", "1000", "--count", "600", "--sensors", "100", "--alert-every", "100")
    wait_until_told(gateway, 1)  # by SMS, which does not wait for the mail
    assert len(twilio.messages) == 1
    if killed:
        gateway.kill()
        gateway.start()
    mail_server.start()
    assert_told_once(gateway, mail_server, twilio, alerts=1)
    assert len(mail_server.messages) == 1


def test_a_second_gateway_on_the_same_state_refuses_to_start(make: Make) -> None:
    gateway = make()
    gateway.start()
    second = gateway.run("run")
    assert second.returncode == 1
    assert f"{gateway.state_dir} is in use by another gateway (process {gateway.pid})" in second.stderr
    assert "Traceback" not in second.stderr
    assert gateway.answers("/-/ready")
