"""The one place where commands are executed. Everything here runs in the journal's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import asdict

from gateway.domain.alerting.alert import Alert
from gateway.domain.alerting.open_alerts import Change, OpenAlerts
from gateway.domain.engine import commands
from gateway.domain.engine.commands import Command, Replayed
from gateway.ingest.processor import Pipeline
from gateway.journal import Journal
from gateway.journal.outbox import silences
from gateway.journal.outbox.rows import Messages

T = TypeVar("T")


class Executor:
    """What each command leads to; its fields are the arguments."""

    def __init__(self, journal: Journal, pipeline: Pipeline) -> None:
        self._journal = journal
        self._pipeline = pipeline
        messages = Messages(journal)
        self.table: dict[type[Command[Any]], Callable[..., Any]] = {
            commands.Acknowledge: partial(self._attend, OpenAlerts.acknowledge),
            commands.Shelve: partial(self._attend, OpenAlerts.shelve),
            commands.Unshelve: partial(self._attend, OpenAlerts.unshelve),
            commands.SetBaseline: pipeline.set_baseline,
            commands.Relearn: pipeline.relearn,
            commands.Forget: pipeline.forget,
            commands.CurrentLimits: pipeline.limits,
            commands.Report: pipeline.report,
            commands.ReplayDeadLetters: self._replay,
            commands.AddSilence: partial(silences.add, messages),
            commands.ExpireSilence: partial(silences.expire, messages),
            commands.SilencesAfter: partial(silences.all_silences, messages),
            commands.MoveCursor: journal.move_cursor,
            commands.WriteNote: journal.write_note,
            commands.WritePlanning: messages.enqueue,
            commands.Remembered: messages.remembered,
            commands.TakeMessage: messages.take,
            commands.SettleMessage: messages.settle,
            commands.WaitingMessages: messages.waiting,
            commands.MergeMessages: messages.merge,
            commands.NthSent: messages.nth_sent,
            commands.NextDue: messages.next_due,
            commands.HurryMessages: messages.hurry,
            commands.ResumeMessages: messages.resume,
        }

    def execute(self, command: Command[T]) -> T:
        """Do what is asked, and return the answer."""
        answer: T = self.table[type(command)](**asdict(command))
        return answer

    def _attend(self, ask: Callable[..., Sequence[Change]], *, time_ns: int, **said: object) -> Alert:
        return self._pipeline.attend(lambda alerts: ask(alerts, **said, time_ns=time_ns), time_ns)

    def _replay(self, numbers: Sequence[int], after: int, before: int | None, time_ns: int) -> Replayed:
        before = before or self._journal.next_seq
        letters = self._journal.dead_letters(numbers, after, before)
        if not letters:
            return Replayed(0, after, before, [])
        return Replayed(len(letters), letters[-1][0], before, self._pipeline.replay(letters, time_ns))
