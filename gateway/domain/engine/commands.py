"""What may be asked of the one writer of the journal and of the state that it moves on: values, no calls.

Each is executed in the journal's thread, at one place. What crosses to another process can be encoded: every command is
tagged with its name, and `Command[T]` says what it is answered with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar, get_args

from msgspec import Struct

from gateway.domain.alerting.alert import Alert
from gateway.domain.detection.limits import Limits
from gateway.domain.engine.purging import Selection
from gateway.domain.inputs.results import InputHeard
from gateway.domain.model.alert_kinds import AlertKind
from gateway.domain.model.events import DomainEvent, Severity
from gateway.domain.notification.outbox import OutboxItem, Outcome, Planning
from gateway.domain.notification.silences import Silence

T = TypeVar("T")


class Command(Struct, Generic[T], frozen=True, tag=True):
    """Something asked of the writer, answered with a T. Its fields are the arguments of what executes it."""


class Writer(Protocol):
    """Who executes commands, each after everything asked for before."""

    async def ask(self, command: Command[T]) -> T:
        """Have a command executed and return the answer. Raises GatewayError, as the command says."""
        ...


class Acknowledge(Command[Alert], frozen=True):
    """Raises NotFoundError if no open alert has this id, ConflictError if somebody was faster."""

    alert_id: str
    by: str
    reason: str
    time_ns: int


class Shelve(Command[Alert], frozen=True):
    """Raises NotFoundError, or RefusedError for a time that is too long or nobody's reason."""

    alert_id: str
    duration_ns: int
    by: str
    reason: str
    time_ns: int


class Unshelve(Command[Alert], frozen=True):
    """Raises NotFoundError, or ConflictError if the alert is not shelved."""

    alert_id: str
    by: str
    reason: str
    time_ns: int


class SetBaseline(Command[DomainEvent], frozen=True):
    """Raises NotFoundError for an unknown sensor, ConflictError for a configured baseline, ValueError for a level."""

    sensor_id: str
    level: float
    state: str
    by: str
    reason: str
    time_ns: int


class Relearn(Command[DomainEvent], frozen=True):
    """Without a `state`, in all operating states. Raises as SetBaseline does."""

    sensor_id: str
    state: str | None
    by: str
    reason: str
    time_ns: int


class Forget(Command[DomainEvent], frozen=True):
    """Wait for a sensor no more. Raises NotFoundError."""

    sensor_id: str
    by: str
    reason: str
    time_ns: int


class SelectSensors(Command[list[str]], frozen=True):
    """The ids of the sensors that people want removed."""

    wanted: Selection


class PurgeReadings(Command[int | None], frozen=True):
    """Delete the readings of sensors in the slice after a number; the last one looked at, or None at the end."""

    sensor_ids: Sequence[str]
    after: int


class PurgeSensors(Command[int], frozen=True):
    """Remove sensors, end their alerts, and delete their readings after a number; answered with how many there were."""

    sensor_ids: Sequence[str]
    after: int
    by: str
    reason: str
    time_ns: int


class TakeBackStates(Command[int], frozen=True):
    """Forget what machines without a known sensor have said of how they run; answered with how many there were."""

    time_ns: int


class CurrentLimits(Command[Limits | None], frozen=True):
    """What the next reading of a sensor will be compared with; None for an unknown one."""

    sensor_id: str


class NotJudged(Command[dict[str, int]], frozen=True):
    """How many readings of a sensor were not judged, by the reason; nothing of an unknown one."""

    sensor_id: str


class InputsHeard(Command[list[InputHeard]], frozen=True):
    """What each input has done since the gateway was started, in the order in which they are asked."""


class Report(Command[None], frozen=True):
    """How a part of the gateway is, or what another kind is about that is no sensor; without a severity it is well.

    May be said as often as one likes.
    """

    subject: str
    severity: Severity | None
    reason: str
    time_ns: int
    kind: AlertKind = "gateway"


