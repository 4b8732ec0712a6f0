"""The gateway under an even load: what arrives, how late, at what cost."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench.figures import Figure, at_least, at_most, percentile
from bench.plant import Plant, plant, running
from bench.watching import PATIENCE, Watch, rows
from tests.programs import Gateway, report, simulate, simulating
from tests.servers.mosquitto import Mosquitto
from tests.servers.waiting import until

SENSORS = 1000
MEGABYTE = 1_000_000
MOST_MEMORY = 120  # MB with 1000 sensors

SETTLING = 3.0  # s of load before anything is measured
QUIET, MINUTE = 6.0, 60.0  # s of load without an alert; a minute where processor time has a goal: rollups come in it
ALERTS, MANY_ALERTS, ALERTS_PER_SECOND = 60, 200, 3  # many where the latency of a gateway that keeps up has a goal
READINGS_FOR_AN_ALERT = 3  # detection.on_readings
FLAT_OUT = 8  # s
GOALS = {10_000: 50.0, 30_000: 200.0}  # readings/s -> ms from publish to handler, p99
MOST_PROCESSOR = {10_000: 35.0}  # % of a core


def sustained() -> Iterator[Figure]:
    """Take an even load with bad, repeated and late messages in it, and account for every reading."""
    rate, seconds = 10_000, 30
    with plant() as servers, running(servers.gateway()) as gateway:
        load = ("--rate", str(rate), "--sensors", str(SENSORS), "--duration", f"{seconds}s", "--disturbed")
        sent = simulate(servers.broker, "load", *load, timeout=seconds + PATIENCE)
        behind = sent["acknowledged"] - gateway.stored()
        until(lambda: gateway.stored() >= sent["acknowledged"], PATIENCE, "every reading in the journal")
        ended = time.monotonic()
        until(lambda: gateway.metric("influx_points_written_total") >= sent["acknowledged"], PATIENCE, "every point")
        drained_after = time.monotonic() - ended
        stored, different = rows(gateway, "SELECT count(*), count(DISTINCT event_id) FROM readings")[0]
        found = gateway.metrics()
        rejected = sum(value for name, value in found.items() if name.startswith("rejected_total"))
        yield at_least("rate of the load", sent["rate"], 0.97 * rate, "readings/s", f"{SENSORS} sensors, {seconds} s")
        yield Figure("acknowledged by the broker", sent["acknowledged"], "readings")
        yield at_most("missing in the journal", sent["acknowledged"] - different, 0, "readings")
        yield at_most("stored twice", stored - different, 0, "readings")
        yield Figure("dead letters", rejected, "messages", note="1 % of all are cut off")
        yield Figure("recognised as duplicates", found["duplicates_total"], "readings", note="1 % come twice")
        yield Figure("late", found["late_total"], "readings", note="5 % come after the next two of their sensor")
        yield at_most("missing in InfluxDB", sent["acknowledged"] - found["influx_points_written_total"], 0, "points")
        yield at_most("not stored yet when the load ends", behind, rate, "readings", "one second's worth")
        yield Figure("InfluxDB complete after that", drained_after, "s")
        yield at_most("memory", gateway.resident_bytes() / MEGABYTE, MOST_MEMORY, "MB", "1000 sensors, page, InfluxDB")
        yield Figure("memory at its peak", gateway.resident_bytes(peak=True) / MEGABYTE, "MB")


def latency() -> Iterator[Figure]:
    """Measure from publishing to the commit, to the alert event and to the handler's request, at several rates."""
    with plant(["autosave_interval 600"]) as servers, running(servers.gateway()) as gateway:
        highest = _flat_out(servers, gateway)
        yield Figure("online maximum", highest, "readings/s", note="broker, load and gateway on the same machine")
        for number, rate in enumerate((1000, 10_000, 30_000, int(round(0.8 * highest, -3)))):
            yield from _at_rate(servers, gateway, rate, f"R{number}")


def _flat_out(servers: Plant, gateway: Gateway) -> float:
    """Return what the gateway takes while the load generator publishes as fast as the broker allows."""
    began, before = time.monotonic(), gateway.stored()
    simulate(servers.broker, "load", "--rate", "0", "--duration", f"{FLAT_OUT}s", timeout=PATIENCE)
    rate = (gateway.stored() - before) / (time.monotonic() - began)
    _settle(gateway)
    return rate


def _settle(gateway: Gateway) -> None:
    """Wait until nothing of an earlier load is on its way any more."""
    until(lambda: gateway.metric("influx_lag_readings") == 0, PATIENCE, "InfluxDB to have everything")


