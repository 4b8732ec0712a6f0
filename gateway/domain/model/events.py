"""The event envelope, every event type, and the types that the parts of the house share.

Times: `*_us` are microseconds and `*_ns` nanoseconds since 1970-01-01T00:00:00Z, as integers, so that nothing is
rounded between the sensor and the database.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal
from uuid import UUID, uuid5

from msgspec import Struct

Severity = Literal["warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("warning", "critical")
AlertState = Literal["active", "cleared", "stale"]

_NAMESPACE = UUID("6f1d5a1e-3c55-5b0e-9f0b-1f3f2c1d7a52")


class SeverityRank(IntEnum):
    """A severity as a number, so that the worse one is the greater one."""

    NONE = 0
    WARNING = 1
    CRITICAL = 2


class Message(Struct, frozen=True, gc=False):
    """One MQTT message as it came in, before anybody has looked inside. `traceparent` came beside it, and is valid.

    `cut_from` is how many bytes the payload had, if it was too large and only its beginning is here.
    """

    topic: str
    payload: bytes
    received_ns: int
    packet_id: int = 0
    duplicate: bool = False
    retained: bool = False
    generation: int = 0
    traceparent: str = ""
    cut_from: int = 0


class Rejected(Struct, frozen=True):
    """Why a message, or element `element` of its array, is a dead letter. `reason` is one of `decoding.REASONS`."""

    reason: str
    detail: str
    payload: bytes
    element: int | None = None


class DomainEvent(Struct, frozen=True):
    """An immutable event that the gateway derived: `correlation_id` is its first cause, `causation_id` the last."""

    id: str
    type: str
    time_ns: int
    subject: str
    correlation_id: str
    causation_id: str
    data: dict[str, Any]


def derive(  # a fact is its cause, its type and its subject: made again, it has the same id
    type_: str, subject: str, time_ns: int, *, cause: str, correlation: str, data: dict[str, Any]
) -> DomainEvent:
    """Return the fact of `type_` about `subject` (a sensor or alert id) that follows from the event `cause`."""
    return DomainEvent(
        id=derived_id(cause, type_, subject, str(time_ns)),
        type=type_,
        time_ns=time_ns,
        subject=subject,
        correlation_id=correlation,
        causation_id=cause,
        data=data,
    )


def derived_id(*parts: str) -> str:
    """Return the same UUID for the same parts, whenever and wherever it is asked for."""
    return str(uuid5(_NAMESPACE, "\x1f".join(parts)))
