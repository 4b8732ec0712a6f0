"""What a gateway and its centre say to each other: JSON on four topics of each gateway, below `vibration/fleet`.

Up go its facts in the order of its journal, its health, and what came of orders; down go orders. A gateway may only
write below its own name: that is the broker's business, and what the name of who says it follows from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from gateway.domain.engine.event_log import EventRecord
from gateway.domain.model.events import Severity

T = TypeVar("T")

ROOT = "vibration/fleet"
FACTS, HEALTH, ORDERS, ANSWERS = "facts", "health", "do", "answers"
VERSION = 1
LARGEST = 8_000_000
"""Bytes of a message that are looked at."""

_NEWEST = 2**63 - 1


class SentFact(Struct, frozen=True):
    """A fact of a gateway's journal, with its place there."""

    seq: int
    id: str
    type: str
    time_ns: int
    subject: str
    correlation_id: str
    causation_id: str
    data: dict[str, Any]


class OpenAlert(Struct, frozen=True):
    """An open alert as every interface shows it, and the place of its last change."""

    seq: int
    alert: dict[str, Any]


class Facts(Struct, frozen=True, tag="facts", tag_field="what"):
    """Facts that follow the one at `after`: there is none between. `epoch` is the journal's."""

    gateway: str
    epoch: str
    after: int
    facts: list[SentFact]
    v: int = VERSION


class Snapshot(Struct, frozen=True, tag="snapshot", tag_field="what"):
    """All alerts that are open after the fact at `until`; `left_out` are more that did not fit.

    Facts are sent up to `sent`: a centre that is new to them goes on from there.
    """

    gateway: str
    epoch: str
    until: int
    sent: int
    alerts: list[OpenAlert]
    left_out: int = 0
    v: int = VERSION


class Health(Struct, frozen=True):
    """How a gateway is. `instance` is another one with each start, `sent` the last fact that it has sent."""

    gateway: str
    epoch: str
    instance: str
    version: str
    at_ns: int
    sent: int
    reasons: list[str]
    sensors: int
    open: dict[str, int]
    behind: dict[str, int]
    free: int
    journal: int
    config: str
    v: int = VERSION


class Order(Struct, frozen=True):
    """Something that the centre asks for. Those with an `alert` are bound to the `severity` that somebody has seen.

    `heard` confirms facts up to `after`; `again` asks for those that follow it; `snapshot` for all open alerts. An
    order does not count after `until_ns`; a shelf ends `for_ns` after `at_ns`, however late the order arrives.
    """

    do: Literal["heard", "again", "snapshot", "acknowledge", "shelve", "unshelve"]
    id: str = ""
    alert: str = ""
    severity: Severity = "warning"
    by: str = ""
    reason: str = ""
    at_ns: int = 0
    until_ns: int = _NEWEST
    for_ns: int = 0
    after: int = 0
    v: int = VERSION


class Answer(Struct, frozen=True):
    """What came of an order, in words."""

    gateway: str
    id: str
    done: bool
    said: str
    v: int = VERSION


class NotUnderstoodError(ValueError):
    """A message is none that this version knows; the text says why."""


def topic(gateway: str, what: str) -> str:
    """Return a topic of a gateway; `+` is every gateway."""
    return f"{ROOT}/{gateway}/{what}"


def read(payload: object, type_: type[T]) -> T:
    """Return what a payload says. Raises NotUnderstoodError, also for one of a newer version."""
    if not isinstance(payload, bytes | bytearray) or len(payload) > LARGEST:
        raise NotUnderstoodError("it is no text, or too large")
    try:
        version = msgspec.json.decode(payload, type=_Version).v
        if version != VERSION:
            raise NotUnderstoodError(f"it is of version {version} of this interface; this program knows {VERSION}")
        return msgspec.json.decode(payload, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotUnderstoodError(str(error)) from error


class _Version(Struct):
    v: int


write = msgspec.json.Encoder().encode


def sent(entries: Sequence[EventRecord]) -> list[SentFact]:
    """Return facts of the journal as they are sent."""
    return [
        SentFact(e.seq, f.id, f.type, f.time_ns, f.subject, f.correlation_id, f.causation_id, f.data)
        for e in entries
        for f in [e.fact]
    ]
