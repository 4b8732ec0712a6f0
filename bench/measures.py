"""The measurements, each on the real programs and servers of a plant of its own."""

import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import msgspec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench.figures import Figure, at_least, at_most, percentile
from bench.plant import ROOT, Plant, ended, plant, running
from gateway.journal import FILE_NAME
from tests.programs import Gateway, simulate, simulating
from tests.servers.mosquitto import Mosquitto
from tests.servers.waiting import until

SENSORS = 1000
RATE = 5000  # readings/s
MEGABYTE = 1_000_000
MOST_MEMORY = 150  # MB
LONGEST_START = 2.0  # s
TAIL = 45_000  # readings that a crash leaves to be replayed; a snapshot is made every 50,000
PATIENCE = 300.0  # s

BACKGROUND_RATE = 1000  # readings/s
ALERTS, ALERTS_PER_SECOND = 300, 5
READINGS_FOR_AN_ALERT = 3  # detection.on_readings
LONGEST_LATENCY = 250  # ms
SETTLING = 2.0  # s of load before the first alert

BACKLOG = 100_000  # readings
GLANCE = 0.1  # s between two looks at a drain


def sustained(seconds: int) -> Iterator[Figure]:
    """Start cold, take an even load (every commit with an fsync before the acknowledgement), and start again."""
    with plant() as servers, ended(servers.gateway()) as gateway:
        yield _start(gateway, "ready after the first start", "without a journal")
        yield from _load(servers, gateway, seconds)
        gateway.stop(timeout=30)
        yield _start(gateway, "ready after an orderly end", f"{gateway.count():,} readings in the journal")
        simulate(servers.broker, "load", "--rate", str(RATE), "--count", str(TAIL), timeout=PATIENCE)
        until(lambda: gateway.stored() >= TAIL, PATIENCE, "the readings that are to be replayed")
        gateway.kill()
        yield _start(gateway, "ready after a crash", f"about {TAIL:,} readings to be replayed")
        gateway.stop(timeout=30)


def _start(gateway: Gateway, name: str, note: str) -> Figure:
    began = time.monotonic()
    gateway.start()
    return at_most(name, time.monotonic() - began, LONGEST_START, "s", note)


def _load(servers: Plant, gateway: Gateway, seconds: int) -> Iterator[Figure]:
    cpu, began = gateway.cpu_seconds(), time.monotonic()
    load = ("--rate", str(RATE), "--sensors", str(SENSORS), "--duration", f"{seconds}s")
    sent = simulate(servers.broker, "load", *load, timeout=seconds + PATIENCE)
    ended = time.monotonic()
    behind = sent["acknowledged"] - gateway.stored()
    share = (gateway.cpu_seconds() - cpu) / (ended - began)
    until(lambda: gateway.stored() >= sent["acknowledged"], PATIENCE, "every reading in the journal")
    stored_after = time.monotonic() - ended
    until(
        lambda: servers.influx.count("vibration", "level") >= sent["acknowledged"], PATIENCE, "every point in InfluxDB"
    )
    drained_after = time.monotonic() - ended
    stored, different = _stored(gateway)
    points = servers.influx.count("vibration", "level")
    yield at_least("rate of the load", sent["rate"], 0.99 * RATE, "readings/s", f"{SENSORS} sensors for {seconds} s")
    yield Figure("sent", sent["sent"], "readings")
    yield Figure("acknowledged by the broker", sent["acknowledged"], "readings")
    yield at_least("stored in the journal", stored, sent["acknowledged"], "readings", "fsync before acknowledging")
    yield at_most("missing", sent["acknowledged"] - different, 0, "readings")
    yield at_most("stored twice", stored - different, 0, "readings")
    yield at_least("points in InfluxDB", points, sent["acknowledged"], "points")
    yield at_most("not stored yet when the load ends", behind, RATE, "readings", "one second's worth")
    yield Figure("journal complete after the load's end", stored_after, "s")
    yield Figure("InfluxDB complete after the load's end", drained_after, "s")
    yield Figure("gateway's processor time", 100 * share, "% of a core", note="during the load")
    yield Figure("readings in one commit, mean", _readings_in_a_commit(gateway), "readings")
    yield at_most("memory after the load", gateway.resident_bytes() / MEGABYTE, MOST_MEMORY, "MB", "page, InfluxDB on")
    yield at_most("memory at its peak", gateway.resident_bytes(peak=True) / MEGABYTE, MOST_MEMORY, "MB", "the same")


def _readings_in_a_commit(gateway: Gateway) -> float:
    found = gateway.metrics()
    return found["readings_stored_total"] / found["batch_seconds_count"]


def _stored(gateway: Gateway) -> tuple[int, int]:
    """Return how many readings the journal holds, and how many different ids they have."""
    file = gateway.state_dir / FILE_NAME
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as journal:
        found: tuple[int, int] = journal.execute("SELECT count(*), count(DISTINCT event_id) FROM readings").fetchone()
    return found


