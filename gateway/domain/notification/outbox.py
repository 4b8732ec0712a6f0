"""A message on its way out, and what the notifier has decided about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from gateway.domain.model.events import DomainEvent, derive
from gateway.domain.notification.model import Notification, Withdrawal

OutboxState = Literal["pending", "sent", "uncertain", "failed", "withdrawn"]
"""What an attempt leaves a notification in; `sending` is the state during one. One that is not to go any more before it
has gone is withdrawn."""


class Outcome(Struct, frozen=True):
    """How an attempt to deliver ended at `time_ns`; for one that is to be repeated, `due_ns` says when."""

    state: OutboxState
    time_ns: int
    due_ns: int
    said: str


class OutboxItem(Struct, frozen=True):
    """A notification on its way out through `handler`, by the choice of `route`.

    `cause` is the id of the first fact it tells of; `changes` are all of them, as (alert, fact). `is_uncertain` once an
    earlier attempt may have reached somebody: until there is an answer, nobody knows.
    """

    id: str
    handler: str
    attempts: int
    created_ns: int
    cause: str
    correlation: str
    notification: Notification
    route: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    is_uncertain: bool = False

    def outcome(self, type_: str, said: str, time_ns: int) -> DomainEvent:
        """Return the fact of what became of it."""
        data = {
            "alertId": self.notification.alert_id,
            "notificationId": self.id,
            "handler": self.handler,
            "kind": self.notification.kind,
            "attempts": self.attempts,
            "said": said,
        }
        return derive(
            type_,
            self.notification.sensor_id,
            time_ns,
            cause=self.cause,
            correlation=self.correlation,
            data=data,
        )


class Planning(Struct, frozen=True):
    """What the notifier has decided up to a place in the journal, to be written in one transaction.

    `records` are what the planner remembers: (kind, key, JSON), or None for what it has forgotten.
    """

    time_ns: int
    items: Sequence[OutboxItem] = ()
    facts: Sequence[DomainEvent] = ()
    withdrawals: Sequence[Withdrawal] = ()
    records: Sequence[tuple[str, str, bytes | None]] = ()
