"""alerts: what is wrong, and what became of it."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import click

from gateway.cli.commands import by_option, change, said
from gateway.cli.gateway_status import warn
from gateway.cli.output import at, config_option, open_reader, output_option, print_facts, print_json, print_table
from gateway.cli.preview import print_message, render
from gateway.cli.tables import Id, inert, shown
from gateway.commands import Commands
from gateway.config import load, load_rules, parse_duration, standing_silences
from gateway.domain.alerting.alert import Alert, describe
from gateway.domain.model.events import SEVERITIES, Severity
from gateway.domain.notification.matching import Matchers
from gateway.domain.notification.model import Item, alert_of
from gateway.domain.notification.silences import Silence, Silences
from gateway.errors import ConfigError
from gateway.journal import account_of, latest_changes
from gateway.journal.outbox.silences import all_silences

_MESSAGE = ("at", "handler", "route", "kind", "state", "alert is", "said", "by", "why", "until")
_WHOLE_ID = re.compile(r" [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_ELSEWHERE = {"tags", "faults", "acknowledged"}
_TIMES = {"openedAt", "clearedAt", "returnedAt", "shelvedUntil"}
_COLUMNS = ("severity", "state", "machine", "sensor", "since", "cleared", "reason", "id")


@click.group()
def alerts() -> None:
    """Alerts: open ones, and all there ever were."""


@alerts.command("list")
@config_option
@output_option
@click.option("--all", "everything", is_flag=True, help="The cleared ones too.")
@click.option("--machine", "machines", multiple=True, help="Only those of this machine; * stands for any end.")
@click.option("--sensor", "sensors", multiple=True, help="Only those of this sensor; * stands for any end.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="Only those of this severity.")
def list_(
    config_path: Path,
    output: str,
    machines: tuple[str, ...],
    sensors: tuple[str, ...],
    severity: Severity | None,
    *,
    everything: bool,
) -> None:
    """List the open alerts."""
    reader, wanted = open_reader(config_path), Matchers(machines=machines, sensors=sensors)
    found = {
        alert.id: alert
        for alert in reader.alerts(everything=everything)
        if severity in {None, alert.severity} and wanted.match(_item(alert))
    }
    described = [describe(alert) for alert in found.values()]
    if output == "json":
        print_json(described)
        return
    now_ns = time.time_ns()
    silences = Silences((*_standing(config_path), *all_silences(reader, now_ns)))
    rows = [
        (
            alert["severity"],
            _state(alert, silenced=silences.mute(_item(found[alert["id"]]), now_ns) is not None),
            alert["tags"].get("machine"),
            alert["sensorId"],
            at(alert["openedAt"]),
            at(alert["clearedAt"]),
            alert["reason"],
            Id(alert["id"]),
        )
        for alert in described
    ]
    empty = "There are no alerts." if everything else "No alert is open."
    if machines or sensors or severity:
        empty = "No alert is of what was asked for."
    print_table(_COLUMNS, rows, empty=empty, below=["reason"])
    warn(config_path)


@alerts.command()
@config_option
@output_option
@click.option("--render", "handler", metavar="HANDLER", help="Show instead what this handler would send.")
@click.argument("alert_id", metavar="ID")
def show(config_path: Path, output: str, alert_id: str, handler: str | None) -> None:
    """Show an alert, its changes, and who was told. The first characters of an ID are enough."""
    reader = open_reader(config_path)
    alert = reader.alert(alert_id)
    if handler is not None:
        print_message(render(load(config_path), reader, alert, handler), output)
        return
    account = account_of(reader, alert.id)
    if output == "json":
        print_json({**describe(alert), **account})
        return
    print_facts(_facts(alert))
    click.echo()
    _print_account(account)


@alerts.command()
@config_option
@output_option
@click.option("--sensor", "sensor_id", help="Without an ID: only the alerts of this sensor.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="Without an ID.")
@click.argument("alert_id", metavar="[ID]", required=False)
def history(config_path: Path, output: str, sensor_id: str | None, limit: int, alert_id: str | None) -> None:
    """Show every change of an alert and every message about it; without an ID, the latest changes of all alerts."""
    reader = open_reader(config_path)
    if alert_id is not None:
        account = account_of(reader, reader.alert(alert_id).id)
        if output == "json":
            print_json(account)
        else:
            _print_account(account)
        return
    changes = latest_changes(reader, sensor_id and reader.subject(sensor_id), limit)
    if output == "json":
        print_json(changes)
        return
    rows = [
        (
            at(row["at"]),
            row["sensorId"],
            row["severity"],
            row["change"],
            row["who"],
            row["why"],
            Id(row["alertId"]),
        )
        for row in changes
    ]
    columns = ("at", "sensor", "severity", "change", "who", "why", "id")
    print_table(columns, rows, empty="There were no alerts.", below=["why"])


def _print_account(account: Mapping[str, Any]) -> None:
    rows = [(at(row["at"]), row["change"], row["who"], row["why"], _told(row)) for row in account["history"]]
    print_table(("at", "change", "who", "why", "told"), rows, empty="", below=["why", "told"])
    click.echo()
    messages = [
        [at(row[name]) if name in {"at", "until"} else row.get(name, _named(row)) for name in _MESSAGE]
        for row in account["messages"]
    ]
    print_table(_MESSAGE, messages, empty="No message was decided on yet.", below=["said", "why"], spare=["route"])


@alerts.command()
@config_option
@output_option
@said
@click.argument("alert_id", metavar="ID")
def ack(config_path: Path, output: str, by: str, reason: str, alert_id: str) -> None:
    """Acknowledge an open alert. The first characters of an ID are enough."""
    body = {"by": by, "reason": reason}
    alert = _change(config_path, alert_id, "ack", body, lambda operations, id_: operations.acknowledge(id_, by, reason))
    _say(alert, output, f"acknowledged by {by}")


@alerts.command()
@config_option
@output_option
@by_option
@click.option("--for", "length", default="8h", show_default=True, help="For how long: 30m, 2h, 3d.")
@click.option("--reason", required=True, help="Why; whoever looks later will want to know.")
@click.argument("alert_id", metavar="ID")
def shelve(config_path: Path, output: str, by: str, length: str, reason: str, alert_id: str) -> None:  # noqa: PLR0917 - click hands them over by name
    """Shelve an open alert: nobody is told of it for a while, unless it becomes worse."""
    try:
        duration_ns = parse_duration(length)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from error
    body = {"by": by, "reason": reason, "for": length}
    alert = _change(
        config_path, alert_id, "shelve", body, lambda operations, id_: operations.shelve(id_, duration_ns, by, reason)
    )
    _say(alert, output, f"shelved by {by} until {shown(at(alert['shelvedUntil']))}")


@alerts.command()
@config_option
@output_option
@said
@click.argument("alert_id", metavar="ID")
def unshelve(config_path: Path, output: str, by: str, reason: str, alert_id: str) -> None:
    """Take an alert off the shelf before its time; if it is still open, it is told of."""
    body = {"by": by, "reason": reason}
    alert = _change(config_path, alert_id, "unshelve", body, lambda made, id_: made.unshelve(id_, by, reason))
    _say(alert, output, "not shelved any more")


def _change(
    config_path: Path,
    alert_id: str,
    action: str,
    body: Mapping[str, str],
    make: Callable[[Commands, str], Awaitable[Mapping[str, Any]]],
) -> Mapping[str, Any]:
    """Change the alert whose ID begins so, and return it."""
    found = open_reader(config_path).alert(alert_id)
    path = f"/api/v1/alerts/{found.id}/{action}"
    return change(load(config_path), path, body, lambda operations: make(operations, found.id))


def _facts(alert: Alert) -> dict[str, object]:
    """Return what is known of an alert, in words; nothing twice, and nothing that there is not."""
    facts = {key: value for key, value in describe(alert).items() if value and key not in _ELSEWHERE}
    known = {_words(key): at(value) if key in _TIMES else value for key, value in facts.items()}
    faults = ", ".join(f"{name}: {words}" for name, words in alert.faults.items())
    place = {name: value for name, value in alert.tags.items() if value not in {alert.sensor_id, alert.published_id}}
    return known | place | ({"faults": faults} if faults else {})


def _standing(config_path: Path) -> list[Silence]:
    """Return the silences of the configuration; one with a mistake, or with secrets of others, hides no alert."""
    try:
        return standing_silences(load_rules(config_path))
    except ConfigError as error:
        click.echo(f"Warning: silences of the configuration are not marked: {error}", err=True)
        return []


def _item(alert: Alert) -> Item:
    return alert_of(alert.sensor_id, alert.tags, alert.kind, alert.severity, 0)


def _state(alert: Mapping[str, Any], *, silenced: bool = False) -> str:
    """Return the state with what people have done: `active, acknowledged, shelved, silenced`."""
    marks = {
        "back to normal": alert["returnedAt"],
        "acknowledged": alert["acknowledged"],
        "shelved": alert["shelvedUntil"],
        "silenced": silenced,
    }
    marked = [] if alert["state"] == "cleared" else [mark for mark, holds in marks.items() if holds]
    return ", ".join([alert["state"], *marked])


def _say(alert: Mapping[str, Any], output: str, what: str) -> None:
    if output == "json":
        print_json(alert)
    else:
        click.echo(inert(f"{alert['sensorId']}: {alert['severity']} {what}"))


def _words(key: str) -> str:
    """Return a name of the API as people write it: `openedAt` -> `opened at`."""
    return re.sub(r"([A-Z])", lambda capital: f" {capital[0].lower()}", key).replace(" id", " ID")


def _named(message: Mapping[str, Any]) -> str | None:
    """Say whether a message about several alerts names one of them."""
    if message["alerts"] == 1 or message["named"] is None:
        return None
    return "named" if message["named"] else f"one of {message['alerts']}, not named"


def _told(change: Mapping[str, Any]) -> str | None:
    """Return who was told of a change with what outcome, and who was not, and why."""
    told = [f"{row['handler']} {row['state']} ({row['said']})" for row in change["told"]]
    return "; ".join(dict.fromkeys([*told, *map(_untold, change["untold"])])) or None


def _untold(row: Mapping[str, Any]) -> str:
    why = _WHOLE_ID.sub("", row["why"])
    until = "" if row["until"] is None or " until " in why else f" until {shown(at(row['until']))}"
    return f"{row['handler'] or 'nobody'}: {why}{until}"