def latency() -> Iterator[Figure]:
    """Measure from publishing the reading that raises an alert to the request at the SMS server, beside other load."""
    load = ("--rate", str(BACKGROUND_RATE), "--sensors", "200", "--duration", "10m")
    with plant() as servers, running(servers.gateway()) as gateway, simulating(servers.broker, "load", *load):
        until(lambda: gateway.stored() > SETTLING * BACKGROUND_RATE, PATIENCE, "the load to be even")
        published = _raise_alerts(servers.broker)
        until(lambda: len(servers.twilio.messages) >= ALERTS, PATIENCE, f"{ALERTS} SMS")
    arrived = {_sensor_in(message.form["Body"]): message.at for message in servers.twilio.messages}
    found = [1000 * (arrived[sensor] - at) for sensor, at in published.items()]
    includes = "broker, commit with fsync, outbox, HTTP request"
    yield Figure("publish to SMS server, p50", percentile(found, 50), "ms", note=includes)
    yield at_most(
        "publish to SMS server, p99",
        percentile(found, 99),
        LONGEST_LATENCY,
        "ms",
        f"{ALERTS} alerts at {ALERTS_PER_SECOND}/s",
    )
    yield Figure("publish to SMS server, longest", max(found), "ms", note=f"beside {BACKGROUND_RATE} readings/s")


def _raise_alerts(broker: Mosquitto) -> dict[str, float]:
    """Let one new sensor after the other exceed its baseline; return when its alert became due (s, monotonic)."""
    published = {}
    with publishing(broker) as client:
        began = time.monotonic()
        for number in range(ALERTS):
            time.sleep(max(0.0, began + number / ALERTS_PER_SECOND - time.monotonic()))
            sensor = f"ALERT-{number:04d}"
            for reading in range(READINGS_FOR_AN_ALERT):
                published[sensor] = time.monotonic()
                topic = f"vibration/bench/hall-1/pump-1/{sensor}/reading"
                last = client.publish(topic, _exceeding(sensor, reading), qos=1)
        last.wait_for_publish(PATIENCE)  # or leaving would take it along
    return published


def _exceeding(sensor: str, number: int) -> bytes:
    event = {
        "eventId": f"{sensor}-{number}",
        "eventType": "VibrationRecorded",
        "timestamp": datetime.now(UTC),
        "data": {"sensorId": sensor, "vibrationLevel": 12.8, "baselineVibrationLevel": 4.0},
    }
    return msgspec.json.encode(event)


def _sensor_in(text: str) -> str:
    found = re.search(r"ALERT-\d{4}", text)
    assert found is not None, text  # noqa: S101 - the message names its sensor, or the measurement is void
    return found[0]


@contextmanager
def publishing(broker: Mosquitto) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def drain() -> Iterator[Figure]:
    """Queue a backlog while nobody is there; let a subscriber that does nothing, and gateways, take one each."""
    null = max(_null_subscriber_rate(), _null_subscriber_rate())
    yield Figure("drain by a null subscriber", null, "messages/s", note="paho, stores nothing; the better of two")
    for name, changes in (("without InfluxDB", {"influxdb": None}), ("with InfluxDB", {})):
        rate = _gateway_rate(changes)
        note = f"{rate / null:.0%} of the null subscriber"
        yield Figure(f"drain by the gateway {name}", rate, "messages/s", note=note)


def _queue_backlog(broker: Mosquitto) -> None:
    simulate(broker, "load", "--rate", "0", "--count", str(BACKLOG), "--sensors", str(SENSORS), timeout=PATIENCE)


def _null_subscriber_rate() -> float:
    with plant() as servers:
        _null_subscriber(servers.broker, 0)
        _queue_backlog(servers.broker)
        return BACKLOG / _null_subscriber(servers.broker, BACKLOG)


def _null_subscriber(broker: Mosquitto, count: int) -> float:
    """Run the null subscriber to its end; return the seconds from the first message to the last acknowledgement."""
    command = [sys.executable, "-m", "bench.null_subscriber", broker.host, str(broker.port), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE, cwd=ROOT)
    return float(done.stdout)


def _gateway_rate(changes: dict[str, None]) -> float:
    with plant() as servers:
        gateway = servers.gateway(changes=changes)
        with running(gateway):
            pass  # now the broker keeps what comes for it
        _queue_backlog(servers.broker)
        return _drain(gateway)


def _drain(gateway: Gateway) -> float:
    """Return the messages/s that a gateway takes from its first look at the backlog to the last commit."""
    with running(gateway):
        began, before = time.monotonic(), gateway.stored()
        while (stored := gateway.stored()) < BACKLOG:
            time.sleep(GLANCE)
        rate = (stored - before) / (time.monotonic() - began)
        if gateway.count() != BACKLOG:
            raise RuntimeError(f"the journal holds {gateway.count()} readings after a backlog of {BACKLOG}")
    return rate
