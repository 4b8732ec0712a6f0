"""From a mail to an acknowledged alert: the whole program, its real mail, and the page behind the link."""

import json
import re
from email.message import EmailMessage
from pathlib import Path

import httpx

from tests.programs import Gateway
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

PUBLIC = "https://gateway.example.com/vibration/"
TOPIC = "vibration/site/hall/pump-7/VB-1/reading"


def worse(broker: Mosquitto) -> None:
    """Publish two minutes of a sensor's readings, the last ones three times its baseline."""
    events = [
        {
            "eventType": "VibrationRecorded",
            "timestamp": f"2023-09-29T16:{30 + number // 60:02}:{number % 60:02}Z",
            "data": {"sensorId": "VB-1", "vibrationLevel": level, "baselineVibrationLevel": 4.0},
        }
        for number, level in enumerate([4.0, 4.1] * 50 + [13.0] * 5)
    ]
    broker.publish(TOPIC, json.dumps(events))


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body([kind])
    assert part is not None
    text = part.get_content()
    assert isinstance(text, str)
    return text


def test_the_link_in_a_mail_acknowledges_when_its_button_is_pressed(
    tmp_path: Path, mosquitto: Mosquitto, mail_server: SmtpServer
) -> None:
    changes = {
        "gateway": {"timezone": "Europe/Stockholm"},
        "http": {"public_url": PUBLIC},
        "detection": {"clock_tolerance": "36500d"},
        "handlers": {"maintenance-mail": {"to": ["Anna Berg <anna@example.com>"]}},
    }
    gateway = Gateway(tmp_path / "gateway", mosquitto, smtp=mail_server, changes=changes)
    gateway.start()
    worse(mosquitto)
    until(lambda: bool(mail_server.messages), 20, "the mail")
    mail = mail_server.messages[0].message
    assert re.fullmatch(r"CRITICAL: pump-7 VB-1 at 3\.\d × baseline, since 18:31 CEST \(site, hall\)", mail["Subject"])
    (picture,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert "baseline 4.0, warning 6.4, critical 10.0" in body(mail, "html")
    assert f"cid:{picture['Content-ID'].strip('<>')}" in body(mail, "html")
    (address,) = re.findall(rf"^Acknowledge: ({re.escape(PUBLIC)}s/\S+)$", body(mail, "plain"), re.MULTILINE)

    here = address.replace(PUBLIC, f"http://127.0.0.1:{gateway.port}/")
    opened = httpx.get(here, trust_env=False)
    assert "Acknowledge as Anna Berg" in opened.text
    assert not gateway.ask("alerts", "list")[0]["acknowledged"]
    pressed = httpx.post(here, data={"do": "acknowledge"}, trust_env=False, follow_redirects=True)
    assert "<h1>Acknowledged by Anna Berg</h1>" in pressed.text
    (alert,) = gateway.ask("alerts", "list")
    assert (alert["acknowledged"], alert["acknowledgedBy"]) == (True, "Anna Berg")
    assert (gateway.state_dir / "link-key").stat().st_mode & 0o777 == 0o600

    shown = gateway.ask("alerts", "show", alert["id"], "--render", "maintenance-mail")
    assert shown["subject"] == mail["Subject"]
    assert address.rpartition("/")[2] not in json.dumps(shown)
    forged = httpx.post(here[:-2], trust_env=False)
    assert forged.status_code == 403
    gateway.stop()
