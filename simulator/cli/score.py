"""score: what was found of what was wrong."""

import sys
from datetime import timedelta
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from simulator.cli.options import output_option, say
from simulator.grades import Grades, grade
from simulator.score import BadFileError, read_alerts, read_truth
from simulator.score import score as compare

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
    headings = ("kind of fault", "of", "number", "shown", "found", "missed", "delay median", "p90", "named",
                "taken for a machine's", "chattering")  # fmt: skip
    table = Table(*headings)
    for kind in found.kinds:
        numbers = (kind.faults, kind.shown, kind.found, kind.missed)
        delays = (_time(kind.delay_median), _time(kind.delay_p90))
        named = "" if kind.named is None else f"{kind.named}"
        table.add_row(
            kind.kind, kind.scope, *map(str, numbers), *delays, named, f"{kind.taken_for_machine}", f"{kind.chattering}"
        )
    console.print(table)
    say(
        f"{found.alerts_belonging_to_no_fault} alerts belong to no fault, in {found.healthy_sensor_hours:,.0f} hours of"
        " sensors with nothing wrong."
    )
    goals = Table("goal", "value", "is to be", "")
    for goal in found.goals:
        value = "not found" if goal.value is None else f"{goal.value:g} {goal.unit}"
        goals.add_row(goal.goal, value, goal.limit, "ok" if goal.met else "missed")
    console.print(goals)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return ("-" if seconds < 0 else "") + str(timedelta(seconds=round(abs(seconds))))
