"""baselines: what is normal for each sensor, since when, and who said so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from gateway.cli.commands import change, said
from gateway.cli.output import at, config_option, open_reader, output_option, print_json, print_table
from gateway.cli.tables import inert, shown
from gateway.config import load, load_rules, rules_for
from gateway.domain.detection.baseline_events import current, described
from gateway.domain.model.assets import asset_of
from gateway.domain.model.naming import names_of
from gateway.domain.model.timefmt import in_words

_COLUMNS = ("sensor", "state", "level", "sigma", "unit", "source", "version", "readings", "from", "to", "by")
_SPARE = ("sigma", "to", "from", "readings")


class Level(click.ParamType[float]):
    """A level on the command line: a number above zero."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        try:
            level = float(str(value))
        except ValueError:
            level = 0.0
        if not 0 < level < inf:
            self.fail(f"{value!r} is not a number above zero", param, ctx)
        return level


@click.group()
def baselines() -> None:
    """Show what is normal for the sensors, in each operating state; set it, or have it learned anew."""


@baselines.command("list")
@config_option
@output_option
def list_(config_path: Path, output: str) -> None:
    """List the baselines that hold."""
    found = [*_configured(config_path), *current(open_reader(config_path).baseline_facts())]
    if output == "json":
        print_json(found)
    else:
        print_table(
            _COLUMNS, [_cells(row) for row in found], empty="No baseline has been learned or set yet.", spare=_SPARE
        )


@baselines.command()
@config_option
@output_option
@click.argument("sensor_id", metavar="SENSOR")
def show(config_path: Path, output: str, sensor_id: str) -> None:
    """Show a sensor's baselines: those that hold, and every version there ever was."""
    reader = open_reader(config_path)
    sensor_id = reader.called(sensor_id)
    sensor = next(known for known in reader.sensors() if known.id == sensor_id)
    facts = reader.baseline_facts(sensor_id)
    answers_to = {sensor_id, *names_of(sensor.published, asset_of(sensor.tags))}
    holding = [row for row in _configured(config_path) if row["sensorId"] in answers_to] + current(facts)
    history = [described(fact) for fact in facts]
    if output == "json":
        print_json({"sensorId": sensor_id, "current": holding, "history": history})
        return
    rules = rules_for(load_rules(config_path), sensor.published, sensor.tags)
    print_table(
        _COLUMNS[1:],
        [_cells(row)[1:] for row in holding],
        empty=f"No baseline of it holds. Learning takes {rules.learning_readings} readings of a running machine over"
        f" {in_words(rules.learning_ns)}; it has sent {reader.count(sensor_id, None, None)} readings since"
        f" {shown(at(sensor.first_seen_ns))}.",
        spare=_SPARE,
    )
    click.echo()
    rows = [(at(row["at"]), row["change"], row.get("comment") or None, *_cells(row)[1:]) for row in history]
    columns = ("at", "change", "why", *_COLUMNS[1:])
    print_table(columns, rows, empty="Nothing was ever learned or set for it.", below=["why"], spare=_SPARE)


@baselines.command("set")
@config_option
@output_option
@said
@click.option("--state", default="", help="The operating state that it holds in; left out, where nothing says one.")
@click.argument("sensor_id", metavar="SENSOR")
@click.argument("level", type=Level())
def set_(  # noqa: PLR0917 - click hands them over by name
    config_path: Path, output: str, by: str, reason: str, state: str, sensor_id: str, level: float
) -> None:
    """Set what is normal for SENSOR, in its unit. It counts until it is set again or learned anew."""
    made = change(
        load(config_path),
        f"/api/v1/baselines/{quote(sensor_id, safe='')}/set",
        {"level": level, "state": state, "by": by, "reason": reason},
        lambda operations: operations.set_baseline(sensor_id, level, state, by, reason),
    )
    words = f"{sensor_id}: {level:g} {made.get('unit', '')} is normal now, version {made.get('version')}, said by {by}"
    _print(made, output, words)


@baselines.command()
@config_option
@output_option
@said
@click.option("--state", help="The operating state to learn anew; left out, all.")
@click.argument("sensor_id", metavar="SENSOR")
def relearn(  # noqa: PLR0917 - click hands them over by name
    config_path: Path, output: str, by: str, reason: str, state: str | None, sensor_id: str
) -> None:
    """Have it learned anew what is normal for SENSOR: after maintenance, a repair, or when it has been moved."""
    made = change(
        load(config_path),
        f"/api/v1/baselines/{quote(sensor_id, safe='')}/relearn",
        {"state": state, "by": by, "reason": reason},
        lambda operations: operations.relearn(sensor_id, state, by, reason),
    )
    _print(made, output, f"{sensor_id}: what is normal is learned anew, as {by} wanted; what was learned is kept")


def _configured(config_path: Path) -> list[Mapping[str, Any]]:
    """Return the baselines of the configuration: they come before all others."""
    return [
        {"sensorId": table.id, "level": table.baseline, "source": "configured"}
        for table in load_rules(config_path).sensors
        if table.baseline is not None
    ]


def _cells(row: Mapping[str, Any]) -> Sequence[object]:
    values = {"sensor": row["sensorId"], **{name: row.get(name) for name in _COLUMNS[1:]}}
    return [at(value) if name in {"from", "to"} else value for name, value in values.items()]


def _print(made: Mapping[str, Any], output: str, words: str) -> None:
    if output == "json":
        print_json(made)
    else:
        click.echo(inert(words))
