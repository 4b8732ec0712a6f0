"""backtest: which alerts there would have been, with these rules, on recorded history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from gateway.backtest.comparing import Comparison, Shift, compare
from gateway.backtest.journalled import read_journal
from gateway.backtest.recorded import Columns, Problems, ReadHistory, missing_columns, read_csv
from gateway.backtest.report import Run, describe, describe_comparison, load_of, notifications
from gateway.backtest.running import AlertEntry, run_config
from gateway.cli.output import (
    DEFAULT_CONFIG,
    at,
    open_reader,
    output_option,
    print_json,
    print_load,
    print_table,
    rules_option,
    window_options,
)
from gateway.cli.tables import inert, shown
from gateway.config import Config, load_rules, parse_duration
from gateway.domain.alerting.kpis import assess
from gateway.domain.inputs.native import MAX_ID
from gateway.domain.model.quantities import BY_WIRE
from gateway.errors import GatewayError

_COLUMNS = ("severity", "kind", "sensor", "opened", "cleared", "row", "reason")


class Interval(click.ParamType[int]):
    """A duration on the command line, in microseconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return microseconds, above zero."""
        try:
            found = parse_duration(value) // 1000
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return found or self.fail("rows are at least a microsecond apart", param, ctx)


@click.command()
@rules_option
@click.option("--csv", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A .csv or .csv.gz.")
@click.option("--time", "time_column", metavar="COLUMN", help="Holds RFC 3339, naive (UTC) or epoch s or ms.")
@click.option("--interval", type=Interval(), help="Between rows of a file without times, such as 10s.")
@click.option("--received", metavar="COLUMN", help="When the readings came in, if their own clocks are doubtful.")
@click.option("--value", "values", multiple=True, metavar="COLUMN=SENSOR", help="Repeatable.")
@click.option("--feature", "features", multiple=True, metavar="COLUMN=SENSOR:FEATURE", help="Repeatable.")
@click.option("--state", metavar="COLUMN", help="Holds the machine's operating state.")
@click.option("--unit", default="m/s²", show_default=True, help="Of the values.")
@click.option("--site", default="backtest", show_default=True)
@click.option("--area", default="backtest", show_default=True)
@click.option("--machine", default="machine-1", show_default=True, help="All sensors of the file are of this one.")
@click.option("--journal", is_flag=True, help="Take the readings of the configuration's journal instead of a file.")
@window_options
@click.option(
    "--learning", type=click.IntRange(min=2), help="Learn from so many readings; replaces both learning keys."
)
@click.option(
    "--compare",
    "other_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OTHER.toml",
    help="Run other rules too, and show what they change.",
)
@output_option
def backtest(
    config_path: Path | None, other_path: Path | None, learning: int | None, output: str, **options: Any
) -> None:
    """Run the production engine over recorded readings: which alerts, messages and load there would have been."""
    if options["journal"]:
        config_path = config_path or DEFAULT_CONFIG
        history = _of_journal(config_path, options)
    else:
        history = _of_csv(options)
    watch = not options["journal"]  # which has the facts about silent sensors
    run = _run(history, load_rules(config_path), learning, watch=watch)
    other = _run(history, load_rules(other_path), learning, watch=watch) if other_path else None
    for problem in run.problems.named:
        click.echo(inert(problem), err=True)
    if not run.outcome.readings:
        raise GatewayError("there is no reading that could be used")
    comparison = compare(run.outcome, other.outcome) if other else None
    if output == "json":
        more = {"compare": {**describe(other), **describe_comparison(comparison)}} if other and comparison else {}
        print_json({**describe(run), **more})
    else:
        _print_run(run)
        if other and comparison:
            _print_comparison(run, other, comparison)


def _run(history: ReadHistory, config: Config, learning: int | None, *, watch: bool) -> Run:
    problems = Problems()
    return Run(run_config(history(problems), config, learning, watch=watch), config, problems)


def _of_csv(options: Mapping[str, Any]) -> ReadHistory:
    """Return what reads the file that the options name."""
    file: Path | None = options["file"]
    if file is None:
        raise click.UsageError("Give either --csv FILE or --journal")
    if (options["time_column"] is None) == (options["interval"] is None):
        raise click.UsageError("Give either --time COLUMN or --interval, such as --interval 10s")
    if options["received"] is not None and options["time_column"] is None:
        raise click.UsageError("--received needs --time COLUMN")
    if options["since"] is not None or options["until"] is not None:
        raise click.UsageError("--since and --until are for --journal")
    values = _values(options["values"])
    columns = Columns(
        values=values,
        time=options["time_column"],
        interval_us=options["interval"] or 0,
        received=options["received"],
        features=_features(options["features"], values),
        state=options["state"],
        unit=options["unit"],
    )
    missing = missing_columns(file, columns)
    if missing:
        raise click.UsageError(inert(missing))
    tags = {name: options[name] for name in ("site", "area", "machine")}
    return lambda problems: read_csv(file, columns, tags, problems)


def _values(texts: Iterable[str]) -> dict[str, str]:
    """Return sensor -> column."""
    values: dict[str, str] = {}
    for text in texts:
        column, sensor = _pair(text, "--value", "COLUMN=SENSOR")
        if len(sensor) > MAX_ID or not sensor.isprintable():
            raise click.UsageError(f"--value {inert(text)}: a sensor's id is 1 to {MAX_ID} printable characters")
        if sensor in values:
            raise click.UsageError(f"--value {text}: sensor {sensor} has a value already")
        values[sensor] = column
    if not values:
        raise click.UsageError("Give at least one --value COLUMN=SENSOR")
    return values


def _features(texts: Iterable[str], values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return sensor -> the event's field -> column."""
    features: dict[str, dict[str, str]] = {}
    for text in texts:
        column, target = _pair(text, "--feature", "COLUMN=SENSOR:FEATURE")
        sensor, _, name = target.rpartition(":")
        if name not in BY_WIRE:
            raise click.UsageError(f"--feature {inert(text)}: no feature {name!r}; there are {', '.join(BY_WIRE)}")
        if sensor not in values:
            raise click.UsageError(f"--feature {inert(text)}: sensor {sensor!r} has no --value")
        features.setdefault(sensor, {})[name] = column
    return features


