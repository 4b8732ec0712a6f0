"""The main job: a bearing wears out, its readings are kept, and the right people are told."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.accounting import EVERYTHING, alert_changes, telling_problems, wait_until_told
from tests.programs import Gateway, simulate
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer
from tests.servers.waiting import until

WORN = "VB-PUMP1-DE"  # the one sensor of the built-in fleet whose bearing fails
MESSAGES = 3  # a mail for the warning, a mail and an SMS for the escalation
ALERT_TOPIC = f"vibration/alerts/demo-plant/pump-house/pump-1/{WORN}"
STATUS_TOPIC = "vibration/gateway/edge-1/status"

Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path, mosquitto: Mosquitto, mail_server: SmtpServer, twilio: TwilioServer) -> Iterator[Start]:
    """Start a gateway that tells by mail and SMS."""
    started: list[Gateway] = []

    def start_gateway(**options: Any) -> Gateway:
        gateway = Gateway(tmp_path / "gateway", mosquitto, smtp=mail_server, twilio=twilio, **options)
        started.append(gateway)
        gateway.start()
        return gateway

    yield start_gateway
    for gateway in started:
        gateway.stop()


def wear_out(gateway: Gateway, broker: Mosquitto, *options: str) -> int:
    """Let two minutes of the built-in fleet pass in three seconds; return how many readings it published."""
    counts = simulate(broker, "run", "--seed", "7", "--speed", "40", "--duration", "3s", *options)
    assert counts["published"] == counts["acknowledged"] > 600
    assert counts["dropped"] == 0
    until(lambda: gateway.stored() == counts["published"], 20, "every reading in the journal")
    wait_until_told(gateway, MESSAGES)
    return int(counts["published"])


def assert_one_alert(gateway: Gateway, smtp: SmtpServer, twilio: TwilioServer) -> dict[str, Any]:
    """Check that there is one alert, escalated from warning to critical and told of so; return it."""
    changes = alert_changes(gateway)
    assert [(change["eventType"], change["subject"], change["data"]["severity"]) for change in changes] == [
        ("AlertRaised", WORN, "warning"),
        ("AlertEscalated", WORN, "critical"),
    ]
    assert telling_problems(gateway, smtp, twilio) == []
    subjects = [received.message["Subject"] for received in smtp.messages]
    assert [subject.split(":")[0] for subject in subjects] == ["WARNING", "CRITICAL (escalated)"]
    assert all(WORN in subject for subject in subjects)
    assert len({received.message["Message-ID"] for received in smtp.messages}) == 2
    (sms,) = twilio.messages
    assert sms.form["To"] == "+46700000000"
    assert sms.form["Body"].startswith(f"CRITICAL (escalated): pump-1 {WORN} at 2.")
    (alert,) = gateway.ask("alerts", "list", "--all")
    assert (alert["sensorId"], alert["severity"], alert["state"]) == (WORN, "critical", "active")
    assert alert["id"] == changes[0]["eventId"]
    assert alert["openedBy"] == changes[0]["causationId"]
    found: dict[str, Any] = alert
    return found


def test_a_failing_bearing_is_kept_and_told_of(
    start: Start, mosquitto: Mosquitto, influx: Influx, mail_server: SmtpServer, twilio: TwilioServer
) -> None:
    gateway = start(influx=influx)
    published = wear_out(gateway, mosquitto)
    alert = assert_one_alert(gateway, mail_server, twilio)
    assert_in_influx(gateway, influx, published)
    assert_same_everywhere(gateway, mosquitto, alert)


def assert_in_influx(gateway: Gateway, influx: Influx, published: int) -> None:
    until(lambda: influx.count("vibration", "level") >= published, 10, "every reading in InfluxDB")
    until(lambda: influx.count("alert", "state") >= 2, 10, "both alert changes in InfluxDB")
    until(lambda: influx.count("gateway", "broker_connected") >= 1, 20, "the gateway's own metrics in InfluxDB")
    events = gateway.ask("events", "list", "--type", "VibrationRecorded", *EVERYTHING)
    points = influx.query("SELECT level FROM vibration GROUP BY sensor")
    assert len({event["eventId"] for event in events}) == len(events) == published
    assert Counter((point["sensor"], point["level"]) for point in points) == Counter(
        (event["sensorId"], event["level"]) for event in events
    )
    rows = influx.query("SELECT state, alert_id FROM alert GROUP BY sensor, severity")
    assert Counter((row["sensor"], row["severity"], row["state"]) for row in rows) == Counter(
        [(WORN, "warning", "active"), (WORN, "critical", "active")]
    )


def assert_same_everywhere(gateway: Gateway, broker: Mosquitto, alert: dict[str, Any]) -> None:
    """Check that command line, HTTP and MQTT say the same of the one alert."""
    assert gateway.get("/api/v1/alerts") == gateway.ask("alerts", "list") == [alert]
    shown = gateway.ask("alerts", "show", alert["id"][:8])
    assert gateway.get(f"/api/v1/alerts/{alert['id']}") == shown
    history, messages = shown.pop("history"), shown.pop("messages")
    assert shown == alert
    assert Counter((row["handler"], row["kind"], row["state"]) for row in messages) == Counter(
        [
            ("maintenance-mail", "raised", "sent"),
            ("maintenance-mail", "escalated", "sent"),
            ("oncall-sms", "escalated", "sent"),
        ]
    )
    told = [(change["change"], [(row["handler"], row["state"]) for row in change["told"]]) for change in history]
    assert told == [
        ("AlertRaised", [("maintenance-mail", "sent")]),
        ("AlertEscalated", [("maintenance-mail", "sent"), ("oncall-sms", "sent")]),
    ]
    with broker.record("vibration/alerts/#") as recording:
        (announced,) = recording.wait_for(lambda messages: messages)
    assert (announced.topic, announced.retain) == (ALERT_TOPIC, True)
    tags = alert.pop("tags")
    place = {name: tags[name] for name in ("site", "area", "machine")}
    assert json.loads(announced.payload) == alert | place


def test_the_same_over_mqtt_3_1_1(
    start: Start, mosquitto: Mosquitto, influx: Influx, mail_server: SmtpServer, twilio: TwilioServer
) -> None:
    gateway = start(influx=influx, changes={"mqtt": {"protocol": "3.1.1"}})
    published = wear_out(gateway, mosquitto, "--protocol", "3.1.1")
    assert_one_alert(gateway, mail_server, twilio)
    assert_in_influx(gateway, influx, published)


def test_without_influxdb_the_journal_keeps_the_history(
    start: Start, mosquitto: Mosquitto, mail_server: SmtpServer, twilio: TwilioServer
) -> None:
    gateway = start()
    published = wear_out(gateway, mosquitto)
    assert_one_alert(gateway, mail_server, twilio)
    assert gateway.count() == published
    readings = gateway.get(f"/api/v1/sensors/{WORN}/readings?limit=10000")
    events = gateway.ask("events", "list", "--type", "VibrationRecorded", "--sensor", WORN, *EVERYTHING)
    assert len(readings) == published / 6
    assert [reading["level"] for reading in readings] == [event["level"] for event in events]
    assert readings[-1]["level"] > 2.5 * readings[0]["level"]


def test_the_gateway_says_on_mqtt_whether_it_is_there(start: Start, mosquitto: Mosquitto) -> None:
    with mosquitto.record(STATUS_TOPIC) as recording:
        gateway = start()
        recording.wait_for(lambda messages: [message.payload for message in messages] == [b"online"])
        gateway.kill()
        recording.wait_for(lambda messages: messages[-1].payload == b"offline")
        gateway.start()
        recording.wait_for(lambda messages: messages[-1].payload == b"online")
        gateway.stop()
        recording.wait_for(lambda messages: messages[-1].payload == b"offline")
    with mosquitto.record(STATUS_TOPIC) as recording:
        (last,) = recording.wait_for(lambda messages: messages)
    assert (last.payload, last.retain) == (b"offline", True)
