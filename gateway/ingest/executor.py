"""The one place where commands are executed. Everything here runs in the journal's thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, TypeVar

from msgspec.structs import asdict

from gateway.domain.alerting.alert import Alert
from gateway.domain.alerting.open_alerts import Change, OpenAlerts
from gateway.domain.engine import commands
from gateway.domain.engine.commands import Command, Replayed
from gateway.domain.engine.unit_of_work import DeadLetter, UnitOfWork
from gateway.domain.inputs.native import CONSUMER_REFUSED
from gateway.domain.model.events import Rejected
from gateway.ingest.processor import Pipeline
from gateway.journal import Journal
from gateway.journal.maintenance import purge
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
            commands.SelectSensors: pipeline.selected,
            commands.PurgeReadings: self._purge_readings,
            commands.PurgeSensors: self._purge_sensors,
            commands.TakeBackStates: pipeline.take_back_states,
            commands.CurrentLimits: pipeline.limits,
            commands.NotJudged: pipeline.not_judged,
            commands.InputsHeard: pipeline.inputs_heard,
            commands.Report: pipeline.report,
            commands.ReplayDeadLetters: self._replay,
            commands.KeepRefused: self._keep_refused,
            commands.RefusedRows: journal.refused_rows,
            commands.ForgetLetters: self._forget_letters,
            commands.AddSilence: partial(silences.add, messages),
            commands.ExpireSilence: partial(silences.expire, messages),
            commands.SilencesAfter: partial(silences.all_silences, messages),
            commands.MoveCursor: journal.move_cursor,
            commands.SendBack: self._send_back,
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

    def _purge_readings(self, sensor_ids: Sequence[str], after: int) -> int | None:
        return purge.delete_readings(self._journal, [each.key for each in self._pipeline.known(sensor_ids)], after)

    def _purge_sensors(self, sensor_ids: Sequence[str], after: int, by: str, reason: str, time_ns: int) -> int:
        sensors = self._pipeline.known(sensor_ids)
        if sensors:
            self._pipeline.retire(sensors, by, reason, time_ns)
            keys, names = [each.key for each in sensors], [each.id for each in sensors]
            purge.delete_sensors(self._journal, keys, names, after)
            self._pipeline.remove(sensors, time_ns)
        return len(sensors)

    def _replay(self, numbers: Sequence[int], after: int, before: int | None, time_ns: int) -> Replayed:
        before = before or self._journal.next_seq
        letters = self._journal.dead_letters(numbers, after, before)
        if not letters:
            return Replayed(0, after, before, [])
        return Replayed(len(letters), letters[-1][0], before, self._pipeline.replay(letters, time_ns))

    def _send_back(self, consumer: str, seq: int) -> bool:
        with self._journal.transaction():
            return self._journal.count("send_back", consumer, seq) > 0

    def _keep_refused(self, consumer: str, rows: Sequence[commands.RefusedRow], time_ns: int) -> int:
        """Write rows as dead letters: the topic is the consumer's name, the element the row's `seq`."""
        journal, batch = self._journal, UnitOfWork(next_seq=self._journal.next_seq)
        for row in rows:
            digest = blake2b(f"{consumer}\x00{row.seq}".encode(), digest_size=16).digest()
            if not journal.has_dead_letter(digest, 0):
                rejected = Rejected(CONSUMER_REFUSED, row.reason, row.shown, row.seq)
                batch.dead_letters.append(DeadLetter(batch.take_seq(), time_ns, consumer, 0, digest, rejected))
        if batch.dead_letters:
            journal.write(batch)
        return len(batch.dead_letters)

    def _forget_letters(self, numbers: Sequence[int]) -> None:
        self._journal.write(UnitOfWork(next_seq=self._journal.next_seq, replayed=list(numbers)))
