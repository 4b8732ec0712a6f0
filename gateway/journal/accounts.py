"""Accountability: what happened to an alert, who did it, who was told with what outcome, and who was not and why."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from gateway.api import Entry
from gateway.domain.alerts import ALERT_FACTS
from gateway.domain.events import rfc3339
from gateway.domain.telling import DEFERRED, SUPPRESSED
from gateway.journal.reader import Reader

_DECISIONS = {SUPPRESSED: "suppressed", DEFERRED: "deferred"}


def account_of(reader: Reader, alert_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return all that is known of an alert's past, each list the oldest first.

    `history` are its changes with who was told of each. `messages` are all messages that tell of it, with `state`,
    `attempts`, what the other side `said` and the number of `alerts` that each tells of; and all decisions not to
    tell, or not yet, with what made them (`by`), `why`, and `until` when.
    """
    entries = reader.alert_events(alert_id)
    messages = [(row[7], _message(*row)) for row in reader.rows("messages_of_alert", alert_id)]
    decisions = [(entry.recorded_ns, _decision(entry)) for entry in entries if entry.fact.type in _DECISIONS]
    return {
        "history": [_change(reader, entry) for entry in entries if entry.fact.type in ALERT_FACTS],
        "messages": [row for _, row in sorted([*decisions, *messages], key=itemgetter(0))],
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


def _message(*row: Any) -> dict[str, Any]:
    id_, handler, route, kind, state, attempts, said, created, count = row
    return {
        "at": rfc3339(created),
        "handler": handler,
        "route": route or None,
        "kind": kind,
        "state": state,
        "attempts": attempts,
        "said": said,
        "alerts": count,
        "by": None,
        "why": None,
        "until": None,
        "id": id_,
    }


def _decision(entry: Entry) -> dict[str, Any]:
    data = entry.fact.data
    return {
        "at": rfc3339(entry.recorded_ns),
        "handler": data["handler"],
        "route": data["route"],
        "kind": data["kind"],
        "state": _DECISIONS[entry.fact.type],
        "attempts": 0,
        "said": None,
        "alerts": 1,
        "by": data["by"],
        "why": data["reason"],
        "until": data["until"],
        "id": None,
    }
