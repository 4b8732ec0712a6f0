"""stats: the gateway in numbers."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from gateway.cli.gateway_status import GatewayStatus, condition
from gateway.cli.output import (
    at,
    config_option,
    open_reader,
    output_option,
    print_facts,
    print_json,
    print_load,
    print_table,
    window_options,
)
from gateway.cli.tables import shown
from gateway.config import load_state_dir
from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.alerting.kpis import DAY_NS, AlertEvent, alert_event, assess, kpis
from gateway.domain.model.timefmt import rfc3339
from gateway.journal import Reader
from gateway.journal.queries.resolutions import RESOLUTIONS
from gateway.telemetry.wear import Wear, wear_of

SPAN_NS = 30 * DAY_NS
"""What ISA-18.2's figures are meant for, at least."""

_ROLLUPS = {each.table for each in RESOLUTIONS}
"""Consumers that are always up to a minute, or an hour, behind: nothing is wrong then."""


@click.command()
@config_option
@output_option
@click.option("--alerts", "of_alerts", is_flag=True, help="The load of alerts instead, beside what is recommended.")
@window_options
def stats(config_path: Path, output: str, since: int | None, until: int | None, *, of_alerts: bool) -> None:
    """Show how the gateway is, what the journal holds, how far the consumers are, and what became of the notifications.

    With --alerts, show the figures of ISA-18.2 for the last 30 days, or for --since and --until.
    """
    if of_alerts:
        _show_alerts(open_reader(config_path), since, until, output)
    elif since is not None or until is not None:
        raise click.UsageError("--since and --until are for --alerts")
    else:
        reader = open_reader(config_path)
        _show_journal(reader, condition(config_path), wear_of(load_state_dir(config_path) / "lock"), output)


def _show_alerts(reader: Reader, since: int | None, until: int | None, output: str) -> None:
    until_ns = time.time_ns() if until is None else until
    since_ns = _begin(reader, until_ns) if since is None else since
    if since_ns >= until_ns:
        raise click.UsageError("--since must be before --until")
    found = kpis(_alert_events(reader), since_ns, until_ns)
    if output == "json":
        span = {"since": rfc3339(since_ns), "until": rfc3339(until_ns)}
        print_json({**span, "kpis": found, "recommended": assess(found)})
        return
    click.echo(f"{found.alerts} alerts from {shown(at(since_ns))} to {shown(at(until_ns))}")
    click.echo()
    print_load(found)
    click.echo()
    delay = None if found.seconds_to_acknowledge is None else timedelta(seconds=round(found.seconds_to_acknowledge))
    print_facts(
        {
            "critical, warning": f"{_percent(found.critical_share)}, {_percent(found.warning_share)}",
            "acknowledged": f"{found.acknowledged} of {found.alerts}" + (f", half within {delay}" if delay else ""),
            "chattering": ", ".join(found.chattering) or "none",
        }
    )
    click.echo()
    worst = [(entry.sensor_id, entry.alerts, _percent(entry.share)) for entry in found.top]
    print_table(("worst", "announcements", "share"), worst, empty="No sensor has had an alert.")


def _begin(reader: Reader, until_ns: int) -> int:
    """Return when the span begins if nobody says so: 30 days before its end, or with the first reading ever."""
    first = min((sensor.first_seen_ns for sensor in reader.sensors()), default=0)
    return min(max(first, until_ns - SPAN_NS), until_ns - 1)


def _alert_events(reader: Reader) -> list[AlertEvent]:
    """Return what happened to all alerts there ever were, at the times at which people could know."""
    entries = (entry for type_ in ALERT_FACTS for entry in reader.entries(None, type_, None, None, -1))
    events = (alert_event(entry.fact, entry.recorded_ns) for entry in entries)
    return [event for event in events if event is not None]


def _worn(wear: Wear | None) -> dict[str, str]:
    """Return what a card is worn by, in words; nothing where no gateway runs or it is somebody else's."""
    if wear is None:
        return {}
    since = timedelta(seconds=round(wear.seconds))
    return {"card wear": f"{wear.a_day / 1e9:.1f} GB a day ({wear.written / 1e6:,.0f} MB in {since} since the start)"}


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


def _show_journal(reader: Reader, gateway: GatewayStatus | None, wear: Wear | None, output: str) -> None:
    last = reader.last_seq()
    open_alerts = reader.alerts(everything=False)
    sealed = reader.sealed_figures()
    facts: dict[str, Any] = {
        "gateway": {
            "answers": None if gateway is None else gateway.answers,
            "reasons": [] if gateway is None else gateway.reasons,
        },
        "sensors": len(reader.sensors()),
        "readings": reader.count_readings(),
        "sealed": {"blocks": sealed[0], "readings": sealed[1], "bytes": sealed[2]},
        "deadLetters": reader.dead_letters_by_reason(),
        "overQuota": reader.over_quota(),
        "openAlerts": {
            severity: sum(alert.severity == severity for alert in open_alerts) for severity in ("critical", "warning")
        },
        "journalBytes": reader.size(),
        "writtenBytes": None if wear is None else wear.written,
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
            **_in_words(gateway),
            "sensors": facts["sensors"],
            "readings": facts["readings"],
            "sealed": _sealed(*sealed),
            "not understood": reader.heard().in_words().removeprefix("heard, not understood: ") or "nothing",
            "dead letters": ", ".join(f"{count} {reason}" for reason, count in facts["deadLetters"].items()) or "none",
            **_over_quota(facts["overQuota"]),
            "open alerts": ", ".join(f"{count} {severity}" for severity, count in facts["openAlerts"].items()),
            "journal": f"{facts['journalBytes'] / 1e6:.1f} MB, up to entry {last}",
            **_worn(wear),
        }
    )
    click.echo()
    consumers = [
        (name, where["cursor"] or "not reached yet", where["behind"])
        for name, where in facts["consumers"].items()
        if name not in _ROLLUPS
    ]
    print_table(("consumer", "is at", "behind"), consumers, empty="No consumer has run yet.")
    click.echo()
    told = [(row["handler"], row["state"], row["count"]) for row in facts["notifications"]]
    print_table(("handler", "state", "messages"), told, empty="Nobody has been told anything yet.")


def _sealed(blocks: int, readings: int, size: int) -> str:
    return f"{readings} of them in {blocks} blocks, {size / readings:.1f} bytes each" if readings else "none yet"


def _over_quota(counts: dict[str, int]) -> dict[str, str]:
    return {"over a quota": ", ".join(f"{count} {quota}" for quota, count in counts.items())} if counts else {}


def _in_words(gateway: GatewayStatus | None) -> dict[str, str]:
    if gateway is None:
        return {}
    return {"gateway": str(gateway) if gateway.answers else f"{gateway}: what follows is what the journal holds"}
