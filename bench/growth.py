"""What a reading costs as the plant grows: sensors, readings in the journal, open alerts."""

import shutil
import sqlite3
import tempfile
import time
from array import array
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.figures import Figure, at_most
from bench.plant import RESULTS, ended, plant
from bench.stages import DAY_NS, SIZE, TEMPLATES, cost, pipeline_cost, received, streams
from bench.throughput import QUEUE
from bench.watching import PATIENCE
from gateway.domain.detection.baseline import Baseline, Spread
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sensor_faults import FEWEST_CHANGES
from gateway.domain.detection.state import GAPS, SensorState
from gateway.domain.engine.quotas import Quotas, Usage
from gateway.domain.model.events import Message
from gateway.ingest.processor import Pipeline
from gateway.journal import FILE_NAME, Journal
from gateway.journal.queries.resolutions import RESOLUTIONS
from simulator.load import BASELINE, Load, payloads
from tests.programs import simulate
from tests.servers.waiting import until

FLAT = 1.2  # times the cost at the smallest size
SENSORS = (10, 100, 1000, 10_000, 100_000)
MOST_MEMORY = {1000: 120, 100_000: 450}  # MB
READINGS = 120_000
JOURNALS = (100_000, 1_000_000, 10_000_000)
BYTES_FOR_A_READING = 700  # on disk, generously
ALERTS = 10_000
BATCHES = 40

FILL = """
WITH RECURSIVE n (i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO readings (seq, event_us, sensor, event_id, time, received, level, baseline, flags, body)
SELECT i, ? + i * 10, 1, printf('old-%032x', i), (? + i * 10) * 1000, 0, 4.0, 4.0, 0, ? FROM n
"""


def growth() -> Iterator[Figure]:
    """Let sensors, journal and alerts grow, each by itself."""
    RESULTS.mkdir(exist_ok=True)
    yield from _sensors()
    yield from _journals()
    yield from _alerts()


def _sensors() -> Iterator[Figure]:
    """Let a real gateway take the same number of readings from more and more sensors."""
    smallest, memory = 0.0, {}
    for sensors in SENSORS:
        each, memory[sensors] = _with_sensors(sensors)
        smallest = smallest or each
        yield at_most(f"{sensors:,} sensors: processor time", each, FLAT * smallest, "µs")
        yield _memory(sensors, memory[sensors])
    most, fewer = SENSORS[-1], SENSORS[0]
    kilobytes = (memory[most] - memory[fewer]) / (most - fewer) * 1000
    yield Figure("memory for each sensor", kilobytes, "kB")


def _with_sensors(sensors: int) -> tuple[float, float]:
    """Return what a reading takes of a gateway whose sensors have all been learned, in µs, and its peak memory, in MB.

    So each reading is the same work, however many of them a sensor has.
    """
    load = ("load", "--rate", "0", "--sensors", str(sensors))
    with plant(QUEUE) as servers:
        made = servers.gateway(changes={"influxdb": None})
        _learned(made.state_dir, sensors)
        with ended(made) as gateway:
            gateway.launch()
            until(lambda: gateway.answers("/-/ready"), PATIENCE, "the gateway to be ready")
            simulate(servers.broker, *load, "--count", str(sensors), timeout=PATIENCE)
            until(lambda: gateway.stored() >= sensors, PATIENCE, "a reading of each sensor, for its limits")
            cpu = gateway.cpu_seconds()
            simulate(servers.broker, *load, "--count", str(READINGS), timeout=PATIENCE)
            until(lambda: gateway.stored() >= sensors + READINGS, PATIENCE, "every reading")
            return (gateway.cpu_seconds() - cpu) / READINGS * 1e6, gateway.resident_bytes(peak=True) / 1e6


