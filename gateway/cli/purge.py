"""sensors purge: remove sensors, with all their readings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway.cli.commands import change, said
from gateway.cli.output import Duration, config_option, output_option, print_json
from gateway.cli.tables import inert
from gateway.commands import Commands
from gateway.config import Config, load
from gateway.domain.engine.purging import Selection

_PATH = "/api/v1/sensors/purge"
_SHOWN = 20
_TIMEOUT = 1800.0
"""Every reading of the journal is looked at: some hundred thousand a second."""


@click.command()
@config_option
@output_option
@said
@click.option("--pattern", help="Those whose ids are like this; a * stands for anything.")
@click.option("--not-heard-for", type=Duration(), help="Those of which nothing has come for so long: 30m, 2h, 30d.")
@click.option("--unlearned", is_flag=True, help="Those of which nothing has been learned, as invented ones.")
@click.option("--machine-states", is_flag=True, help="What machines without any sensor have said of how they run, too.")
@click.option("--yes", is_flag=True, help="Without asking.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
def purge(  # noqa: PLR0917 - click gives each by its name
    config_path: Path,
    output: str,
    by: str,
    reason: str,
    pattern: str | None,
    not_heard_for: int | None,
    ids: tuple[str, ...],
    *,
    unlearned: bool,
    machine_states: bool,
    yes: bool,
) -> None:
    """Remove sensors with all their readings: invented ones, or ones long gone. It cannot be undone.

    Those go of which everything is true that is asked for. What became of their alerts stays in the journal. One that
    publishes again is a new sensor.
    """
    wanted = {"ids": list(ids), "pattern": pattern, "notHeardFor": _seconds(not_heard_for), "unlearned": unlearned}
    body = {**wanted, "machineStates": machine_states, "by": by, "reason": reason}
    if not (ids or pattern is not None or not_heard_for or unlearned or machine_states):
        raise click.UsageError("say which: by their ids, --pattern, --not-heard-for, --unlearned, or --machine-states")
    before_ns = None if not_heard_for is None else time.time_ns() - not_heard_for
    selection = Selection(ids, pattern, before_ns, unlearned)
    config = load(config_path)
    if not yes:
        _ask(config, body, selection, machine_states=machine_states)
    made = change(config, _PATH, body, partial(_purge, selection, machine_states, by, reason), _TIMEOUT)
    if output == "json":
        print_json(made)
    else:
        click.echo(f"{made['sensors']} sensors removed, and the states of {made['machineStates']} machines")


def _ask(config: Config, body: Mapping[str, Any], selection: Selection, *, machine_states: bool) -> None:
    """Say what would go, and end unless somebody agrees."""
    found = change(config, _PATH, {**body, "dryRun": True}, lambda gateway: _found(gateway, selection))
    more = f" and {found['sensors'] - _SHOWN} more" if found["sensors"] > _SHOWN else ""
    names = f": {', '.join(found['ids'][:_SHOWN])}{more}" if found["ids"] else ""
    states = ", and the states of machines without a sensor" if machine_states else ""
    click.echo(inert(f"{found['sensors']} sensors, with all their readings{states}{names}"), err=True)
    if found["sensors"] or machine_states:
        click.confirm("Remove them? This cannot be undone.", abort=True, err=True)


async def _purge(
    selection: Selection,
    machine_states: bool,  # noqa: FBT001 - handed on
    by: str,
    reason: str,
    gateway: Commands,
) -> Mapping[str, Any]:
    return await gateway.purge(selection, by, reason, machine_states=machine_states)


async def _found(gateway: Commands, selection: Selection) -> Mapping[str, Any]:
    names = await gateway.selected(selection)
    return {"sensors": len(names), "ids": names}


def _seconds(duration_ns: int | None) -> str | None:
    return None if duration_ns is None else f"{duration_ns // 10**9}s"
