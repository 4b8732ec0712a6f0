"""silences: for what nobody is told, until when, and who wanted it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.commands import by_option, change
from gateway.cli.output import Moment, Tag, at, config_option, open_reader, output_option, print_json, print_table
from gateway.cli.tables import Id, inert, shown
from gateway.config import load, parse_duration, standing_silences
from gateway.domain.model.alert_kinds import ALERT_KINDS
from gateway.domain.model.events import SEVERITIES
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.matching import DIMENSIONS, Matchers
from gateway.domain.notification.model import alert_of
from gateway.domain.notification.silences import Silence, describe_now, wanted
from gateway.errors import GatewayError
from gateway.journal import Reader
from gateway.journal.outbox.silences import all_silences

_COLUMNS = ("state", "what", "until", "owner", "reason", "id")
_HELP = {
    "site": "Only there; the same for the others. May be given several times.",
    "machine": "A name, or its beginning and a star: 'pump-*'.",
}


def _matcher_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for each dimension, and one for the placeholders."""
    tag = click.option("--tag", "tags", multiple=True, type=Tag(), metavar="NAME=VALUE", help="Another placeholder.")
    command = tag(command)
    for each in reversed(DIMENSIONS):
        type_, help_ = click.Choice(each.choices) if each.choices else None, _HELP.get(each.name)
        command = click.option(f"--{each.name}", each.names, multiple=True, type=type_, help=help_)(command)
    return command


@click.group()
def silences() -> None:
    """Silences: what nobody is told of for a while, with an owner, a reason and an end."""


@silences.command()
@config_option
@output_option
@_matcher_options
@click.option("--severity", type=click.Choice(SEVERITIES), default="critical", show_default=True, help="And milder.")
@click.option("--for", "length", help="How long: 30m, 2h, 3d.")
@click.option("--until", "until_ns", type=Moment(ahead=True), help="Or until when: 07:00 (the next), 2026-01-31T12:00.")
@click.option("--starts", "starts_ns", type=Moment(ahead=True), help="From when on.  [default: now]")
@by_option
@click.option("--reason", required=True, help="Why.")
def add(  # noqa: PLR0917 - click hands them over by name
    config_path: Path,
    output: str,
    length: str | None,
    until_ns: int | None,
    starts_ns: int | None,
    by: str,
    reason: str,
    tags: tuple[tuple[str, str], ...],
    **matchers: Any,
) -> None:
    """Tell nobody of what matches, for a while. What is still active at the end is told then."""
    now_ns = time.time_ns()
    ends_ns = _end(length, until_ns, now_ns if starts_ns is None else starts_ns)
    parts = {**matchers, "tags": _lists(tags), "until": rfc3339(ends_ns)}
    if starts_ns is not None:
        parts["starts"] = rfc3339(starts_ns)
    try:
        silence = wanted(parts, by, reason, now_ns)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    made = change(
        load(config_path),
        "/api/v1/silences",
        {**parts, "by": by, "reason": reason},
        lambda operations: operations.add_silence(parts, by, reason),
    )
    if not _is_of_any_sensor(silence, open_reader(config_path)):
        click.echo(
            "Warning: no sensor of it has ever published; is the name right? 'sensors list' shows them", err=True
        )
    if output == "json":
        print_json(made)
    else:
        span = f"{_begin(starts_ns)} until {shown(at(made['endsAt']))}"
        click.echo(inert(f"{made['id'][:8]}: nobody is told of {_what(made)}{span}"))


@silences.command("list")
@config_option
@output_option
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
def list_(config_path: Path, output: str, *, everything: bool) -> None:
    """List the silences that hold or will, those of the configuration too."""
    now_ns = time.time_ns()
    added = all_silences(open_reader(config_path), 0 if everything else now_ns)
    standing = standing_silences(load(config_path))
    found = [describe_now(silence, now_ns) for silence in (*standing, *added)]
    if output == "json":
        print_json(found)
        return
    names = {silence.id for silence in standing}
    rows = [
        (one["state"], _what(one), at(one["until"] or one["endsAt"]), one["owner"], one["reason"], id_)
        for one in found
        for id_ in [one["id"] if one["id"] in names else Id(one["id"])]
    ]
    print_table(_COLUMNS, rows, empty="There are no silences.", below=["reason"])


@silences.command()
@config_option
@output_option
@by_option
@click.argument("silence_id", metavar="ID")
def expire(config_path: Path, output: str, by: str, silence_id: str) -> None:
    """End a silence now. The first characters of an ID are enough."""
    config = load(config_path)
    if any(silence.id == silence_id for silence in standing_silences(config)):
        raise GatewayError(f"{silence_id} is in the configuration; it ends when its [[silences]] table is removed")
    found = [one.id for one in all_silences(open_reader(config_path), time.time_ns()) if one.id.startswith(silence_id)]
    if len(found) != 1:
        many = "more than one silence has" if found else "no silence that holds or will has"
        raise GatewayError(f"{many} an id that begins with {silence_id!r}; 'silences list' shows them")
    ended = change(
        config,
        f"/api/v1/silences/{found[0]}/expire",
        {"by": by},
        lambda operations: operations.expire_silence(found[0], by),
    )
    if output == "json":
        print_json(ended)
    else:
        click.echo(inert(f"{ended['id'][:8]}: ended; what it muted and is still active is told now"))


def _end(length: str | None, until_ns: int | None, starts_ns: int) -> int:
    if (length is None) == (until_ns is None):
        raise click.UsageError("say how long by --for, or until when by --until")
    try:
        return starts_ns + parse_duration(length) if until_ns is None else until_ns
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from error


def _begin(starts_ns: int | None) -> str:
    return "" if starts_ns is None else f" from {shown(at(starts_ns))}"


def _is_of_any_sensor(silence: Silence, reader: Reader) -> bool:
    """Tell whether a silence may match an alert of a sensor that has published, or is about the gateway itself."""
    kinds = silence.matchers.kinds or ("machine",)
    if not all(ALERT_KINDS[kind].is_of_sensor for kind in kinds):
        return True
    alerts = (alert_of(sensor.id, sensor.tags, kinds[0], "warning", 0) for sensor in reader.sensors())
    return any(map(silence.matchers.match, alerts))


def _lists(tags: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for name, value in tags:
        lists.setdefault(name, []).append(value)
    return lists


def _what(silence: Any) -> str:
    matchers = msgspec.convert(silence, Matchers)
    names = [f"{name} {', '.join(values)}" for name, values in matchers.named().items()]
    return ", ".join(names) + (" (warnings only)" if silence["severity"] == "warning" else "")
