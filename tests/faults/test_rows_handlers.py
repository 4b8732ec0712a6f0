"""Rows 29 to 32: mail servers, gateways for SMS and plugins that do not do what they should."""

import os
import re
import signal
from pathlib import Path

import pytest

from tests.accounting import facts, wait_until_told
from tests.faults.conftest import Make
from tests.faults.gateways import MortalGateway
from tests.faults.handlers_that_fail import install
from tests.faults.messages import BASELINE, CRITICAL, reading, series
from tests.faults.results import Recorder, counted
from tests.programs import MAIL, SMS
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer
from tests.servers.waiting import until


def attempts(gateway: MortalGateway, handler: str, outcome: str) -> float:
    return gateway.metric(f"notifications_total{{{handler},{outcome}}}")


def raise_alert(broker: Mosquitto, sensor: str = "S-1") -> None:
    broker.publish_all(series(sensor, [BASELINE, CRITICAL, CRITICAL, CRITICAL]))


@pytest.mark.parametrize("where", ["greeting", "data"])
def test_row_29_a_mail_server_that_never_answers(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, twilio: TwilioServer, record: Recorder, *, where: str
) -> None:
    """Row 29: the attempt ends at its timeout, the SMS does not wait for it, and the mail is sent later."""
    smtp.stop()
    smtp.hang = "greeting" if where == "greeting" else "data"
    smtp.start()
    gateway = make(smtp=smtp, twilio=twilio, changes={"handlers": {MAIL: {"timeout": "3s"}}})
    gateway.start()
    raise_alert(mosquitto)
    until(lambda: len(twilio.messages) == 1, 10, "the SMS")
    until(lambda: attempts(gateway, SMS, "sent") == 1, 5, "the count of it")
    assert gateway.metrics()["notification_latency_seconds_bucket{2.5}"] == 1
    until(lambda: attempts(gateway, MAIL, "uncertain") >= 1, 10, "the timeout")
    smtp.stop()
    smtp.hang = None
    smtp.messages.clear()
    smtp.start()
    until(lambda: smtp.messages, 30, "the mail")
    wait_until_told(gateway, 2)
    assert len(smtp.messages) == 1
    (told,) = (fact for fact in facts(gateway, "NotificationSent") if fact["data"]["handler"] == MAIL)
    record(
        sent=4,
        stored=4,
        alerts=counted(gateway.ledger().alerts),
        messages=2,
        note=f"silent after the {where}; the mail at attempt {told['data']['attempts']}",
    )


def test_row_30_try_again_later(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, twilio: TwilioServer, record: Recorder
) -> None:
    """Row 30: 4xx, then accepted: one mail."""
    smtp.fail_next("451 4.3.0 try again later", "421 4.7.0 too busy")
    gateway = make(smtp=smtp, twilio=twilio)
    gateway.start()
    raise_alert(mosquitto)
    wait_until_told(gateway, 2)
    assert len(smtp.messages) == len(twilio.messages) == 1
    assert len(smtp.attempts) == 3
    assert attempts(gateway, MAIL, "pending") == 2
    record(sent=4, stored=4, messages=2, note="the mail at attempt 3")


def test_row_30_refused_for_good(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, twilio: TwilioServer, record: Recorder
) -> None:
    """Row 30: 5xx is not tried again; the failure is a fact of its own, and the SMS tells of the alert."""
    smtp.fail_next("554 5.7.1 refused for good")
    gateway = make(smtp=smtp, twilio=twilio)
    gateway.start()
    raise_alert(mosquitto)
    until(lambda: attempts(gateway, MAIL, "failed") == 1, 10, "the refusal")
    until(lambda: attempts(gateway, SMS, "sent") == 1, 10, "the SMS")
    (failure,) = facts(gateway, "NotificationFailed")
    assert failure["data"]["handler"] == MAIL
    assert "554" in failure["data"]["said"]
    gateway.stop()
    gateway.start()
    raise_alert(mosquitto, "S-2")
    until(lambda: attempts(gateway, MAIL, "sent") == 1, 10, "the mail about another alert")
    assert len(smtp.attempts) == 2
    record(sent=8, stored=8, messages=len(smtp.messages) + len(twilio.messages), note="refused once, not tried again")


