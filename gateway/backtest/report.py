"""An outcome as people and programs are shown it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.backtest.comparing import Comparison, Shift
from gateway.backtest.recorded import Problems
from gateway.backtest.running import AlertEntry, Outcome
from gateway.config import Config, noise_of, route_table, standing_silences
from gateway.domain.alerting.kpis import Kpis, alert_event, kpis
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification import dry_run as history
from gateway.domain.notification.model import Planned


class Run(msgspec.Struct, frozen=True):
    """An outcome, the rules and routes that it came from, and the rows that could not be used."""

    outcome: Outcome
    config: Config
    problems: Problems


class ToldMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A message that would have been sent through a handler, about `count` alerts, of which the worst is named."""

    at: str
    handler: str
    kind: str
    sensor_id: str | None
    severity: str | None
    reason: str
    count: int


def describe_entry(entry: AlertEntry) -> dict[str, Any]:
    """Return an entry of `alerts` in JSON; `id` is the same for an alert and its escalation."""
    return {
        "kind": entry.kind,
        "sensorId": entry.sensor_id,
        "severity": entry.severity,
        "openedAt": rfc3339(entry.opened_ns),
        "clearedAt": None if entry.cleared_ns is None else rfc3339(entry.cleared_ns),
        "row": entry.row,
        "reason": entry.reason,
        "change": entry.change,
        "id": entry.alert_id,
    }


def describe(run: Run) -> dict[str, Any]:
    """Return a whole run in JSON."""
    outcome, problems = run.outcome, run.problems
    return {
        "readings": outcome.readings,
        "alerts": [describe_entry(entry) for entry in outcome.alerts],
        "kpis": msgspec.to_builtins(load_of(outcome)),
        "notifications": [msgspec.to_builtins(message) for message in notifications(run)],
        "late": outcome.late,
        "clocksReplaced": outcome.clock_replaced,
        "badRows": problems.bad_rows,
        "rowsOutOfOrder": problems.out_of_order,
        "problems": problems.named,
        "notLearned": outcome.not_learned,
    }


def describe_comparison(found: Comparison) -> dict[str, Any]:
    """Return a comparison in JSON; `laterBySeconds` is below zero for what came earlier."""
    return {
        "added": [describe_entry(entry) for entry in found.added],
        "gone": [describe_entry(entry) for entry in found.gone],
        "earlier": _describe_shifts(found.earlier),
        "later": _describe_shifts(found.later),
        "same": found.same,
    }


def _describe_shifts(shifts: Sequence[Shift]) -> list[dict[str, Any]]:
    return [{**describe_entry(shift.after), "laterBySeconds": shift.later_ns / 1e9} for shift in shifts]


def load_of(outcome: Outcome) -> Kpis:
    """Return what the alerts would have been like for whoever looks after them."""
    events = (alert_event(fact) for _, fact in outcome.facts)
    return kpis([event for event in events if event], outcome.first_ns or 0, outcome.last_ns + 1)


def notifications(run: Run) -> list[ToldMessage]:
    """Return the messages that the routes would have led to, in the order of time."""
    config = run.config
    facts = [fact for _, fact in run.outcome.facts]
    decided = history.notifications(facts, route_table(config), noise_of(config), standing_silences(config))
    return [_told(one) for one in decided if isinstance(one, Planned)]


def _told(planned: Planned) -> ToldMessage:
    worst = planned.items[0] if planned.items else None  # what is said of a silence may be about no alert
    return ToldMessage(
        rfc3339(planned.created_ns),
        planned.handler,
        planned.kind,
        worst.sensor_id if worst else None,
        worst.severity if worst else None,
        planned.reason,
        planned.count,
    )
