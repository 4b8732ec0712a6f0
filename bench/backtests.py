"""Recorded measurements through the backtest, with the shipped defaults, beside what is promised.

Per data set only the length of the learning period is given, since sampling runs from 1 Hz to a reading in 15 minutes.
The data: NASA/IMS bearing test 2 (Lee, Qiu, Yu, Lin 2007), FEMTO-ST PRONOSTIA (Nectoux 2012), SKAB v0.9, two wireless
sensors of a factory (xeptagondev/xep-vibration-data), and a fan at 17 speeds (UCI Accelerometer, Sampaio 2019).
"""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figures import Figure, at_least, at_most
from gateway.backtest.recorded import Columns, Problems, read_csv
from gateway.backtest.running import AlertEntry, Outcome, run_config
from gateway.config import Config, load_rules

Row = dict[str, str]

PLACE = {"site": "evaluate", "area": "recorded", "machine": "machine-1"}
SECOND_US = 1_000_000

IMS_LEARNING = 100  # readings, of 10 minutes each
FEMTO_LEARNING = 60  # readings, of 10 s each
SKAB_LEARNING = 100  # readings, of 1 s each; the first label begins at row 104
FAN_LEARNING = 10  # of the 15 windows there are to learn from at each speed

BEARINGS = {f"B{number}": f"b{number}_rms" for number in (1, 2, 3, 4)}
IMS_FIRST = 450, 545
RIG_STOPPED = 982  # the last two snapshots
FEMTO_FOUND = {"1_1": 1948, "1_2": 829, "2_1": 895, "2_2": 259, "3_1": 500, "3_2": 1617}  # by mean + 5 sigma
FEMTO_EARLY = {"2_1", "2_2"}  # the vertical axis really changes in the first quarter
SKAB_REACTS = {"other/5", "other/6"}
SKAB_NEAR = 6  # s after the label
MONTH_NS = 30 * 86_400 * 10**9
CLOCK_TOLERANCE_H = 24  # detection.clock_tolerance
STATES = {"1.0": "running", "0.0": "stopped"}
FAN_WINDOW = 100  # samples
FAN_INTERVAL_US = 300 * SECOND_US
FAN_SEED = 1


def backtest(file: Path, columns: Columns, learning: int | None = None, config: Config | None = None) -> Outcome:
    return run_config(read_csv(file, columns, PLACE, Problems()), config or load_rules(None), learning)


def ims(folder: Path) -> Iterator[Figure]:
    """Judge four bearings on one shaft; the outer race of the first one fails at the end."""
    outcome = backtest(folder / "ims" / "test2.csv", Columns(BEARINGS, time="timestamp"), IMS_LEARNING)
    failing = _raised(outcome, "B1")
    first = failing[0] if failing else None
    yield _within("IMS bearing 1: first alert", first.row if first else None, IMS_FIRST, "snapshot", _why(first))
    ended = first.cleared_row if first else 0
    yield Figure("IMS bearing 1: the first alert ends", ended, "snapshot", "never", ended is None)
    cleared = [entry for entry in outcome.alerts if (entry.cleared_row or 0) >= RIG_STOPPED]
    yield at_most("IMS: recoveries of the stopped rig", len(cleared), 0, "alerts")
    for sensor in ("B2", "B3", "B4"):
        early = [entry for entry in outcome.alerts if entry.sensor_id == sensor and entry.row < 900]
        critical = [entry for entry in early if entry.severity == "critical"]
        shown = [f"{entry.severity} {entry.row}" for entry in outcome.alerts if entry.sensor_id == sensor]
        yield at_most(f"IMS {sensor}: critical before 900", len(critical), 0, "alerts", ", ".join(shown) or "no alert")


def femto(folder: Path) -> Iterator[Figure]:
    """Judge six bearings that run to failure, both axes as sensors of one machine."""
    columns = Columns({"H": "rms_h_g", "V": "rms_v_g"}, interval_us=10 * SECOND_US)
    for name, found_by_sigma in FEMTO_FOUND.items():
        file = folder / "femto" / f"bearing{name}.csv"
        outcome = backtest(file, columns, FEMTO_LEARNING)
        machine = [entry for entry in _raised(outcome) if entry.kind == "machine"]
        first = machine[0] if machine else None
        row = first.row if first else None
        yield _within(f"FEMTO {name}: first alert", row, (0, found_by_sigma + 5), "row", _why(first))
        if name not in FEMTO_EARLY:
            quarter = len(_rows(file)) // 4
            early = [entry for entry in outcome.alerts if entry.row < quarter]
            yield at_most(f"FEMTO {name}: alerts in the first quarter", len(early), 0, "alerts", _places(early))


