"""Accountability: what happened to an alert, who did it, who was told with what outcome, and who was not and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from gateway.domain.alerting.alert import ALERT_FACTS, UNSHELVED
from gateway.domain.engine.event_log import EventRecord
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.model import DEFERRED, MOST_NAMED, SUPPRESSED
from gateway.journal.queries.reader import Reader

_DECISIONS = {SUPPRESSED: "suppressed", DEFERRED: "deferred"}


def account_of(reader: Reader, alert_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return all that is known of an alert's past, each list the oldest first.

    `history` are its changes with who was told because of each, and what decided that somebody was not (`untold`).
    `messages` are all messages that tell of it, with `state`, `attempts`, what the other side `said`, the number of
    `alerts` that each tells of, and whether it names this one or only counts it (`named`); and all decisions not to
    tell, or not yet, with what made them (`by`), `why`, and `until` when.
    """
    entries = reader.alert_events(alert_id)
    messages = [(row[7], _message(*row)) for row in reader.rows("messages_of_alert", alert_id)]
    decisions = [(entry.recorded_ns, _decision(entry)) for entry in entries if entry.fact.type in _DECISIONS]
    return {
        "history": _history(reader, alert_id, entries),
        "messages": [row for _, row in sorted([*decisions, *messages], key=itemgetter(0))],
    }


def latest_changes(reader: Reader, sensor_id: str | None, limit: int) -> list[dict[str, Any]]:
    """Return the newest changes of all alerts, or those of a sensor's, the newest first."""
    entries = reader.alert_changes(sensor_id, limit)
    accounts = {alert_id: _by_change(reader, alert_id) for alert_id in {entry.fact.data["id"] for entry in entries}}
    return [
        {
            "alertId": entry.fact.data["id"],
            "kind": entry.fact.data["kind"],
            "sensorId": entry.fact.subject,
            "severity": entry.fact.data["severity"],
            **accounts[entry.fact.data["id"]][entry.fact.id],
        }
        for entry in entries
    ]


def _by_change(reader: Reader, alert_id: str) -> dict[str, dict[str, Any]]:
    """Return id of the fact -> what it changed and who was told because of it."""
    entries = reader.alert_events(alert_id)
    changes = [entry.fact.id for entry in entries if entry.fact.type in ALERT_FACTS]
    return dict(zip(changes, _history(reader, alert_id, entries), strict=True))


def _history(reader: Reader, alert_id: str, entries: Sequence[EventRecord]) -> list[dict[str, Any]]:
    """Return the changes of an alert, each with the messages and decisions that followed from it.

    A message tells of the change that made the alert as it is; what follows once it is off the shelf follows from that.
    """
    changes = [entry for entry in entries if entry.fact.type in ALERT_FACTS]
    place = {entry.fact.id: index for index, entry in enumerate(changes)}
    unshelved = [entry for entry in changes if entry.fact.type == UNSHELVED]
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for change, handler, state, attempts, said, created in reader.rows("told_of_alert", alert_id):
        after = [
            entry.fact.id
            for entry in unshelved
            if entry.recorded_ns <= created and place[entry.fact.id] > place.get(change, len(place))
        ]
        row = {"handler": handler, "state": state, "attempts": attempts, "said": said}
        told[after[-1] if after else change].append(row)
    untold: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        if entry.fact.type in _DECISIONS:
            untold[entry.fact.causation_id].append(_untold(entry))
    return [_change(entry, told[entry.fact.id], untold[entry.fact.id]) for entry in changes]


def _untold(entry: EventRecord) -> dict[str, Any]:
    data = entry.fact.data
    names = {"handler": data["handler"], "by": data["by"], "why": data["reason"], "until": data["until"]}
    return {**names, "state": _DECISIONS[entry.fact.type]}


def _change(entry: EventRecord, told: list[dict[str, Any]], untold: list[dict[str, Any]]) -> dict[str, Any]:
    fact = entry.fact
    return {
        "at": rfc3339(fact.time_ns),
        "change": fact.type,
        "who": fact.data.get("by"),
        "why": fact.data["finding"],
        "cause": fact.causation_id,
        "told": told,
        "untold": untold,
    }


def _message(*row: Any) -> dict[str, Any]:
    id_, handler, route, kind, state, attempts, said, created, count, place = row
    return {
        "at": rfc3339(created),
        "handler": handler,
        "route": route or None,
        "kind": kind,
        "state": state,
        "attempts": attempts,
        "said": said,
        "alerts": count,
        "named": count == 1 or (place is not None and place <= MOST_NAMED),
        "by": None,
        "why": None,
        "until": None,
        "id": id_,
    }


def _decision(entry: EventRecord) -> dict[str, Any]:
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
        "named": None,
        "by": data["by"],
        "why": data["reason"],
        "until": data["until"],
        "id": None,
    }
