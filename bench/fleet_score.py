"""A simulated month of 200 sensors with 20 faults of each kind, judged and scored: `python -m bench.fleet_score`.

Generate, backtest, score: the simulator writes a reading every five minutes of each sensor and what is wrong, the
production engine judges them with the shipped rules, and the simulator compares. What the configuration adds to the
rules is what the plant knows of its machines: their group and support by ISO 10816-3.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from rich.table import Table

from bench.figures import Figure, show
from bench.plant import CONSOLE
from gateway.backtest.recorded import Columns, Problems, read_csv
from gateway.backtest.running import Outcome, run_config
from gateway.config import Config, load_rules
from gateway.domain.model.timefmt import rfc3339
from simulator.grades import Grades, grade
from simulator.offline import column_names
from simulator.replay import FEATURES
from simulator.score import read_alerts, read_truth, score
from simulator.scripting import Script, choose_fleet
from simulator.times import SECONDS, parse_time

FAULTS = 20  # of each kind
DAYS = 30
SEED = 1
START = "2026-01-01T00:00:00Z"
ISO = "[detection]\niso_group = 2\niso_support = 'rigid'\n"


def fleet(faults: int = FAULTS, seed: int = SEED) -> Iterator[Figure]:
    """Yield the figures of a trial with so many faults of each kind."""
    grades, seconds, readings = trial(faults, seed)
    _show(grades)
    for goal in grades.goals:
        yield Figure(f"simulated fleet: {goal.goal}", goal.value, goal.unit, goal.limit, goal.met)
    yield Figure("simulated fleet: readings judged", readings / seconds, "readings/s", note=f"{readings} readings")


def trial(faults: int, seed: int) -> tuple[Grades, float, int]:
    """Generate, judge and score; return what was found, the seconds that judging took, and the number of readings."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        script = Script(choose_fleet(None, faults, seed), seed, parse_time(START), speed=1.0)
        truth = folder / "truth.json"
        files = [file for file, _ in script.write(folder / "readings", truth, DAYS * SECONDS["d"])]
        sensors = [[sensor.id for sensor in machine.sensors] for machine in script.fleet.machines]
        config = _config(folder)
        began = time.perf_counter()
        outcomes = [_judged(file, ids, config) for file, ids in zip(files, sensors, strict=True)]
        seconds = time.perf_counter() - began
        alerts = json.dumps([alert for outcome in outcomes for alert in _alerts(outcome)]).encode()
        found = grade(score(read_truth(truth.read_bytes()), read_alerts(alerts)))
        return found, seconds, sum(outcome.readings for outcome in outcomes)


def _config(folder: Path) -> Config:
    file = folder / "gateway.toml"
    file.write_text(ISO)
    return load_rules(file)


def _judged(file: Path, sensors: list[str], config: Config) -> Outcome:
    """Judge a machine's file. Cells that are empty, as of a sensor that was silent, are no problem."""
    features = {sensor: dict(zip(FEATURES, column_names(sensor)[1:], strict=True)) for sensor in sensors}
    columns = Columns(
        {sensor: sensor for sensor in sensors}, time="time", received="received", features=features, state="state"
    )
    return run_config(read_csv(file, columns, {"site": "trial", "machine": file.stem}, Problems()), config)


def _alerts(outcome: Outcome) -> Iterator[dict[str, Any]]:
    for entry in outcome.alerts:
        yield {
            "kind": entry.kind,
            "sensorId": entry.sensor_id,
            "severity": entry.severity,
            "openedAt": rfc3339(entry.opened_ns),
            "clearedAt": None if entry.cleared_ns is None else rfc3339(entry.cleared_ns),
            "reason": entry.reason,
        }


def _show(found: Grades) -> None:
    table = Table("kind of fault", "shown", "found", "missed", "delay median", "p90", "named", "taken for a machine's")
    for kind in found.kinds:
        delays = (f"{each / 3600:.1f} h" if each is not None else "" for each in (kind.delay_median, kind.delay_p90))
        named = "" if kind.named is None else str(kind.named)
        numbers = (str(each) for each in (kind.shown, kind.found, kind.missed))
        table.add_row(f"{kind.kind} ({kind.scope})", *numbers, *delays, named, str(kind.taken_for_machine))
    CONSOLE.print(table)


@click.command()
@click.option("--faults", default=FAULTS, show_default=True, type=click.IntRange(1), help="Of each kind.")
@click.option("--seed", default=SEED, show_default=True)
def main(faults: int, seed: int) -> None:
    """Judge and score a simulated fleet. Exit code 1 if a goal is missed."""
    figures = list(fleet(faults, seed))
    show("Simulated fleet", figures)
    sys.exit(1 if any(figure.met is False for figure in figures) else 0)


if __name__ == "__main__":
    main()