def skab(folder: Path) -> Iterator[Figure]:
    """Judge two accelerometers of a water circuit, with labelled anomalies; few of them move the vibration."""
    worst, worst_place, outside = 0, "", []
    for file in [*sorted((folder / "skab").glob("*/*.csv")), folder / "skab" / "anomaly-free.csv"]:
        name = f"{file.parent.name}/{file.stem}" if file.parent.name != "skab" else file.stem
        columns = Columns({"A1": "Accelerometer1RMS", "A2": "Accelerometer2RMS"}, time="datetime")
        raised = _raised(backtest(file, columns, SKAB_LEARNING))
        windows = _windows([float(row.get("anomaly", 0)) > 0 for row in _rows(file)])
        for first, after in windows:
            for sensor in columns.values:
                count = sum(entry.sensor_id == sensor and first <= entry.row < after for entry in raised)
                if count > worst:
                    worst, worst_place = count, f"{name} {sensor}"
        outside += [
            f"{name} {entry.sensor_id} {entry.row}"
            for entry in raised
            if not any(first <= entry.row < after for first, after in windows)
        ]
        if name in SKAB_REACTS:
            rows = [entry.row for entry in raised if entry.row >= windows[0][0]]
            late = min(rows) - windows[0][0] if rows else None
            yield _within(f"SKAB {name}: first alert after the label", late, (0, SKAB_NEAR), "s")
    yield at_most("SKAB: alerts in a labelled window, most of a sensor", worst, 1, "alerts", worst_place)
    yield at_most("SKAB: alerts outside of labelled windows", len(outside), 6, "alerts", ", ".join(outside))


def factory(folder: Path) -> Iterator[Figure]:
    """Judge two wireless sensors over months: lost readings, gaps, clocks years off, a state that lags behind."""
    with TemporaryDirectory() as made:
        for number in (1, 4):
            name = f"sensor-{number}"
            rows = _rows(folder / "factory" / f"{name}.csv.gz")
            for row in rows:
                row["state"] = STATES.get(row["machine2"], "")
            file = _write(Path(made, f"{name}.csv"), rows)
            by_receipt = Columns({name: "z_rms_mg"}, time="received_ms", state="state", unit="mg")
            yield from _factory_sensor(name, backtest(file, by_receipt), rows)
            by_device = Columns(
                {name: "z_rms_mg"}, time="device_time_s", received="received_ms", state="state", unit="mg"
            )
            yield from _factory_clock(name, backtest(file, by_device))


def _factory_sensor(name: str, outcome: Outcome, rows: Sequence[Row]) -> Iterator[Figure]:
    machine = [entry for entry in _raised(outcome) if entry.kind == "machine"]
    months = (outcome.last_ns - (outcome.first_ns or 0)) / MONTH_NS
    note = f"{len(machine)} in {months:.1f} months: {_places(machine)}"
    yield Figure(
        f"Factory {name}: machine alerts", len(machine) / months, "a month", "< 1", len(machine) / months < 1, note
    )
    stopped = [entry for entry in machine if rows[entry.row]["state"] == "stopped"]
    yield at_most(f"Factory {name}: machine alerts while stopped", len(stopped), 0, "alerts", _places(stopped))
    sensor = [entry for entry in _raised(outcome) if entry.kind == "sensor"]
    yield Figure(f"Factory {name}: sensor alerts", len(sensor), "alerts", note=_places(sensor))


def _factory_clock(name: str, outcome: Outcome) -> Iterator[Figure]:
    """Look at the times that count when the device's clock, which is years off at times, gives them."""
    machine = [entry for entry in _raised(outcome) if entry.kind == "machine"]
    note = f"{outcome.clock_replaced} clocks replaced, {outcome.late} late, {len(machine)} machine alerts"
    hours = outcome.furthest_ns / 3.6e12
    yield at_most(f"Factory {name}, device clock: furthest from the receive time", hours, CLOCK_TOLERANCE_H, "h", note)


