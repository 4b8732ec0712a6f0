"""trace: the whole life of one event."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.output import config_option, open_reader, output_option, print_facts, print_json, print_table
from gateway.errors import NotFoundError
from gateway.journal import life_of


@click.command()
@config_option
@output_option
@click.argument("event_id", metavar="EVENT_ID")
def trace(config_path: Path, output: str, event_id: str) -> None:
    """Show what became of a reading, stored or rejected. The id of an alert or a message leads to its reading."""
    found = life_of(open_reader(config_path), event_id)
    if found is None:
        raise NotFoundError(
            f"the journal knows no event {event_id!r}: it never came in, or it is older than retention keeps it"
        )
    if output == "json":
        print_json(found)
        return
    facts = {"event": found["eventId"], "kind": found["kind"], "sensor": found["sensorId"]}
    print_facts(facts | ({"traceparent": found["traceparent"]} if found["traceparent"] else {}))
    click.echo()
    rows = [(line["step"], line["at"], line["what"]) for line in found["steps"]]
    print_table(("step", "at", "what"), rows, empty="")
