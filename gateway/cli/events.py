"""events: what the journal holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.cli.export import export_command, fact_row
from gateway.cli.output import at, config_option, open_reader, output_option, print_json, print_table, window_options
from gateway.cli.tables import Id
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.engine.event_types import FACT_TYPES
from gateway.domain.model.reading import FLAG_NAMES
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.silences import ADDED, EXPIRED
from gateway.journal import READINGS, Reader

_TYPES = (READINGS, *FACT_TYPES)
_COLUMNS = ("time", "type", "sensor", "level", "baseline", "flags", "id")


@click.group()
def events() -> None:
    """Show readings and the facts that followed from them."""


events.add_command(export_command, "export")


@events.command()
@config_option
@click.option("--sensor", help="Of this sensor only.")
@click.option(
    "--type", "type_", type=click.Choice([*_TYPES, "all"]), default=READINGS, show_default=True, metavar="TYPE",
    help="Of this type; 'all' for every one.",
)  # fmt: skip
@window_options
def count(config_path: Path, sensor: str | None, type_: str, since: int | None, until: int | None) -> None:
    """Print how many events there are, as one integer."""
    reader = open_reader(config_path)
    number = 0
    if type_ in {READINGS, "all"}:
        number += reader.count(sensor, since, until)
    if type_ != READINGS:
        number += reader.count_entries(sensor, None if type_ == "all" else type_, since, until)
    click.echo(number)


@events.command("list")
@config_option
@output_option
@click.option("--sensor", help="Of this sensor only.")
@click.option(
    "--type", "type_", type=click.Choice(_TYPES), metavar="TYPE",
    help="Of this type only, such as VibrationRecorded or AlertRaised.",
)  # fmt: skip
@window_options
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="The newest so many.")
def list_(  # noqa: PLR0917 - click calls it by name
    config_path: Path,
    output: str,
    sensor: str | None,
    type_: str | None,
    since: int | None,
    until: int | None,
    limit: int,
) -> None:
    """List events, the newest last."""
    reader = open_reader(config_path)
    sensor = sensor and reader.subject(sensor)
    found = list(_newest(reader, sensor, type_, (since, until), limit))
    found.sort(key=lambda item: item.seq)
    if output == "json":
        print_json([_whole(item) for item in found])
    else:
        rows = [[_row(item)[name] for name in _COLUMNS] for item in found]
        print_table(_COLUMNS, rows, empty="There are no such events.", spare=["baseline"])


def _newest(
    reader: Reader, sensor: str | None, type_: str | None, window: tuple[int | None, int | None], limit: int
) -> list[StoredReading | EventRecord]:
    found: list[StoredReading | EventRecord] = []
    if type_ in {None, READINGS}:
        found += reader.readings(sensor, *window, limit)
    if type_ != READINGS:
        found += reader.entries(sensor, type_, *window, limit)
    return sorted(found, key=_time_ns, reverse=True)[:limit]


def _time_ns(item: StoredReading | EventRecord) -> int:
    return item.fact.time_ns if isinstance(item, EventRecord) else item.time_ns


def _row(item: StoredReading | EventRecord) -> dict[str, Any]:
    if isinstance(item, EventRecord):
        fact = item.fact
        data = fact.data
        return {
            "time": at(fact.time_ns),
            "type": fact.type,
            "sensor": Id(fact.subject) if fact.type in {ADDED, EXPIRED} else fact.subject,
            "level": data.get("level"),
            "baseline": data.get("baseline"),
            "flags": None,
            "id": Id(fact.id),
        }
    return {
        "time": at(item.time_ns),
        "type": READINGS,
        "sensor": item.sensor_id,
        "level": item.level,
        "baseline": item.baseline,
        "flags": " ".join(_flags(item)) or None,
        "id": Id(item.event_id),
    }


def _whole(item: StoredReading | EventRecord) -> dict[str, Any]:
    """Return everything about an event, for programs."""
    if isinstance(item, EventRecord):
        return fact_row(item)
    return {
        "seq": item.seq,
        "eventId": item.event_id,
        "eventType": READINGS,
        "timestamp": rfc3339(item.time_ns),
        "receivedAt": rfc3339(item.received_ns),
        "sensorId": item.sensor_id,
        "level": item.level,
        "baseline": item.baseline,
        "flags": _flags(item),
        "event": msgspec.Raw(item.body),
    }


def _flags(reading: StoredReading) -> list[str]:
    return [name for flag, name in FLAG_NAMES.items() if reading.flags & flag]
