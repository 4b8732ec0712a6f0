"""sensors: who is publishing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
import msgspec

from gateway.cli.commands import change, said
from gateway.cli.gateway_status import warn
from gateway.cli.output import at, config_option, open_reader, output_option, print_facts, print_json, print_table
from gateway.cli.purge import purge
from gateway.cli.tables import Id, inert
from gateway.config import load
from gateway.domain.alerting.alert import describe
from gateway.domain.alerting.liveness import SENSOR_FORGOTTEN
from gateway.domain.engine.event_log import StoredReading, contradiction, ratio_of
from gateway.domain.model.assets import asset_of
from gateway.domain.model.reading import as_the_sensor_says, in_words, quantities_of
from gateway.domain.model.timefmt import rfc3339
from gateway.errors import GatewayError
from gateway.journal import Reader
from gateway.journal.queries.machine_states import in_words as in_state
from gateway.journal.queries.machine_states import said_state
from gateway.journal.sqlite.codec import KnownSensor

_COLUMNS = (
    "sensor",
    "site",
    "area",
    "machine",
    "level",
    "baseline",
    "ratio",
    "unit",
    "state",
    "health",
    "last reading",
)
_OTHERWISE = {"lastReading", "firstSeen", "shownLevel", "shownBaseline", "shownUnit"}
"""What a program is told; people are told it in other words."""


@click.group()
def sensors() -> None:
    """Show the sensors that have published, with their last reading; forget those that are gone."""


@sensors.command("list")
@config_option
@output_option
def list_(config_path: Path, output: str) -> None:
    """List every sensor."""
    reader = open_reader(config_path)
    found = _described(reader, reader.sensors())
    if output == "json":
        print_json(found)
    else:
        rows = [[*_shown(sensor), at(sensor["lastReading"])] for sensor in found]
        print_table(_COLUMNS, rows, empty="No sensor has published yet.", spare=["site", "area", "baseline", "unit"])
        say_what_was_heard(reader)
        warn(config_path)


@sensors.command()
@config_option
@output_option
@click.argument("sensor_id", metavar="ID")
def show(config_path: Path, output: str, sensor_id: str) -> None:
    """Show a sensor: where it is, what is normal for it, and its alerts."""
    reader = open_reader(config_path)
    sensor_id = reader.subject(sensor_id)
    sensor = next((known for known in reader.sensors() if known.id == sensor_id), None)
    unused = _unused(reader, sensor_id if sensor is None else sensor.published)
    if sensor is None:
        raise GatewayError(f"no sensor {sensor_id!r} has published yet{unused and f', but {unused}'}")
    alerts = [describe(alert) for alert in reader.alerts(everything=True) if alert.sensor_id == sensor_id]
    (facts,) = _described(reader, [sensor])
    newest = reader.last_readings(sensor.key - 1, sensor.key).get(sensor.key)
    said = said_state(reader, asset_of(sensor.tags), newest)
    facts |= {"machineState": msgspec.to_builtins(said), "notJudged": reader.not_judged(sensor.key)}
    facts["contradiction"] = contradiction(newest)
    baselines = [entry.fact.data for entry in reader.entries(sensor_id, "BaselineLearned", None, None, 5)]
    if output == "json":
        print_json({**facts, "baselines": baselines, "alerts": alerts})
        return
    facts["quantities"] = in_words(facts["quantities"])
    counts = facts.pop("notJudged")
    facts["not judged"] = ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
    facts["machine state"] = in_state(said)
    del facts["machineState"]
    times = {"last reading": at(facts["lastReading"]), "first seen": at(facts["firstSeen"])}
    facts |= {"level": facts["shownLevel"], "baseline": facts["shownBaseline"], "unit": facts["shownUnit"]}
    print_facts({name: value for name, value in facts.items() if value and name not in _OTHERWISE} | times)
    if unused:
        click.echo(inert(f"\nNot everything of it could be used: {unused}"))
    click.echo()
    print_table(
        ("version", "source", "level", "sigma", "readings", "from", "to"),
        [
            [
                *(row[name] for name in ("version", "source", "level", "sigma", "readings")),
                at(row["from"]),
                at(row["to"]),
            ]
            for row in baselines
        ],
        empty="No baseline has been learned for it.",
    )
    click.echo()
    print_table(
        ("severity", "state", "since", "cleared", "reason", "id"),
        [
            (row["severity"], row["state"], at(row["openedAt"]), at(row["clearedAt"]), row["reason"], Id(row["id"]))
            for row in alerts
        ],
        empty="It has never had an alert.",
        below=["reason"],
    )


@sensors.command()
@config_option
@output_option
@said
@click.argument("sensor_id", metavar="ID")
def forget(config_path: Path, output: str, by: str, reason: str, sensor_id: str) -> None:
    """Wait no longer for a sensor that is gone: its alerts end. Its history stays, and a reading brings it back."""
    made = change(
        load(config_path),
        f"/api/v1/sensors/{quote(sensor_id, safe='')}/forget",
        {"by": by, "reason": reason},
        lambda operations: operations.forget(sensor_id, by, reason),
    )
    if output == "json":
        print_json(made)
    else:
        click.echo(
            inert(f"{sensor_id}: forgotten, as {by} wanted; its history stays, and its next reading brings it back")
        )


sensors.add_command(purge)


def _shown(sensor: dict[str, Any]) -> list[Any]:
    """Return the cells of a sensor but the last, its level and baseline in its own unit."""
    own = {name: sensor[f"shown{name.capitalize()}"] for name in ("level", "baseline", "unit")}
    return [(sensor | own)[name] for name in _COLUMNS[:-1]]


def say_what_was_heard(reader: Reader) -> None:
    """Say below a table what came in and was not understood, if anything was."""
    if summary := reader.heard().in_words():
        click.echo(f"\n{inert(summary[0].upper() + summary[1:])}.\n'deadletters groups' shows what it was and why.")


def _unused(reader: Reader, sensor_id: str) -> str:
    """Say what came on the topics of a sensor and could not be used; nothing if nothing did."""
    letters = [letter for letter in reader.dead_letters(None, -1, sensor_id) if sensor_id in letter["topic"].split("/")]
    if not letters:
        return ""
    newest = f"{letters[0]['reason']}, {letters[0]['detail']}"
    command = f"'deadletters list --topic {sensor_id}'"
    return f"dead letters came on its topic: {len(letters)}, the newest {newest}; see {command}"


def _described(reader: Reader, known: Iterable[KnownSensor]) -> list[dict[str, Any]]:
    """Return each sensor with its newest reading, the worst that is open, and how it is itself."""
    last = reader.last_readings()
    alerts = reader.alerts(everything=False)
    severity = {alert.sensor_id: alert.severity for alert in alerts}
    faults = {alert.sensor_id: ", ".join(sorted(alert.faults)) for alert in alerts if alert.kind == "sensor"}
    forgotten = list(reader.entries(None, SENSOR_FORGOTTEN, None, None, -1))
    since = {entry.fact.subject: entry.seq for entry in reversed(forgotten)}
    rows = []
    for sensor in known:
        reading = last.get(sensor.key)
        is_forgotten = sensor.id in since and (reading is None or reading.seq < since[sensor.id])
        health = "forgotten" if is_forgotten else faults.get(sensor.id, "ok")
        rows.append({**_row(sensor, reading, severity.get(sensor.id)), "health": health})
    return rows


def _row(sensor: KnownSensor, last: StoredReading | None, severity: str | None) -> dict[str, Any]:
    level = last.level if last else None
    data = last.event().data if last else None
    baseline = last.baseline if last else None
    return {
        "sensor": sensor.id,
        **{name: sensor.tags.get(name) for name in ("site", "area", "machine")},
        "location": sensor.location,
        "level": level,
        "baseline": baseline,
        "ratio": ratio_of(level, baseline),
        "unit": sensor.unit,
        **as_the_sensor_says(level, baseline, sensor.unit, data.sensor_unit if data else None),
        "quantities": quantities_of(data) if data else {},
        "state": severity or ("ok" if baseline or (last and level is None) else "learning"),
        "lastReading": rfc3339(last.time_ns) if last else None,
        "firstSeen": rfc3339(sensor.first_seen_ns),
    }