class Replayed(Struct, frozen=True):
    """A slice of dead letters that were taken through again: how many, the last one, which are none any more."""

    asked: int
    last: int
    before: int
    replayed: list[int]


class ReplayDeadLetters(Command[Replayed], frozen=True):
    """Take the first dead letters with after < number < before through again; those with `numbers`, if there are any.

    A slice of a bounded number and size. Without `before`, of those that there are now.
    """

    numbers: Sequence[int]
    after: int
    before: int | None
    time_ns: int


class RefusedRow(Struct, frozen=True):
    """A row of the journal that a consumer does not take: why, and what people see of it."""

    seq: int
    reason: str
    shown: bytes


class KeepRefused(Command[int], frozen=True):
    """Keep rows as dead letters of a consumer; answered with how many were none before."""

    consumer: str
    rows: Sequence[RefusedRow]
    time_ns: int


class RefusedRows(Command[list[tuple[int, str, int]]], frozen=True):
    """(number, consumer, seq of the row) of dead letters of consumers; bounded as ReplayDeadLetters is."""

    numbers: Sequence[int]
    after: int
    before: int


class ForgetLetters(Command[None], frozen=True):
    """Let dead letters be none any more."""

    numbers: Sequence[int]


class AddSilence(Command[Silence], frozen=True):
    """Keep a silence that somebody has added."""

    silence: Silence
    now_ns: int


class ExpireSilence(Command[Silence], frozen=True):
    """End it now. Raises NotFoundError, or ConflictError for one that is over."""

    silence_id: str
    by: str
    now_ns: int


class SendBack(Command[bool], frozen=True):
    """Let a consumer have everything after `seq` again; says whether it has a cursor."""

    consumer: str
    seq: int


class MoveCursor(Command[None], frozen=True):
    """Remember that a consumer is done with everything up to `seq`."""

    consumer: str
    seq: int


class WriteNote(Command[None], frozen=True):
    """Keep a small text under a name."""

    name: str
    value: str


class WritePlanning(Command[None], frozen=True):
    """Write what was planned, and move the cursor that led to it."""

    planning: Planning
    consumer: str
    seq: int


class Remembered(Command[list[tuple[str, str, bytes]]], frozen=True):
    """What the planner remembers: (kind, key, JSON)."""


class SilencesAfter(Command[list[Silence]], frozen=True):
    """The silences that people have added and that end after a time."""

    after_ns: int


class TakeMessage(Command[OutboxItem | None], frozen=True):
    """Mark the next notification due for a handler as sending."""

    handler: str
    now_ns: int


class SettleMessage(Command[None], frozen=True):
    """Write what became of an attempt, with the facts that say so, and what is to be sent instead."""

    item: OutboxItem
    outcome: Outcome
    facts: Sequence[DomainEvent]
    instead: Sequence[OutboxItem]


class WaitingMessages(Command[list[OutboxItem]], frozen=True):
    """What is due for a handler and has certainly not gone."""

    handler: str
    now_ns: int


class MergeMessages(Command[None], frozen=True):
    """Let one message go instead of several that have not gone."""

    items: Sequence[OutboxItem]
    into: OutboxItem


class NthSent(Command[int | None], frozen=True):
    """When the last message but `number` was sent through a handler, in ns."""

    handler: str
    number: int


class NextDue(Command[int | None], frozen=True):
    """When the next notification of a handler is due, in ns."""

    handler: str


class HurryMessages(Command[None], frozen=True):
    """Make everything that waits for a handler due."""

    handler: str
    now_ns: int


class ResumeMessages(Command[int], frozen=True):
    """Take up after a start what was under way; how many messages were being sent when the last one ended."""

    handlers: Sequence[str]
    now_ns: int


def answer_of(command: type[Command[Any]]) -> Any:
    """Return the type of what a command is answered with."""
    (base,) = command.__orig_bases__  # type: ignore[attr-defined] # as every subclass of a generic has them
    return get_args(base)[0]


COMMANDS = tuple(Command.__subclasses__())
"""All there are: what a connection between two processes decodes."""
