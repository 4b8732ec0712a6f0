"""stats: the gateway in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gateway.cli.output import config_option, open_reader, output_option, print_facts, print_json, print_table


@click.command()
@config_option
@output_option
def stats(config_path: Path, output: str) -> None:
    """Show what the journal holds, how far the consumers are, and what became of the notifications."""
    reader = open_reader(config_path)
    last = reader.last_seq()
    open_alerts = reader.alerts(everything=False)
    facts: dict[str, Any] = {
        "sensors": len(reader.sensors()),
        "readings": reader.count_readings(),
        "deadLetters": reader.dead_letters_by_reason(),
        "openAlerts": {
            severity: sum(alert.severity == severity for alert in open_alerts) for severity in ("critical", "warning")
        },
        "journalBytes": reader.size(),
        "lastSeq": last,
        "consumers": {name: {"cursor": seq, "behind": last - seq} for name, seq in reader.cursors().items()},
        "notifications": [
            {"handler": handler, "state": state, "count": count} for handler, state, count in reader.outbox_counts()
        ],
    }
    if output == "json":
        print_json(facts)
        return
    print_facts(
        {
            "sensors": facts["sensors"],
            "readings": facts["readings"],
            "dead letters": ", ".join(f"{count} {reason}" for reason, count in facts["deadLetters"].items()) or "none",
            "open alerts": ", ".join(f"{count} {severity}" for severity, count in facts["openAlerts"].items()),
            "journal": f"{facts['journalBytes'] / 1e6:.1f} MB, up to entry {last}",
        }
    )
    click.echo()
    consumers = [(name, where["cursor"], where["behind"]) for name, where in facts["consumers"].items()]
    print_table(("consumer", "is at", "behind"), consumers, empty="No consumer has run yet.")
    click.echo()
    told = [(row["handler"], row["state"], row["count"]) for row in facts["notifications"]]
    print_table(("handler", "state", "messages"), told, empty="Nobody has been told anything yet.")
