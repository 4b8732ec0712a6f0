"""Rows 16 and 34: who is not let in, at InfluxDB and at our own door."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.accounting import facts, wait_until_told
from tests.faults.conftest import Make
from tests.faults.front import InfluxFront
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, CRITICAL, series
from tests.faults.results import Recorder, counted
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

ATTEMPTS = 5


@pytest.fixture
def front(influx: Influx) -> Iterator[InfluxFront]:
    server = InfluxFront(influx)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("status", [401, 404])
def test_row_16_influxdb_does_not_let_us_in(
    make: Make,
    mosquitto: Mosquitto,
    influx: Influx,
    front: InfluxFront,
    smtp: SmtpServer,
    *,
    record: Recorder,
    status: int,
) -> None:
    """Row 16: a token that is refused, a bucket that is gone: one alert, nothing quarantined, and on by itself.

    The 404 is the database's own; it does not know version 2's tokens, so the 401 is scripted.
    """
    gateway = make(influx=front, smtp=smtp)
    gateway.scale(longest_follower_pause=0.3)
    if status == 404:
        influx.query(f'DROP DATABASE "{influx.bucket}"')
    else:
        front.answers.extend([(status, {})] * 1000)
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE] * 50))
    until(lambda: len(front.requests) >= ATTEMPTS, 20, "some attempts")
    wait_until_told(gateway, 1)
    (alert,) = gateway.ask("alerts", "list")
    assert (alert["kind"], alert["sensorId"], alert["severity"]) == ("gateway", "influxdb", "warning")
    assert f"InfluxDB answered {status}" in alert["reason"]
    mosquitto.publish_all(series("S-1", [BASELINE] * 50, start=50))
    until(lambda: gateway.readings() == 100, 10, "readings to be stored meanwhile")
    attempts = len(front.requests)
    if status == 404:
        influx.query(f'CREATE DATABASE "{influx.bucket}"')
    front.answers.clear()
    began = time.monotonic()
    until(lambda: influx.count("vibration", "level") == 100, 20, "every point")
    seconds = time.monotonic() - began
    until(lambda: gateway.ask("alerts", "list") == [], 10, "the end of the alert")
    ledger = gateway.ledger()
    assert ledger.alerts == {"AlertRaised": 1, "AlertCleared": 1}
    assert not ledger.dead_letters
    assert len(smtp.messages) == 1
    assert influx.token not in gateway.log.read_text()
    record(
        sent=100,
        stored=ledger.unique,
        in_influxdb=100,
        alerts=counted(ledger.alerts),
        messages=1,
        seconds_to_recover=round(seconds, 1),
        note=f"{attempts} attempts were answered {status}",
    )


def ask(gateway: MortalGateway, method: str, path: str, body: Any, **headers: str) -> tuple[int, Any]:
    """Return the status and the JSON of an answer."""
    with closing(HTTPConnection(HOST, gateway.port, timeout=20)) as connection:
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")


def with_alert(make: Make, broker: Mosquitto, **options: Any) -> tuple[MortalGateway, str, str]:
    """Return a gateway with one alert, the alert's id, and the header that permits changes."""
    gateway = make(**options)
    gateway.start()
    broker.publish_all(series("S-1", [BASELINE, CRITICAL, CRITICAL, CRITICAL]))
    until(lambda: gateway.ledger().alerts == {"AlertRaised": 1}, 10, "the alert")
    ((alert,),) = gateway.rows("SELECT id FROM alerts")
    token = (gateway.state_dir / "http-token").read_text().strip()
    return gateway, str(alert), f"Bearer {token}"


def test_row_34_everybody_at_once(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 34: of many acknowledgements at the same time one wins; who it was, when and why is in the journal."""
    gateway, alert, permit = with_alert(make, mosquitto)
    people = [f"person-{number}" for number in range(20)]

    def acknowledge(name: str) -> tuple[int, Any]:
        body = {"by": name, "reason": "on my way"}
        return ask(gateway, "POST", f"/api/v1/alerts/{alert}/ack", body, Authorization=permit)

    with ThreadPoolExecutor(len(people)) as pool:
        answers = dict(zip(people, pool.map(acknowledge, people), strict=True))
    (winner,) = (name for name, (status, _) in answers.items() if status == 200)
    assert sorted(status for status, _ in answers.values()) == [200] + [409] * 19
    loser = next(body for status, body in answers.values() if status == 409)
    assert loser == {"detail": f"{winner} has acknowledged this alert already"}
    (fact,) = facts(gateway, "AlertAcknowledged")
    assert (fact["data"]["by"], fact["data"]["comment"]) == (winner, "on my way")
    gateway.kill()
    gateway.start()
    (kept,) = gateway.ask("alerts", "list")
    assert (kept["id"], kept["acknowledged"], kept["acknowledgedBy"]) == (alert, True, winner)
    assert acknowledge("somebody-later")[0] == 409
    record(sent=20, alerts=counted(gateway.ledger().alerts), kills=1, note="1 × 200, 19 × 409, and 409 after a kill")


def test_row_34_who_may_not(make: Make, mosquitto: Mosquitto, smtp: SmtpServer, record: Recorder) -> None:
    """Row 34: without the token, from another site's page, or by following a link: refused, nothing changed."""
    public = {"http": {"public_url": "http://gateway.example.com/"}}
    gateway, alert, permit = with_alert(make, mosquitto, smtp=smtp, changes=public)
    path, body = f"/api/v1/alerts/{alert}/ack", {"by": "anna"}
    before = gateway.conclusions()
    foreign = {"Authorization": permit, "Origin": "https://evil.example"}
    attempts: list[tuple[int, str, dict[str, str]]] = [
        (401, "POST", {}),
        (401, "POST", {"Authorization": "Bearer "}),
        (401, "POST", {"Authorization": f"{permit}x"}),
        (401, "POST", {"Authorization": permit.replace("Bearer", "Basic")}),
        (401, "POST", {"Authorization": "Bearer \xe9"}),
        (403, "POST", foreign),
        (403, "POST", {**foreign, "Origin": "null"}),
        (403, "POST", {**foreign, "Origin": f"http://{HOST}:{gateway.port + 1}.evil.example"}),
        *((405, method, {"Authorization": permit}) for method in ("GET", "PUT", "DELETE", "PATCH")),
    ]
    found = [ask(gateway, method, path, body, **headers)[0] for _, method, headers in attempts]
    assert found == [status for status, _, _ in attempts]
    wait_until_told(gateway, 1)
    links = re.findall(r"https?://[^\s\"<>]+", smtp.messages[0].message.as_string())
    assert links
    for link in links:  # as a mail scanner does
        page = "/" + link.partition("://")[2].partition("/")[2].partition("#")[0]
        assert gateway.answers(page)
    assert gateway.conclusions() == before
    ours = {"Authorization": permit, "Origin": f"http://{HOST}:{gateway.port}"}
    assert ask(gateway, "POST", path, body, **ours)[0] == 200
    assert permit.removeprefix("Bearer ") not in gateway.log.read_text()
    record(sent=len(found) + 1, alerts=counted(gateway.ledger().alerts), note=", ".join(map(str, found)))
