"""What judging a reading costs in the steady state, beside decoding it, in the same run."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import to_builtins
from msgspec.json import encode
from msgspec.structs import replace

from bench.figures import Figure, at_least, at_most
from gateway.backtest.recorded import Columns, Problems, Recorded, read_csv
from gateway.backtest.running import run_config
from gateway.config import load_rules, rules_for
from gateway.domain.detection.state import Sensor, SensorState
from gateway.domain.detection.timeline import Clocks
from gateway.domain.engine.engine import Engine
from gateway.domain.inputs.native import EVENT
from gateway.domain.model.reading import ReadingData, VibrationRecorded
from gateway.domain.model.timefmt import microseconds, rfc3339

SENSORS = 20
MEASURED = 5_000  # readings in one round
ROUNDS = 25
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE_US = 60_000_000
LEARNED_AFTER = 12_000  # readings of a sensor: more than the 7 days of the defaults, a minute apart
MOST_US, MOST_RATIO = 3.0, 1.5
ALONG = {  # what a sensor publishes beside its reading
    "source": "VibrationSensor",
    "sensorLocation": "Motor Assembly Line B, Conveyor Unit 4",
    "version": "v1.2",
    "metadata": {"model": "VibroMonitor Pro X1", "calibrationDate": "2023-06-15"},
    "systemMessage": "Vibration level recorded.",
}
BACKTESTED, LEAST_BACKTESTED = 200_000, 50_000
TAGS = {"site": "plant-1", "area": "hall-2", "machine": "pump-7"}


def cost() -> Iterator[Figure]:
    """Compare processor time, the shortest of several rounds of each, taken in turns: other load only adds to it."""
    config = load_rules(None)
    engine = Engine(lambda sensor: rules_for(config, sensor.id, sensor.tags), Clocks(86_400_000_000))
    readings = _readings(LEARNED_AFTER * SENSORS + MEASURED * ROUNDS)
    for reading in islice(readings, LEARNED_AFTER * SENSORS):
        sensor, _, time_ns, flags = _place(engine, reading)
        engine.judge(sensor, reading.event, reading.event_us, time_ns, received_ns=reading.received_ns, flags=flags)
    placing, judging, decoding = [], [], []
    for _ in range(ROUNDS):
        batch = [next(readings) for _ in range(MEASURED)]
        bodies = [_body(reading.event) for reading in batch]
        began = time.process_time()
        placed = [_place(engine, reading) for reading in batch]
        placing.append(_microseconds(began))
        began = time.process_time()
        for sensor, reading, time_ns, flags in placed:
            engine.judge(sensor, reading.event, reading.event_us, time_ns, received_ns=reading.received_ns, flags=flags)
        judging.append(_microseconds(began))
        began = time.process_time()
        for body in bodies:
            EVENT.decode(body)
        decoding.append(_microseconds(began))
    yield at_most(
        "Judging a reading", min(judging), MOST_US, "µs", "in the steady state, a velocity and features with it"
    )
    yield Figure("Placing it in time", min(placing), "µs")
    yield Figure("Decoding it", min(decoding), "µs", note=f"msgspec, {len(bodies[0])} bytes")
    yield at_most("Judging / decoding", min(judging) / min(decoding), MOST_RATIO, "×", "the same run")
    yield from backtest_speed()


def backtest_speed() -> Iterator[Figure]:
    """Measure a backtest over one sensor's file, from the first byte to the last judgement, in processor time."""
    with TemporaryDirectory() as made:
        file = Path(made, "history.csv")
        with file.open("w") as lines:
            lines.write("time,rms,kurtosis\n")
            for reading in _readings(BACKTESTED):
                moment, data = rfc3339(reading.event_us * 1000), reading.event.data
                lines.write(f"{moment},{data.vibration_level:.6f},{data.kurtosis:.4f}\n")
        columns = Columns({"VB-1": "rms"}, time="time", features={"VB-1": {"kurtosis": "kurtosis"}})
        began = time.process_time()
        outcome = run_config(read_csv(file, columns, TAGS, Problems()), load_rules(None))
        rate = outcome.readings / (time.process_time() - began)
    yield at_least("Backtest of a CSV file", rate, LEAST_BACKTESTED, "readings/s", f"{BACKTESTED} readings")


def _readings(count: int) -> Iterator[Recorded]:
    drawn = random.Random(1)
    for number in range(count):
        level = drawn.gauss(4.0, 0.1)
        quantities = {
            "velocity_rms": drawn.gauss(1.2, 0.02),
            "crest_factor": drawn.gauss(3.5, 0.1),
            "kurtosis": drawn.gauss(3.0, 0.05),
            "temperature": 41.0,
        }
        sensor = f"VB-{number % SENSORS}"
        data = replace(ReadingData(sensor, level, operating_state="running"), **quantities)
        event = VibrationRecorded("VibrationRecorded", BEGIN, data, f"event-{number}")
        event_us = microseconds(BEGIN) + number // SENSORS * MINUTE_US
        yield Recorded(number, event, event_us, event_us * 1000, TAGS)


def _place(engine: Engine, reading: Recorded) -> tuple[Sensor, Recorded, int, int]:
    data = reading.event.data
    sensor = engine.sensors.get(data.sensor_id)
    if sensor is None:
        key = len(engine.sensors) + 1
        sensor = Sensor(key, data.sensor_id, TAGS, data.unit, "", reading.received_ns, SensorState())
        engine.sensors[sensor.id] = sensor
    return sensor, reading, *engine.classify_timestamp(sensor, reading.event_us, reading.received_ns, retained=False)


def _body(event: VibrationRecorded) -> bytes:
    """Return an event as a sensor publishes it, with all that comes along."""
    return encode({**to_builtins(event), **ALONG})


def _microseconds(began: float) -> float:
    """Return what one of the measured items has taken."""
    return (time.process_time() - began) / MEASURED * 1e6
