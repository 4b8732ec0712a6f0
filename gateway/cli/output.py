"""Printing: tables for people, JSON for programs. What came from outside is shown, never interpreted."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli import JOURNAL
from gateway.cli.tables import escaped, lines, shown
from gateway.config import Config, load_state_dir, load_zone, parse_duration
from gateway.domain.alerting.kpis import Kpis, assess
from gateway.domain.model.timefmt import local, microseconds
from gateway.journal import FILE_NAME, Reader

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_CONFIG = Path("/etc/vibration-gateway/gateway.toml")
_CLOCK = re.compile(r"(\d\d):(\d\d)")

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    is_eager=True,  # a time is read in its zone
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
    is_eager=True,  # a time is read in its zone
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="VIBRATION_GATEWAY_CONFIG",
    help="The rules and routes to try; its other tables do not matter.  [default: the shipped rules]",
)
output_option = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How to print."
)


def zone() -> ZoneInfo:
    """Return the time zone of the configuration that the running command was given."""
    context = click.get_current_context()
    if "zone" not in context.meta:
        context.meta["zone"] = load_zone(context.params.get("config_path"))
    found: ZoneInfo = context.meta["zone"]
    return found


class Tag(click.ParamType[tuple[str, str]]):
    """A placeholder of the topics and what it has captured: line=L1."""

    name = "tag"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return (placeholder, text)."""
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not (name and equals and text):
            self.fail(f"{value!r} is no placeholder with a value, such as line=L1", param, ctx)
        return name, text


class Duration(click.ParamType[int]):
    """A duration, in nanoseconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the duration."""
        try:
            return value if isinstance(value, int) else parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[int]):
    """A time on the command line, in ns: RFC 3339 (without a zone in the gateway's), "07:00", or how long: "2h".

    A length counts from now into the past, and a time of the day is today's; `ahead`, into the future, and the next.
    """

    name = "time"

    def __init__(self, *, ahead: bool = False) -> None:
        self._ahead = ahead

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return nanoseconds since 1970."""
        if isinstance(value, int):
            return value
        now_ns = time.time_ns()
        try:
            return _in_range(now_ns + (1 if self._ahead else -1) * parse_duration(value))
        except ValueError:
            pass
        try:
            return _in_range(_ns(_of_day(str(value), now_ns, ahead=self._ahead) or datetime.fromisoformat(str(value))))
        except ValueError:
            how = "how long from now" if self._ahead else "how long ago"
            self.fail(f"{value!r} is neither a time (2026-01-31T12:00, 07:00) nor {how} (90s, 2h, 7d)", param, ctx)


def _of_day(text: str, now_ns: int, *, ahead: bool) -> datetime | None:
    """Return when it is so late today, or (ahead) for the next time; None for what is no time of a day."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    now = local(now_ns, zone()).replace(tzinfo=None)
    then = now.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    return then + timedelta(days=1) if ahead and then <= now else then


def _ns(moment: datetime) -> int:
    return microseconds(moment if moment.tzinfo else moment.replace(tzinfo=zone())) * 1000


def _in_range(ns: int) -> int:
    """Return a time, or the nearest one that the journal can hold."""
    return max(-(2**63), min(ns, 2**63 - 1))


def window_options(function: F) -> F:
    """Add --since and --until."""
    until = click.option("--until", type=Moment(), callback=_in_order, help="Before this time.")
    since = click.option("--since", type=Moment(), callback=_in_order, help="From this time on, or for so long: 2h.")
    return since(until(function))


def _in_order(context: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    """Refuse a window that ends before it begins; whichever is given first does not know the other yet."""
    given = {**context.params, str(parameter.name): value}
    since, until = given.get("since"), given.get("until")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until")
    return value


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
    """Print a value as JSON. What could command a terminal is escaped, as JSON allows: it reads as the same text."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    click.echo(escaped(text.decode(errors="replace")))  # a body, as it was published, need not be UTF-8 throughout


def at(value: str | int | None) -> datetime | None:
    """Return a time (RFC 3339, or ns since 1970) in the gateway's zone, as tables show it."""
    if value is None:
        return None
    return local(_ns(datetime.fromisoformat(value)) if isinstance(value, str) else value, zone())


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    empty: str,
    below: Sequence[str] = (),
    spare: Sequence[str] = (),
) -> None:
    """Print a table, or a sentence where there is nothing to print. Numbers stand to the right.

    On a narrow terminal the texts of `below` stand below their rows, and the columns of `spare` are left out.
    """
    if not rows:
        click.echo(empty)
        return
    out = console()
    for number, line in enumerate(lines(columns, rows, out.width, below, spare)):
        out.print(Text(line, style="" if number else "bold"), soft_wrap=True)


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


def console() -> Console:
    """Return where tables are printed: as wide as the terminal, or as wide as need be in a pipe."""
    return Console(soft_wrap=False, width=None if sys.stdout.isatty() else 240, highlight=False, emoji=False)
