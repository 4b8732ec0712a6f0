"""score: what was found of what was wrong."""

import sys
from pathlib import Path

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from simulator.cli.options import output_option
from simulator.grades import Grades, Kind, grade
from simulator.score import BadFileError, read_alerts, read_truth
from simulator.score import score as compare
from simulator.times import SECONDS

GOAL_MISSED = 3
FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@click.command(short_help="Compare what was wrong with the alerts raised.")
@click.argument("truth", type=FILE)
@click.argument("alerts", type=FILE)
@output_option
def score(truth: Path, alerts: Path, output: str) -> None:
    """Compare TRUTH (of `run --truth`) with ALERTS, the JSON of `alerts list --all` or of `backtest`.

    `-` reads from the standard input. Exit code 3 if a goal is missed.
    """
    try:
        found = grade(compare(read_truth(_content(truth)), read_alerts(_content(alerts))))
    except BadFileError as error:
        raise click.ClickException(str(error)) from error
    if output == "json":
        click.echo(msgspec.json.encode(found).decode())
    else:
        _print(found)
    sys.exit(0 if all(goal.met for goal in found.goals) else GOAL_MISSED)


def _content(file: Path) -> bytes:
    return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()


def _print(found: Grades) -> None:
    console = Console()
    table = Table("fault", "of", "found", "delay", "9 in 10", "named", "as machine's", "again", box=SIMPLE_HEAD)
    for kind in found.kinds:
        delays = (_hours(kind.delay_median), _hours(kind.delay_p90))
        rest = ("" if kind.named is None else kind.named, kind.taken_for_machine, kind.chattering)
        table.add_row(kind.kind, kind.scope, _found(kind), *delays, *map(str, rest))
    console.print(table)
    hours = f"{found.healthy_sensor_hours:,.0f} hours of sensors with nothing wrong"
    console.print(f"{found.alerts_belonging_to_no_fault} alerts belong to no fault, in {hours}.")
    goals = Table("goal", "value", "is to be", "", box=SIMPLE_HEAD)
    for goal in found.goals:
        value = "not found" if goal.value is None else f"{goal.value:g} {goal.unit}"
        goals.add_row(goal.goal, value, goal.limit, "ok" if goal.met else "missed")
    console.print(goals)


def _found(kind: Kind) -> str:
    """Say how many were found, of those that showed where these are to be found at all."""
    return f"{kind.found} of {kind.shown}" if kind.shown else f"{kind.found}"


def _hours(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds / SECONDS['h']:.1f} h"