def _at_rate(servers: Plant, gateway: Gateway, rate: int, prefix: str) -> Iterator[Figure]:
    quiet, count = (MINUTE, MANY_ALERTS) if rate in MOST_PROCESSOR else (QUIET, ALERTS)
    duration = SETTLING + quiet + count / ALERTS_PER_SECOND + 1
    load = ("--rate", str(rate), "--sensors", str(SENSORS), "--duration", f"{duration:g}s")
    with Watch(gateway) as watch, simulating(servers.broker, "load", *load) as process:
        time.sleep(SETTLING)  # the load is to be even
        share = _processor(gateway, lambda: time.sleep(quiet))
        since_us = time.time_ns() // 1000
        published: dict[str, float] = {}
        alarmed = _processor(gateway, lambda: published.update(_raise_alerts(servers.broker, prefix, count)))
        until_us = time.time_ns() // 1000
        sent = report(process, PATIENCE)
        until(lambda: set(published) <= _told(servers), PATIENCE, f"{count} SMS")
        _settle(gateway)
    at = f"at {rate:,}/s"
    if rate in MOST_PROCESSOR:
        note = "over a minute, with its rollups"
        yield at_most(f"{at}: gateway's processor time", share, MOST_PROCESSOR[rate], "% of a core", note)
    else:
        yield Figure(f"{at}: gateway's processor time", share, "% of a core")
    note = f"with {ALERTS_PER_SECOND} alerts a second: a mail with a chart and an SMS for each"
    yield Figure(f"{at}: while alerts are raised", alarmed, "% of a core", note=note)
    yield at_least(f"{at}: rate of the load", sent["rate"], 0.95 * rate, "readings/s")
    window = f"event_us BETWEEN {since_us} AND {until_us}"
    stored = rows(gateway, f"SELECT seq, event_us FROM readings WHERE {window}")  # noqa: S608 - two numbers
    yield from _percentiles(f"{at}: publish to commit", _delays(watch, stored))
    alerts = rows(
        gateway,
        "SELECT seq, time / 1000 FROM events WHERE type = 'AlertRaised'"  # noqa: S608 - made above
        f" AND subject LIKE '{prefix}-%'",
    )
    yield from _percentiles(f"{at}: publish to alert event", _delays(watch, alerts))
    arrived = {_sensor_in(message.form["Body"]): message.at for message in servers.twilio.messages}
    handled = [1000 * (arrived[sensor] - at_) for sensor, at_ in published.items()]
    yield from _percentiles(f"{at}: publish to handler", handled, GOALS.get(rate))


def _processor(gateway: Gateway, work: Callable[[], object]) -> float:
    """Return what of a core the gateway takes while something is done, in %."""
    cpu, began = gateway.cpu_seconds(), time.monotonic()
    work()
    return 100 * (gateway.cpu_seconds() - cpu) / (time.monotonic() - began)


def _delays(watch: Watch, found: Sequence[tuple[int, ...]]) -> list[float]:
    """Return how long after their time (µs since 1970) rows became visible, in ms."""
    return [1000 * watch.visible_at(seq) - us / 1000 for seq, us in found if watch.saw(seq)]


def _percentiles(name: str, values: list[float], goal: float | None = None) -> Iterator[Figure]:
    yield Figure(f"{name}, p50", percentile(values, 50), "ms")
    if goal is None:
        yield Figure(f"{name}, p99", percentile(values, 99), "ms", note=f"of {len(values):,}")
    else:
        yield at_most(f"{name}, p99", percentile(values, 99), goal, "ms", f"of {len(values):,}")
    if len(values) > 1000:
        yield Figure(f"{name}, p99.9", sorted(values)[round(0.999 * (len(values) - 1))], "ms")


def _raise_alerts(broker: Mosquitto, prefix: str, count: int) -> dict[str, float]:
    """Let one new sensor after the other exceed its baseline; return when its alert became due (s, monotonic)."""
    published = {}
    with publishing(broker) as client:
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + number / ALERTS_PER_SECOND - time.monotonic()))
            sensor = f"{prefix}-{number:04d}"
            for reading in range(READINGS_FOR_AN_ALERT):
                published[sensor] = time.monotonic()
                topic = f"vibration/bench/hall-1/pump-{number}/{sensor}/reading"
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


def _told(servers: Plant) -> set[str]:
    return {_sensor_in(message.form["Body"]) for message in servers.twilio.messages}


def _sensor_in(text: str) -> str:
    found = re.search(r"R\d-\d{4}", text)
    return found[0] if found else ""


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
