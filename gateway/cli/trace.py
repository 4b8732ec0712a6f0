"""trace: the whole life of one event."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.output import at, config_option, open_reader, output_option, print_facts, print_json, print_table
from gateway.errors import NotFoundError
from gateway.journal import life_of


@click.command()
@config_option
@output_option
@click.argument("event_id", metavar="EVENT_ID")
def trace(config_path: Path, output: str, event_id: str) -> None:
    """Show what became of a reading, stored or rejected. The id of an alert or a message leads to its reading.

    The first characters of an id are enough.
    """
    reader = open_reader(config_path)
    begun = reader.ids_that_begin(event_id)
    if len(begun) > 1 and event_id not in begun:
        raise NotFoundError(f"more than one event has an id that begins with {event_id!r}; 'events list' shows them")
    found = life_of(reader, event_id if event_id in begun else "".join(begun) or event_id)
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
    rows = [(line["step"], at(line["at"]), line["what"]) for line in found["steps"]]
    print_table(("step", "at", "what"), rows, empty="", below=["what"])