@pytest.mark.parametrize(
    "alerts",
    [
        pytest.param(12, id="quick"),
        pytest.param(500, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(1200)]),
    ],
)
def test_row_31_nobody_can_be_told(
    make: Make, mosquitto: Mosquitto, smtp: SmtpServer, twilio: TwilioServer, record: Recorder, *, alerts: int
) -> None:
    """Row 31: alerts are kept while mail and SMS are away, told once when they are back, and not again later."""
    gateway = make(smtp=smtp, twilio=twilio)
    gateway.scale(circuit_breaker=0.5)
    smtp.stop()
    twilio.stop()
    gateway.start()
    for number in range(alerts):
        raise_alert(mosquitto, f"S-{number}")
    until(lambda: len(facts(gateway, "AlertRaised")) >= alerts, 60, "every alert")
    until(lambda: attempts(gateway, MAIL, "pending") >= 5, 60, "some attempts")
    until(lambda: attempts(gateway, SMS, "pending") >= 5, 60, "some attempts")
    gateway.kill()
    gateway.start()
    smtp.start()
    twilio.start()
    until(lambda: len(about(smtp)) == alerts, 60 + alerts, "every mail")
    until(lambda: len(twilio.messages) == alerts, 60 + alerts, "every SMS")
    until(lambda: open_messages(gateway) == 0, 30, "an empty outbox")
    mails, texts = about(smtp), [received.form["Body"] for received in twilio.messages]
    gateway.stop()
    gateway.start()
    mosquitto.publish(*reading("S-0", CRITICAL, second=9))
    until(lambda: gateway.stored() == 1, 10, "another reading")
    until(lambda: open_messages(gateway) == 0, 10, "an empty outbox")
    assert sorted(about(smtp)) == sorted(mails) == sorted(f"S-{number}" for number in range(alerts))
    assert sorted(received.form["Body"] for received in twilio.messages) == sorted(texts)
    assert len(set(texts)) == alerts
    record(
        sent=4 * alerts + 1,
        stored=gateway.ledger().unique,
        alerts=counted(gateway.ledger().alerts),
        messages=len(smtp.messages) + len(twilio.messages),
        kills=1,
        note="and one about a handler that failed" if len(smtp.messages) > alerts else "",
    )


def open_messages(gateway: MortalGateway) -> int:
    return int(gateway.rows("SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'failed', 'withdrawn')")[0][0])


def about(smtp: SmtpServer) -> list[str]:
    """Return the sensors that mails are about, in their order."""
    subjects = (received.message["Subject"] for received in smtp.messages)
    return [found[0] for subject in subjects if (found := re.search(r"S-\d+", subject))]


@pytest.mark.parametrize(
    ("type_", "outcome"),
    [
        ("raises", "pending"),
        ("never-ends", "uncertain"),
        ("junk", "sent"),
        ("blocks", "uncertain"),
        ("exits", "uncertain"),
        ("forks", "sent"),
        ("floods", "uncertain"),
    ],
)
def test_row_32_a_plugin_with_a_defect(
    make: Make, tmp_path: Path, mosquitto: Mosquitto, smtp: SmtpServer, record: Recorder, *, type_: str, outcome: str
) -> None:
    """Row 32: the mail goes out and readings are stored meanwhile; log and metrics name the one to blame."""
    table = {"type": type_, "timeout": "1s"}
    routes = [{"severity": "critical", "handlers": ["plugin", MAIL], "group_by": "none"}]
    gateway = make(smtp=smtp, changes={"handlers": {"plugin": table}, "routes": routes})
    gateway.put_on_path(install(tmp_path / "plugins"))
    gateway.start()
    raise_alert(mosquitto)
    until(lambda: smtp.messages, 10, "the mail")
    until(lambda: attempts(gateway, "plugin", outcome) >= 1, 10, "what the plugin did")
    mosquitto.publish_all(series("S-2", [BASELINE] * 50))
    until(lambda: gateway.readings() == 54, 10, "readings")
    (line, *_) = (line for line in gateway.said() if line.get("handler") == "plugin")
    assert line["handler"] == "plugin"
    gateway.stop()
    assert len(smtp.messages) == 1
    record(sent=54, stored=54, messages=1, note=f"a plugin that {type_}: {line.get('said', line['event'])}")


def test_row_32_a_reload_leaves_no_plugin_behind(
    make: Make, tmp_path: Path, smtp: SmtpServer, record: Recorder
) -> None:
    """Row 32: the process of a plugin ends with the configuration that it is of, and with the gateway."""
    routes = [{"severity": "critical", "handlers": ["plugin", MAIL], "group_by": "none"}]
    gateway = make(smtp=smtp, changes={"handlers": {"plugin": {"type": "raises"}}, "routes": routes})
    gateway.put_on_path(install(tmp_path / "plugins"))
    gateway.start()
    seen = {*plugins_of(gateway)}
    for reload in range(2, 4):
        os.kill(gateway.pid, signal.SIGHUP)
        until(lambda: gateway.log.read_text().count("the gateway is running") == reload, 30, "the reload")  # noqa: B023 - it is waited for here
        until(lambda: len(plugins_of(gateway)) == 1, 15, "the end of the one before")
        seen |= {*plugins_of(gateway)}
    gateway.stop()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in seen), 10, "the end of all")
    assert len(seen) == 3
    record(note="3 processes of a plugin in 2 reloads, none of them left")


def plugins_of(gateway: MortalGateway) -> list[int]:
    """Return the processes that a gateway has started."""
    tasks = Path(f"/proc/{gateway.pid}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]
