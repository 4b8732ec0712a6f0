"""Rows 7, 14, 15 and 17: an InfluxDB that is away, slow, busy or picky, and an end while it is written to."""

import signal
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.accounting import wait_until_told
from tests.faults.conftest import Make
from tests.faults.front import InfluxFront
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, BEGAN, event, reading, series
from tests.faults.results import Recorder, counted, megabytes
from tests.programs import simulate
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer
from tests.servers.waiting import until

SENSORS = ("--sensors", "100", "--alert-every", "20")
ALERTS = 5
STOPPING = 10  # seconds, a third of what the systemd unit allows


@pytest.fixture
def front(influx: Influx) -> Iterator[InfluxFront]:
    server = InfluxFront(influx)
    server.start()
    yield server
    server.stop()


def points(influx: Influx) -> int:
    return influx.count("vibration", "level")


def wait_for_points(influx: Influx, expected: int, timeout: float = 60) -> None:
    until(lambda: points(influx) >= expected, timeout, f"{expected} points in InfluxDB")
    assert points(influx) == expected


def told_within(gateway: MortalGateway, seconds: float) -> float:
    """Return the mean time from an alert to the answer of its handler; check that each took less than `seconds`."""
    metrics = gateway.metrics()
    told = metrics["notification_latency_seconds_count"]
    assert metrics[f"notification_latency_seconds_bucket{{{seconds}}}"] == told > 0
    return metrics["notification_latency_seconds_sum"] / told


def begin_a_flush(gateway: MortalGateway, broker: Mosquitto, front: InfluxFront) -> None:
    """Start it and wait until a request to InfluxDB is under way, which will not be answered soon."""
    front.delay = 60
    gateway.start()
    broker.publish_all(series("S-1", [BASELINE] * 50))
    until(lambda: front.requests, 10, "a request to InfluxDB")
    until(lambda: gateway.readings() == 50, 10, "the readings in the journal")


def test_row_07_sigterm_during_a_flush(
    make: Make, mosquitto: Mosquitto, influx: Influx, front: InfluxFront, record: Recorder
) -> None:
    """Row 7: it does not wait for InfluxDB's answer; what has not been confirmed is written after the restart."""
    gateway = make(influx=front)
    begin_a_flush(gateway, mosquitto, front)
    began = time.monotonic()
    gateway.stop(timeout=STOPPING)
    seconds = time.monotonic() - began
    front.delay = 0
    gateway.start()
    wait_for_points(influx, 50)
    record(sent=50, stored=50, in_influxdb=50, note=f"exit code 0 after {seconds:.1f} s")


def test_row_07_a_second_sigterm(
    make: Make, mosquitto: Mosquitto, influx: Influx, front: InfluxFront, record: Recorder
) -> None:
    """Row 7: the second one ends it at once; nothing is missing after the restart."""
    gateway = make(influx=front)
    begin_a_flush(gateway, mosquitto, front)
    gateway.signal(signal.SIGTERM)
    until(lambda: not gateway.answers("/-/healthy"), 10, "it to begin to stop")
    began = time.monotonic()
    gateway.signal(signal.SIGTERM)
    code = gateway.wait_for_end(2)
    seconds = time.monotonic() - began
    assert code in {-signal.SIGTERM, 0}
    front.delay = 0
    gateway.start()
    mosquitto.publish_all(series("S-2", [BASELINE] * 50))
    wait_for_points(influx, 100)
    assert gateway.ledger().unique == 100
    record(sent=100, stored=100, in_influxdb=100, note=f"exit code {code} after {seconds:.2f} s")


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param(6_000, id="quick"),
        pytest.param(360_000, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(1800)]),
    ],
)
def test_row_14_influxdb_away_for_long(
    make: Make,
    mosquitto: Mosquitto,
    influx: Influx,
    smtp: SmtpServer,
    twilio: TwilioServer,
    *,
    record: Recorder,
    readings: int,
) -> None:
    """Row 14: alerts and storing go on as ever, a crash meanwhile loses nothing, and the backlog drains afterwards."""
    gateway = make(influx=influx, smtp=smtp, twilio=twilio)
    gateway.start()
    influx.database.stop()
    counts = simulate(mosquitto, "load", "--rate", "3000", "--count", str(readings), *SENSORS, timeout=900)
    wait_until_told(gateway, 2 * ALERTS)
    latency = told_within(gateway, 5.0)
    until(lambda: gateway.readings() >= readings, 60, "every reading in the journal")
    until(lambda: saved(gateway, "announcer") >= last_alert(gateway), 20, "another consumer's place to be saved")
    peak = gateway.resident_bytes(peak=True)
    gateway.kill()
    gateway.start()
    influx.start_database()
    began = time.monotonic()
    wait_for_points(influx, readings, timeout=60 + readings / 1000)
    seconds = time.monotonic() - began
    assert influx.count("alert", "state") == ALERTS
    assert len(smtp.messages) == len(twilio.messages) == ALERTS
    record(
        sent=counts["sent"],
        acknowledged=counts["acknowledged"],
        stored=gateway.ledger().unique,
        in_influxdb=points(influx),
        alerts=counted(gateway.ledger().alerts),
        messages=len(smtp.messages) + len(twilio.messages),
        kills=1,
        seconds_to_recover=round(seconds, 1),
        peak_memory=megabytes(max(peak, gateway.resident_bytes(peak=True))),
        note=f"told {1000 * latency:.0f} ms after the alert on average while InfluxDB was away",
    )


