"""Accountability: what happened to an alert, who did it, who was told with what outcome, and who was not and why."""

from __future__ import annotations

from typing import Any

from gateway.api import Entry
from gateway.domain.alerts import ALERT_FACTS
from gateway.domain.events import rfc3339
from gateway.domain.telling import DEFERRED, SUPPRESSED
from gateway.journal.reader import Reader

_UNTOLD = {SUPPRESSED, DEFERRED}


def account_of(reader: Reader, alert_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return all that is known of an alert's past, each list the oldest first.

    `history` are its changes with who was told of each, `messages` every message that tells of it, and `untold` what
    was not sent, or not at once, with the reason.
    """
    entries = reader.alert_events(alert_id)
    return {
        "history": [_change(reader, entry) for entry in entries if entry.fact.type in ALERT_FACTS],
        "messages": [{**message, "created": rfc3339(message["created"])} for message in reader.messages_of(alert_id)],
        "untold": [_untold(entry) for entry in entries if entry.fact.type in _UNTOLD],
    }


def latest_changes(reader: Reader, sensor_id: str | None, limit: int) -> list[dict[str, Any]]:
    """Return the newest changes of all alerts, or those of a sensor's, the newest first."""
    return [
        {
            "alertId": entry.fact.data["id"],
            "kind": entry.fact.data["kind"],
            "sensorId": entry.fact.subject,
            "severity": entry.fact.data["severity"],
            **_change(reader, entry),
        }
        for entry in reader.alert_changes(sensor_id, limit)
    ]


def _change(reader: Reader, entry: Entry) -> dict[str, Any]:
    fact = entry.fact
    told = reader.outbox_of(fact.id)
    return {
        "at": rfc3339(fact.time_ns),
        "change": fact.type,
        "who": fact.data.get("by"),
        "why": fact.data["finding"],
        "cause": fact.causation_id,
        "told": [
            {"handler": handler, "state": state, "attempts": attempts, "said": said}
            for handler, state, attempts, said in told
        ],
    }


def _untold(entry: Entry) -> dict[str, Any]:
    fact = entry.fact
    names = ("kind", "by", "reason", "route", "handler", "until")
    return {"at": rfc3339(fact.time_ns), "change": fact.type, **{name: fact.data.get(name) for name in names}}
