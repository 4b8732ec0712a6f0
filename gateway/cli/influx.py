"""influx: what the database has of the journal."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.commands import change
from gateway.cli.output import Moment, config_option, open_reader, output_option, print_json
from gateway.config import Config, load
from gateway.consumers import SECTIONS
from gateway.errors import GatewayError


@click.group()
def influx() -> None:
    """Look after the history in InfluxDB."""


@influx.command()
@config_option
@output_option
@click.option("--since", type=Moment(), required=True, help="What came from this time on, or for so long: 7d.")
@click.option("--consumer", default=SECTIONS["influxdb"], show_default=True, help="consumer.NAME for another database.")
def backfill(config_path: Path, output: str, since: int, consumer: str) -> None:
    """Write what the journal has to InfluxDB again: into a new bucket, or after points were lost or refused there.

    A point that is there already stays one point. What comes in meanwhile is written after it; `stats` shows how far
    it is.
    """
    config, reader = load(config_path), open_reader(config_path)
    if consumer not in (known := _databases(config)):
        raise GatewayError(f"there is no InfluxDB {consumer!r} in the configuration (there are: {', '.join(known)})")
    after = reader.before(since)
    if after is None:
        click.echo("Nothing has come in since then.")
        return
    rows = reader.last_seq() - after
    change(
        config,
        f"/api/v1/consumers/{consumer}/backfill",
        {"after": after},
        lambda operations: operations.backfill(consumer, after),
    )
    if output == "json":
        print_json({"consumer": consumer, "after": after, "entries": rows})
    else:
        click.echo(f"{rows} entries of the journal are written again; `stats` shows how far {consumer} is")


def _databases(config: Config) -> list[str]:
    """Return the cursors of those who write to an InfluxDB."""
    own = [SECTIONS["influxdb"]] if config.influxdb is not None else []
    return own + [f"consumer.{name}" for name, table in config.consumers.items() if table.type == "influxdb"]