def fan(folder: Path) -> Iterator[Figure]:
    """Judge a fan whose level depends on its speed; nothing is ever wrong with it."""
    with TemporaryDirectory() as made:
        for number in (1, 3):
            windows = _fan_windows(folder / "fan" / f"configuration{number}.csv.gz")
            file = _write(Path(made, f"fan{number}.csv"), windows)
            judged = sum(window["use"] == "judge" for window in windows)
            values = {axis: axis for axis in "xyz"}
            given = Columns(values, interval_us=FAN_INTERVAL_US, state="speed", unit="g")
            inferred = Columns(values, interval_us=FAN_INTERVAL_US, unit="g")
            name, note = f"Fan {number}", f"{3 * judged} windows judged"
            one = backtest(file, inferred, config=_one_baseline(windows))
            yield at_least(f"{name}: false alerts with one fixed baseline", len(one.alerts), 1, "alerts", note)
            aware = backtest(file, given, FAN_LEARNING).alerts
            yield at_most(f"{name}: false alerts by state", len(aware), 0, "alerts", _places(aware))
            speeds = list(dict.fromkeys(window["speed"] for window in windows))
            missed = [speed for speed in speeds if not _is_found(Path(made, "worse.csv"), windows, speed, given)]
            note = f"of {len(speeds)}; not at {', '.join(missed)} %" if missed else f"of {len(speeds)}"
            yield Figure(f"{name}: critical at three times the level", len(speeds) - len(missed), "speeds", note=note)
            guessed = backtest(file, inferred, FAN_LEARNING).alerts
            yield Figure(f"{name}: false alerts, state inferred", len(guessed), "alerts", note=_places(guessed))


def _fan_windows(file: Path) -> list[Row]:
    """Return the RMS of each axis without its mean, over windows of 100 samples: even ones to learn, odd to judge.

    The even windows come in the order of speed, the odd ones with the speeds in a random order.
    """
    by_speed: dict[str, list[Row]] = {}
    rows = _rows(file)
    for start in range(0, len(rows) - FAN_WINDOW + 1, FAN_WINDOW):
        samples = rows[start : start + FAN_WINDOW]
        levels = {axis: _rms([float(sample[axis]) for sample in samples]) for axis in "xyz"}
        speed = samples[0]["speed_pct"]
        window = {"speed": speed} | {axis: f"{level:.9f}" for axis, level in levels.items()}
        by_speed.setdefault(speed, []).append(window)
    speeds = list(by_speed)
    learn = [window | {"use": "learn"} for speed in speeds for window in by_speed[speed][0::2]]
    random.Random(FAN_SEED).shuffle(speeds)
    return learn + [window | {"use": "judge"} for speed in speeds for window in by_speed[speed][1::2]]


def _is_found(file: Path, windows: Sequence[Row], speed: str, columns: Columns) -> bool:
    """Tell whether a critical alert comes if, once learned, the x axis at one speed has three times its level."""
    worse = [
        window | {"x": str(3 * float(window["x"]))} if window["use"] == "judge" and window["speed"] == speed else window
        for window in windows
    ]
    entries = backtest(_write(file, worse), columns, FAN_LEARNING).alerts
    return any(entry.severity == "critical" and worse[entry.row]["speed"] == speed for entry in entries)


def _one_baseline(windows: Iterable[Row]) -> Config:
    """Return rules with the median over all speeds as the one baseline of each axis."""
    learned = [window for window in windows if window["use"] == "learn"]
    middle = {axis: sorted(float(window[axis]) for window in learned)[len(learned) // 2] for axis in "xyz"}
    sensors = [{"id": axis, "baseline": level} for axis, level in middle.items()]
    config = load_rules(None)
    return Config.model_validate({"gateway": config.gateway, "mqtt": config.mqtt, "sensors": sensors})


def _rms(samples: Sequence[float]) -> float:
    mean = sum(samples) / len(samples)
    return sqrt(sum((sample - mean) ** 2 for sample in samples) / len(samples))


def _raised(outcome: Outcome, sensor: str | None = None) -> list[AlertEntry]:
    """Return the alerts, each once, whatever they escalated to."""
    return [entry for entry in outcome.alerts if entry.change == "raised" and sensor in {None, entry.sensor_id}]


def _within(name: str, value: int | None, limits: tuple[int, int], unit: str, note: str = "") -> Figure:
    """Compare a row with the first and the last that will do."""
    low, high = limits
    goal = f"{low} to {high}" if low else f"≤ {high}"
    return Figure(name, value, unit, goal, value is not None and low <= value <= high, note)


def _why(entry: AlertEntry | None) -> str:
    return f"{entry.sensor_id}: {entry.reason}" if entry else "no alert"


def _places(entries: Iterable[AlertEntry]) -> str:
    places = [f"{entry.sensor_id} {entry.row}" for entry in entries]
    return ", ".join(places[:8]) + (f" and {len(places) - 8} more" if len(places) > 8 else "")


def _windows(labels: Sequence[bool]) -> list[tuple[int, int]]:
    """Return (first, after the last) of every series of labelled rows."""
    edges = [row for row, (before, now) in enumerate(pairwise([False, *labels, False])) if before != now]
    return list(zip(edges[::2], edges[1::2], strict=True))


def _rows(file: Path) -> list[Row]:
    with gzip.open(file, "rt", newline="") if file.suffix == ".gz" else file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def _write(file: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file