def _pair(text: str, option: str, shape: str) -> tuple[str, str]:
    column, separator, sensor = text.rpartition("=")
    if not (separator and column and sensor):
        raise click.UsageError(f"{option} {inert(text)}: write {shape}")
    return column, sensor


def _of_journal(config_path: Path, options: Mapping[str, Any]) -> ReadHistory:
    """Return what reads the journal of a configuration."""
    given = [name for name in ("file", "time_column", "interval", "received", "state") if options[name] is not None]
    if given or options["values"] or options["features"]:
        raise click.UsageError("--journal takes the readings as they are: it goes with no option for columns")
    reader = open_reader(config_path)
    return lambda _: read_journal(reader, options["since"], options["until"])


def _print_run(run: Run) -> None:
    outcome = run.outcome
    span = f"{shown(at(outcome.first_ns or 0))} to {shown(at(outcome.last_ns))}"
    click.echo(f"{outcome.readings} readings, {len(outcome.sensors)} sensor(s), {span}")
    left_out = {
        "rows with bad cells": run.problems.bad_rows,
        "rows out of the order of time, left out": run.problems.out_of_order,
        "late readings, not judged": outcome.late,
        "times replaced by the receive time": outcome.clock_replaced,
    }
    for what, count in left_out.items():
        if count:
            click.echo(f"{count} {what}")
    for sensor_id, reason in outcome.not_learned.items():
        click.echo(inert(f"no baseline learned for {sensor_id}: {reason}"))
    click.echo()
    print_table(
        _COLUMNS, [_cells(entry) for entry in outcome.alerts], below=["reason"], empty="There would have been no alert."
    )
    click.echo()
    told = Counter((message.handler, message.kind) for message in notifications(run))
    rows = [(handler, kind, count) for (handler, kind), count in sorted(told.items())]
    empty = "Nobody would have been told." if run.config.routes else "There are no routes: nobody would have been told."
    print_table(("handler", "kind", "messages"), rows, empty=empty)
    click.echo()
    print_load(load_of(outcome))


def _print_comparison(run: Run, other: Run, found: Comparison) -> None:
    click.echo()
    rows = [("added", None, *_cells(entry)) for entry in found.added]
    rows += [("gone", None, *_cells(entry)) for entry in found.gone]
    rows += [("earlier", _shift(shift), *_cells(shift.after)) for shift in found.earlier]
    rows += [("later", _shift(shift), *_cells(shift.after)) for shift in found.later]
    click.echo(f"With the other rules, {found.same} alerts would have come at the same time, and:")
    print_table(("change", "by", *_COLUMNS), rows, below=["reason"], empty="nothing would have been different.")
    click.echo()
    pairs = zip(assess(load_of(run.outcome)), assess(load_of(other.outcome)), strict=True)
    figures: list[tuple[object, ...]] = [
        ("alerts", sum(entry.change == "raised" for entry in run.outcome.alerts),
         sum(entry.change == "raised" for entry in other.outcome.alerts), None),
        ("messages", len(notifications(run)), len(notifications(other)), None),
        *((before.name, before.value, after.value, before.recommended) for before, after in pairs),
    ]  # fmt: skip
    print_table(("load of alerts (ISA-18.2)", "these rules", "the others", "recommended"), figures, empty="")


def _cells(entry: AlertEntry) -> tuple[object, ...]:
    times = at(entry.opened_ns), at(entry.cleared_ns)
    return entry.severity, entry.kind, entry.sensor_id, *times, entry.row, entry.reason


def _shift(shift: Shift) -> str:
    return str(timedelta(microseconds=abs(shift.later_ns) // 1000))
