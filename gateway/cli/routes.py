"""routes: who would be told of an alert, and why somebody not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gateway.cli.output import Moment, Tag, at, config_option, output_option, print_json, print_table
from gateway.cli.tables import shown
from gateway.config import Config, load, route_table, standing_silences
from gateway.domain.model.alert_kinds import ALERT_KINDS, AlertKind
from gateway.domain.model.events import SEVERITIES, Severity
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.model import Item, alert_of
from gateway.domain.notification.routing import Route, RouteTable, refusal
from gateway.domain.notification.silences import Silence, Silences
from gateway.errors import GatewayError
from gateway.journal import FILE_NAME, Reader
from gateway.journal.outbox.silences import all_silences

_COLUMNS = ("route", "handler", "when", "why")
When = str | tuple[str, int]
"""Words, or a word and a time in ns."""


@click.group()
def routes() -> None:
    """Routes: try them before an alert does."""


@routes.command()
@config_option
@output_option
@click.option("--severity", type=click.Choice(SEVERITIES), default="critical", show_default=True)
@click.option("--kind", type=click.Choice(list(ALERT_KINDS)), default="machine", show_default=True)
@click.option("--site", default="")
@click.option("--area", default="")
@click.option("--machine", default="")
@click.option("--sensor", default="")
@click.option("--tag", "tags", multiple=True, type=Tag(), metavar="NAME=VALUE", help="Another placeholder.")
@click.option("--at", "at_ns", type=Moment(), help="As if it were then.  [default: now]")
def test(  # noqa: PLR0917 - click hands them over by name
    config_path: Path,
    output: str,
    severity: Severity,
    kind: AlertKind,
    at_ns: int | None,
    tags: tuple[tuple[str, str], ...],
    sensor: str,
    **place: str,
) -> None:
    """Print who would be told of an alert, when and why, and which routes do not take it. Nothing is sent."""
    config = load(config_path)
    now_ns = time.time_ns() if at_ns is None else at_ns
    item = alert_of(sensor, {**place, **dict(tags)}, kind, severity, now_ns)
    muted = Silences([*standing_silences(config), *_added(config)]).mute(item, now_ns)
    rows = _rows(route_table(config), item, now_ns, muted)
    if output == "json":
        told = [dict(zip(_COLUMNS, (*row[:2], _when(row[2], rfc3339), row[3]), strict=True)) for row in rows]
        print_json({"at": rfc3339(now_ns), "told": told})
        return
    click.echo(f"An alert at {shown(at(now_ns))}:\n")
    cells = [(*row[:2], _when(row[2], lambda ns: shown(at(ns))), row[3]) for row in rows]
    print_table(_COLUMNS, cells, empty="There are no routes, so nobody would be told.", below=["why"])


def _when(when: When, written: Callable[[int], str]) -> str:
    return when if isinstance(when, str) else f"{when[0]} {written(when[1])}"


def _rows(
    table: RouteTable, item: Item, now_ns: int, muted: tuple[Silence, int] | None
) -> list[tuple[str, str | None, When, str]]:
    """Return (route, handler, when, why) of everybody who would be told, and of the routes that tell nobody."""
    rows: list[tuple[str, str | None, When, str]] = []
    matched = dict(table.match(item, now_ns))
    for name, route in table.by_name.items():
        if name not in matched:
            rows.append((name, None, "never", refusal(route, item, now_ns) or "an earlier route tells its handlers"))
            continue
        when, why = _first(route, item, now_ns, muted)
        rows += [(name, handler, when, why) for handler in matched[name]]
        after_ns = 0
        for number, step in enumerate(route.steps, start=1):
            after_ns += step.after_ns
            then = f"{after_ns / 6e10:g} min later"
            told = table.resolve(step.handlers, now_ns)
            rows += [(name, handler, then, f"step {number}, if nobody acknowledges") for handler in told]
    return rows


def _first(route: Route, item: Item, now_ns: int, muted: tuple[Silence, int] | None) -> tuple[When, str]:
    if muted is not None:
        silence, until_ns = muted
        return ("from", until_ns), f"silenced by {silence.owner}: {silence.reason}; told then if still active"
    if route.quiet is not None and item.severity == "warning" and route.quiet.contain(now_ns):
        return ("at", route.quiet.until(now_ns)), "quiet hours: warnings wait for their end"
    return "at once", "the first of its group; what follows is gathered"


def _added(config: Config) -> list[Any]:
    """Return the silences that people have added, if there is a journal yet."""
    try:
        reader = Reader(config.gateway.state_dir / FILE_NAME)
    except GatewayError:
        return []
    try:
        return all_silences(reader)
    finally:
        reader.close()
