"""sensors: who is publishing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gateway.api import StoredReading
from gateway.cli.output import config_option, open_reader, output_option, print_facts, print_json, print_table
from gateway.domain.alerts import describe
from gateway.domain.events import rfc3339
from gateway.errors import GatewayError
from gateway.journal.states import KnownSensor

_COLUMNS = ("sensor", "site", "area", "machine", "level", "baseline", "ratio", "unit", "state", "lastReading")


@click.group()
def sensors() -> None:
    """Show the sensors that have published, with their last reading."""


@sensors.command("list")
@config_option
@output_option
def list_(config_path: Path, output: str) -> None:
    """List every sensor."""
    reader = open_reader(config_path)
    alerts = {alert.sensor_id: alert.severity for alert in reader.alerts(everything=False)}
    last = reader.last_readings()
    found = [_described(sensor, last.get(sensor.key), alerts.get(sensor.id)) for sensor in reader.sensors()]
    if output == "json":
        print_json(found)
    else:
        rows = [[sensor[name] for name in _COLUMNS] for sensor in found]
        print_table(_COLUMNS, rows, empty="No sensor has published yet.")


@sensors.command()
@config_option
@output_option
@click.argument("sensor_id", metavar="ID")
def show(config_path: Path, output: str, sensor_id: str) -> None:
    """Show a sensor: where it is, what is normal for it, and its alerts."""
    reader = open_reader(config_path)
    sensor = next((known for known in reader.sensors() if known.id == sensor_id), None)
    if sensor is None:
        raise GatewayError(f"no sensor {sensor_id!r} has published yet")
    alerts = [describe(alert) for alert in reader.alerts(everything=True) if alert.sensor_id == sensor_id]
    severity = next((alert["severity"] for alert in alerts if alert["state"] != "cleared"), None)
    facts = _described(sensor, reader.last_readings().get(sensor.key), severity)
    baselines = [entry.fact.data for entry in reader.entries(sensor_id, "BaselineLearned", None, None, 5)]
    if output == "json":
        print_json({**facts, "baselines": baselines, "alerts": alerts})
        return
    print_facts(facts)
    click.echo()
    print_table(
        ("version", "source", "level", "sigma", "readings", "from", "to"),
        [
            [row[name] for name in ("version", "source", "level", "sigma", "readings", "from", "to")]
            for row in baselines
        ],
        empty="No baseline has been learned for it.",
    )
    click.echo()
    print_table(
        ("severity", "state", "since", "cleared", "reason"),
        [(row["severity"], row["state"], row["openedAt"], row["clearedAt"], row["reason"]) for row in alerts],
        empty="It has never had an alert.",
    )


def _described(sensor: KnownSensor, last: StoredReading | None, severity: str | None) -> dict[str, Any]:
    level = last.level if last else None
    baseline = last.baseline if last else None
    return {
        "sensor": sensor.id,
        **{name: sensor.tags.get(name) for name in ("site", "area", "machine")},
        "location": sensor.location,
        "level": level,
        "baseline": baseline,
        "ratio": level / baseline if level is not None and baseline else None,
        "unit": sensor.unit,
        "state": severity or ("ok" if baseline else "learning"),
        "lastReading": rfc3339(last.time_ns) if last else None,
        "firstSeen": rfc3339(sensor.first_seen_ns),
    }
