"""Printing: tables for people, JSON for programs. What came from outside is shown, never interpreted."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli import JOURNAL
from gateway.config import Config, load_state_dir, parse_duration
from gateway.domain.events import microseconds
from gateway.domain.kpis import Kpis, assess
from gateway.journal import FILE_NAME, Reader

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_CONFIG = Path("/etc/vibration-gateway/gateway.toml")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line separators, and marks that turn the direction of the text around."""

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    show_default=True,
    envvar="VIBRATION_GATEWAY_CONFIG",
    help="The configuration.",
)
rules_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="VIBRATION_GATEWAY_CONFIG",
    help="The rules and routes to try; its other tables do not matter.  [default: the shipped rules]",
)
output_option = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How to print."
)


class Moment(click.ParamType[int]):
    """A time on the command line, in ns: RFC 3339, a date, or how long ago ("2h")."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return nanoseconds since 1970."""
        if isinstance(value, int):
            return value
        try:
            return _in_range(int(datetime.now(UTC).timestamp() * 1e9) - parse_duration(value))
        except ValueError:
            pass
        try:
            return _in_range(microseconds(datetime.fromisoformat(str(value))) * 1000)
        except ValueError:
            self.fail(f"{value!r} is neither a time (2026-01-31T12:00:00Z) nor how long ago (90s, 2h, 7d)", param, ctx)


def _in_range(ns: int) -> int:
    """Return a time, or the nearest one that the journal can hold."""
    return max(-(2**63), min(ns, 2**63 - 1))


def window_options(function: F) -> F:
    """Add --since and --until."""
    until = click.option("--until", type=Moment(), callback=_after_since, help="Before this time.")
    since = click.option("--since", type=Moment(), is_eager=True, help="From this time on, or for so long: 2h.")
    return since(until(function))


def _after_since(context: click.Context, _: click.Parameter, until: int | None) -> int | None:
    since = context.params.get("since")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until")
    return until


def open_reader(config_path: Path) -> Reader:
    """Return a reader of the journal that a configuration names; it is closed when the command ends."""
    context = click.get_current_context()
    context.meta[JOURNAL] = path = load_state_dir(config_path) / FILE_NAME
    reader = Reader(path)
    context.call_on_close(reader.close)
    return reader


def journal_path(config: Config) -> Path:
    """Return where the journal is."""
    return config.gateway.state_dir / FILE_NAME


def print_json(value: object) -> None:
    """Print a value as JSON."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    click.echo(text.decode(errors="replace"))  # a body, as it was published, need not be UTF-8 throughout


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print a table, or a sentence where there is nothing to print. Numbers stand to the right."""
    if not rows:
        click.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        is_number = all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row))
    console().print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print names and values, one a line."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(name, Text(shown(value)))
    console().print(table)


def print_load(found: Kpis) -> None:
    """Print the load of alerts beside what is recommended for it."""
    marks = {None: None, True: "ok", False: "too much"}
    rows = [(figure.name, figure.value, figure.recommended, marks[figure.met]) for figure in assess(found)]
    print_table(("load of alerts (ISA-18.2)", "value", "recommended", ""), rows, empty="")


def shown(value: object) -> str:
    """Return a value as text that cannot command a terminal."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return inert(str(value)).replace("\n", "\\x0a")


def inert(text: str) -> str:
    """Return text with its control characters made visible."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def console() -> Console:
    """Return where tables are printed: as wide as the terminal, or as wide as need be in a pipe."""
    return Console(soft_wrap=False, width=None if sys.stdout.isatty() else 240, highlight=False, emoji=False)