def _learned(state_dir: Path, sensors: int) -> None:
    """Leave a journal with a reading of each sensor, and the state of one that was watched for a month."""
    state_dir.mkdir(parents=True)
    now_ns = time.time_ns()
    readings = payloads(Load(sensors=sensors, count=sensors))
    messages = [Message(topic[2:].decode(), payload, now_ns) for topic, payload, _ in readings]
    with closing(Journal(state_dir / FILE_NAME)) as journal:
        usage = Usage(Quotas(new_sensors=sensors, sensors=sensors))
        pipeline = Pipeline(journal, TEMPLATES, lambda _: Rules(), DAY_NS, usage=usage)
        for start in range(0, len(messages), SIZE):
            pipeline.process(messages[start : start + SIZE], now_ns)
        known = journal.sensors()
        for sensor in known:
            _settle(sensor.state, now_ns)
        journal.save_detector(known, {}, journal.next_seq - 1)
        journal.add_rollups({each.table: [] for each in RESOLUTIONS}, journal.next_seq - 1)


def _settle(state: SensorState, now_ns: int) -> None:
    spread = Spread(BASELINE, 0.04 * BASELINE, 250)
    state.learned = Baseline(
        BASELINE, "learned", spread.sigma, version=1, readings=10_000, from_ns=now_ns - 30 * DAY_NS, to_ns=now_ns,
        independent=250, smoothed=spread, high=1.1 * BASELINE,
    )  # fmt: skip
    state.learning, state.versions, state.gaps = None, 1, array("q", [10 * 10**9] * GAPS)
    state.changes, state.odd = FEWEST_CHANGES, False


def _memory(sensors: int, megabytes: float) -> Figure:
    name = f"{sensors:,} sensors: memory at its peak"
    if sensors in MOST_MEMORY:
        return at_most(name, megabytes, MOST_MEMORY[sensors], "MB", "page on")
    return Figure(name, megabytes, "MB")


def _journals() -> Iterator[Figure]:
    """Let the journal grow under the pipeline; the old readings are made by SQLite itself."""
    smallest = 0.0
    for readings in JOURNALS:
        if shutil.disk_usage(RESULTS).free < 2 * BYTES_FOR_A_READING * readings:
            yield Figure(f"journal of {readings:,}: left out", 0, "", note="not enough room on the disk")
            continue
        with tempfile.TemporaryDirectory(dir=RESULTS, prefix="growth-") as name:
            file = Path(name) / FILE_NAME
            Journal(file).close()
            _fill(file, readings)
            batches = received(streams(1000, BATCHES))
            with closing(Journal(file)) as journal:
                each = pipeline_cost(journal, batches)
        smallest = smallest or each
        yield at_most(f"journal of {readings:,} readings: processor time", each, FLAT * smallest, "µs")


def _fill(file: Path, readings: int) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("INSERT INTO sensors VALUES (1, 'old', '{}', 'm/s²', '', 0)")
        begin_us = time.time_ns() // 1000 - 10 * readings - 3_600_000_000
        _, body, _ = next(payloads(Load(sensors=1)))
        for start in range(1, readings + 1, 500_000):
            database.execute(FILL, (start, min(start + 499_999, readings), begin_us, begin_us, body))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _alerts() -> Iterator[Figure]:
    """Compare what 10,000 sensors cost with an alert each and with none."""
    quiet = _with_alerts(0)
    alarmed = _with_alerts(1)
    yield Figure(f"no alert open, {ALERTS:,} sensors: processor time", quiet, "µs")
    yield at_most(f"{ALERTS:,} alerts open: processor time", alarmed, FLAT * quiet, "µs")


def _journal(folder: str) -> Journal:
    return Journal(Path(folder) / FILE_NAME)


def _with_alerts(every: int) -> float:
    rounds = 6
    made = list(payloads(Load(sensors=ALERTS, count=rounds * ALERTS, alert_every=every)))
    messages = [Message(topic[2:].decode(), payload, time.time_ns()) for topic, payload, _ in made]
    batches = [messages[start : start + SIZE] for start in range(0, len(messages), SIZE)]
    with (
        tempfile.TemporaryDirectory(dir=RESULTS, prefix="growth-") as name,
        closing(Journal(Path(name) / "a.db")) as it,
    ):
        pipeline = Pipeline(it, TEMPLATES, lambda _: Rules(), DAY_NS)
        settled = 4 * ALERTS // SIZE  # three readings raise
        for batch in batches[:settled]:
            pipeline.process(batch, time.time_ns())
        opened = len(it.open_alerts())
        if opened != (ALERTS if every else 0):
            raise RuntimeError(f"{opened} alerts are open")
        return cost(batches[settled:], lambda batch: pipeline.process(batch, time.time_ns()))
