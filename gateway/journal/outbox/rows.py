"""The outbox's rows: every change of them is one transaction with the facts that tell of it.

Everything here runs in the journal's thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.model import FAILED, Notification, Withdrawal, Withheld, fact_of
from gateway.domain.notification.outbox import OutboxItem, Outcome, Planning
from gateway.domain.notification.silences import Silence
from gateway.journal.sqlite.rows import JSON
from gateway.journal.sqlite.writer import Journal

GONE = "the handler is not in the configuration any more"


class Messages:
    """The messages that are to be sent, and what the planner remembers."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def enqueue(self, planning: Planning, consumer: str, seq: int) -> None:
        """Write what was planned, and move the cursor that led to it."""
        journal = self._journal
        with journal.appending(planning.time_ns) as facts:
            self._insert(planning.items)
            facts.extend([*planning.facts, *self._withdraw(planning.withdrawals)])
            kept = [(kind, key, record.decode()) for kind, key, record in planning.records if record is not None]
            journal.many("upsert_planner", kept)
            gone = [(kind, key) for kind, key, record in planning.records if record is None]
            journal.many("delete_planner", gone)
            journal.many("upsert_cursor", [(consumer, seq)])

    def remembered(self) -> list[tuple[str, str, bytes]]:
        """Return what the planner remembers."""
        return [(kind, key, record.encode()) for kind, key, record in self._journal.all("planner")]

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a statement of queries.sql gives."""
        return self._journal.all(query, *values)

    def write_silence(self, silence: Silence, fact: DomainEvent, now_ns: int) -> None:
        """Keep a silence, new or ended, with the fact that says so."""
        journal = self._journal
        with journal.appending(now_ns) as facts:
            journal.many("upsert_silence", [(silence.id, silence.ends_ns, JSON.encode(silence).decode())])
            facts.append(fact)

    def take(self, handler: str, now_ns: int) -> OutboxItem | None:
        """Mark the next notification due for a handler as sending and return it."""
        with self._journal.transaction():
            rows = self._journal.all("due_outbox", handler, now_ns)
            self._journal.many("take_outbox", ((row[0],) for row in rows))
        return replace(_item(rows[0][:-1]), is_uncertain=bool(rows[0][-1])) if rows else None

    def settle(
        self, item: OutboxItem, outcome: Outcome, facts: Sequence[DomainEvent], instead: Sequence[OutboxItem] = ()
    ) -> None:
        """Write what became of an attempt, with the facts that say so, and what is to be sent instead."""
        journal = self._journal
        with journal.appending(outcome.time_ns) as appended:
            appended.extend(facts)
            journal.many("settle_outbox", [(outcome.state, outcome.due_ns, outcome.said, item.id)])
            self._insert(instead)
            journal.many("copy_told", ((other.id, item.id) for other in instead))

    def waiting(self, handler: str, now_ns: int) -> list[OutboxItem]:
        """Return what is due for a handler and has certainly not gone."""
        return [_item(row) for row in self._journal.all("waiting_outbox", handler, now_ns)]

    def merge(self, items: Sequence[OutboxItem], into: OutboxItem) -> None:
        """Let one message go instead of several that have not gone."""
        with self._journal.transaction():
            self._insert([into])
            self._journal.many("merge_outbox", ((f"told in message {into.id}", item.id) for item in items))
            self._journal.many("merge_told", ((into.id, item.id) for item in items))

    def nth_sent(self, handler: str, number: int) -> int | None:
        """Return when the last message but `number` was sent through a handler, or None."""
        rows = self._journal.all("nth_sent_outbox", handler, number)
        return int(rows[0][0]) if rows else None

    def next_due(self, handler: str) -> int | None:
        """Return when the next notification of a handler is due, in ns, or None if there is none."""
        due_ns: int | None = self._journal.all("next_outbox", handler)[0][0]
        return due_ns

    def hurry(self, handler: str, now_ns: int) -> None:
        """Make everything that waits for a handler due now."""
        with self._journal.transaction():
            self._journal.many("hurry_outbox", [(now_ns, handler, now_ns)])

    def resume(self, handlers: Iterable[str], now_ns: int) -> int:
        """Mark what was being sent when the gateway ended as uncertain; return how many there were.

        What was for a handler that is not among `handlers` any more has failed, with a fact that says so.
        """
        journal = self._journal
        with journal.appending(now_ns) as facts:
            orphans = [_item(row) for row in journal.all("orphaned_outbox", GONE, JSON.encode(list(handlers)).decode())]
            facts.extend(orphan.outcome(FAILED, GONE, now_ns) for orphan in orphans)
            return journal.count("interrupted_outbox")

    def _insert(self, items: Iterable[OutboxItem]) -> None:
        rows, told = [], []
        for item in items:
            one = item.notification
            alert = one.alert_id if one.count == 1 and one.kind not in {"digest", "notice", "cleared"} else None
            rows.append(
                (
                    item.id, item.handler, item.created_ns, item.created_ns, item.cause, item.correlation,
                    JSON.encode(one).decode(), item.route, one.kind, alert,
                )
            )  # fmt: skip
            changes = item.changes or [(one.alert_id, item.cause)]
            told += [(change, item.id, alert_id) for alert_id, change in changes]
        self._journal.many("insert_outbox", rows)
        self._journal.many("insert_told", told)

    def _withdraw(self, withdrawals: Iterable[Withdrawal]) -> Iterable[DomainEvent]:
        for one in withdrawals:
            said = f"withdrawn: {one.reason}"
            kinds = JSON.encode(one.kinds).decode()
            for cause, kind, route, handler in self._journal.all("withdraw_outbox", said, one.item.alert_id, kinds):
                item = replace(one.item, change=cause)
                yield fact_of(Withheld(item, one.correlation, kind, one.by, one.reason, one.time_ns, route, handler))


def _item(row: tuple[Any, ...]) -> OutboxItem:
    id_, handler, attempts, created, cause, correlation, notification, route = row
    decoded = msgspec.json.decode(notification, type=Notification)
    return OutboxItem(id_, handler, attempts, created, cause, correlation, decoded, route)