def saved(gateway: MortalGateway, consumer: str) -> int:
    return int(gateway.rows(f"SELECT coalesce(max(seq), 0) FROM cursors WHERE consumer = '{consumer}'")[0][0])  # noqa: S608 - a name from this file


def last_alert(gateway: MortalGateway) -> int:
    return int(gateway.rows("SELECT max(seq) FROM events WHERE type LIKE 'Alert%'")[0][0])


def test_row_14_influxdb_answers_late(
    make: Make, mosquitto: Mosquitto, influx: Influx, front: InfluxFront, smtp: SmtpServer, *, record: Recorder
) -> None:
    """Row 14: answers after the timeout, so that points are written again: neither alerts nor storing wait for them."""
    gateway = make(influx=front, smtp=smtp)
    gateway.scale(influxdb_timeout=1)
    front.delay = 2
    gateway.start()
    simulate(mosquitto, "load", "--rate", "2000", "--count", "4000", *SENSORS)
    wait_until_told(gateway, ALERTS)
    latency = told_within(gateway, 2.5)
    until(lambda: gateway.readings() == 4000, 20, "every reading in the journal")
    until(lambda: len(front.requests) >= 2, 20, "the same points a second time")
    assert gateway.metric("influx_points_written_total") == 0
    front.delay = 0
    wait_for_points(influx, 4000)
    until(lambda: gateway.metric("influx_lag_readings") == 0, 20, "the end of the journal")
    record(
        sent=4000,
        stored=4000,
        in_influxdb=points(influx),
        messages=len(smtp.messages),
        note=f"told after {1000 * latency:.0f} ms on average; {len(front.requests)} requests",
    )


def test_row_15_retry_after_is_honoured(
    make: Make, mosquitto: Mosquitto, influx: Influx, front: InfluxFront, record: Recorder
) -> None:
    """Row 15: after 503 and 429 it waits as long as it is asked to, which is longer than it would by itself."""
    gateway = make(influx=front)
    front.answers.extend([(503, {"Retry-After": "2"}), (429, {"Retry-After": "3"})])
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE] * 20))
    wait_for_points(influx, 20)
    pauses = [later - earlier for (earlier, _), (later, _) in pairwise(front.requests)]
    assert pauses[0] >= 2
    assert pauses[1] >= 3
    record(sent=20, stored=20, in_influxdb=20, note=f"waited {pauses[0]:.1f} s after 503, {pauses[1]:.1f} s after 429")


def test_row_17_one_poison_point_in_five_thousand(
    make: Make, mosquitto: Mosquitto, influx: Influx, front: InfluxFront, record: Recorder
) -> None:
    """Row 17: InfluxDB refuses one point, for a field of another type: it is a dead letter, the others are stored."""
    front.pass_on("/api/v2/write?bucket=vibration&precision=ns", f"Token {influx.token}", poison())
    gateway = make(influx=front)
    poisoned = reading("S-7", second=700, data={**event("S-7")["data"], "temperature": 40.5})
    messages = [
        poisoned if number == 3457 else reading(f"S-{number % 50}", second=number // 50) for number in range(5000)
    ]
    front.delay = 0.5  # so that the readings come to InfluxDB in large steps
    gateway.start()
    for start in range(0, 5000, 1000):
        mosquitto.publish_all(messages[start : start + 1000])
    until(lambda: gateway.readings() == 5000, 20, "every reading in the journal")
    front.delay = 0
    wait_for_points(influx, 4999 + 1)  # and the one that was there before
    until(lambda: gateway.ledger().dead_letters == {"consumer_refused": 1}, 10, "one dead letter")
    until(lambda: gateway.metric("influx_lag_readings") == 0, 20, "the end of the journal")
    (letter,) = gateway.ask("deadletters", "list")
    assert "temperature" in letter["detail"]
    largest = max(lines for _, lines in front.requests)
    assert largest > 100
    record(
        sent=5000,
        stored=gateway.ledger().unique,
        in_influxdb=points(influx) - 1,
        dead_letters=counted(gateway.ledger().dead_letters),
        note=f"in steps of up to {largest} points",
    )


def poison() -> bytes:
    """Return a point that makes `temperature` a text from then on."""
    return f'vibration,sensor=OTHER level=1.0,temperature="hot" {int(BEGAN.timestamp())}000000000'.encode()
