"""The one path of one batch: what its messages hold, and everything that follows from it, in one transaction.

Everything here runs in the journal's thread, which alone owns the sensors' state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from gateway.domain.alerting.alert import Alert
from gateway.domain.alerting.liveness import Reception
from gateway.domain.alerting.open_alerts import LONGEST_SHELVING_NS, Change, OpenAlerts
from gateway.domain.detection.detector import current_limits
from gateway.domain.detection.limits import Limits
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Sensor
from gateway.domain.detection.timeline import Clocks
from gateway.domain.engine.baselines import relearn, set_baseline
from gateway.domain.engine.checkpoint import FACT_ROW, Checkpoint, Store, TailRow
from gateway.domain.engine.engine import NOT_JUDGED, Engine
from gateway.domain.engine.purging import Selection, purged, selected
from gateway.domain.engine.quotas import Usage
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.inputs.native import decode_event
from gateway.domain.inputs.results import InputHeard, Reading
from gateway.domain.inputs.status import Signals
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.model.alert_kinds import AlertKind
from gateway.domain.model.assets import MachineState, asset_of, state_changed
from gateway.domain.model.events import DomainEvent, Message, Severity
from gateway.domain.model.reading import Flag
from gateway.errors import JournalUnavailableError
from gateway.ingest.recorder import Recorder

if TYPE_CHECKING:
    from gateway.ingest.mapped import MappedInputs

SNAPSHOT_READINGS = 50_000
"""So many readings, or ten for each sensor, are replayed at most after a crash."""


class Pipeline:
    """The path of a batch, and the state of the sensors that it moves on."""

    def __init__(
        self,
        store: Store,
        templates: TopicTemplates,
        rules_for: Callable[[Sensor], Rules],
        tolerance_ns: int,
        lateness_ns: int = 0,
        *,
        expected: Mapping[str, int] | None = None,
        signals: Signals | None = None,
        inputs: MappedInputs | None = None,
        usage: Usage | None = None,
        longest_shelving_ns: int = LONGEST_SHELVING_NS,
        sensors_move: bool = False,
    ) -> None:
        self._store = store
        clocks = Clocks(tolerance_ns // 1000, lateness_ns // 1000)
        self._engine = Engine(rules_for, clocks, expected, longest_shelving_ns, sensors_move=sensors_move)
        self._recorder = Recorder(store, templates, self._engine, signals or Signals(), inputs, usage=usage)
        self._since_snapshot = 0
        self._prepared: UnitOfWork | None = None
        self._unwritten: list[UnitOfWork] = []
        self._open: UnitOfWork | None = None
        self._ahead = False

    @property
    def sensors(self) -> Collection[Sensor]:
        """The registry."""
        return self._engine.sensors.values()

    def restore(self, saved: Checkpoint) -> int:
        """Take up where the journal ends; return how many of its rows came after the last snapshot."""
        by_key = {sensor.key: sensor for sensor in saved.sensors}
        self._recorder.newest_key = max(by_key, default=0)  # not their number: damage may have taken some
        self._engine.set_state(saved.sensors, saved.alerts, saved.machines)
        self._recorder.restore_inputs(saved)
        for key, event_us, received_ns, _, event_id in saved.recent:
            self._recorder.ids.add(key, event_id, event_us)
            self._engine.look_back(by_key[key], event_us, received_ns)
        count = 0
        for count, row in enumerate(saved.tail, start=1):  # noqa: B007 - the last one is how many there were
            if row[3] == FACT_ROW:
                self._fact_again(row)
            else:
                self._reading_again(by_key[row[0]], row)
        self._since_snapshot = count
        self._engine.trust_alerts()
        return count

    def _fact_again(self, row: TailRow) -> None:
        _, _, time_ns, _, type_, data = row
        fact = DomainEvent("", type_, time_ns, "", "", "", msgspec.json.decode(data))
        self._engine.replay(fact)
        self._mark_machine(fact.data.get("sensorId", ""))

    def _reading_again(self, sensor: Sensor, row: TailRow) -> None:
        """Move the state on by a reading of the journal, as it was moved when that was written."""
        key, event_us, received_ns, flags, event_id, body = row
        sensor.is_changed = True
        self._recorder.ids.add(key, event_id, event_us)
        time_ns, _ = self._engine.classify_timestamp(
            sensor, event_us, received_ns, retained=bool(flags & Flag.RETAINED)
        )
        if not flags & NOT_JUDGED:
            event = decode_event(body)
            event.event_id = event_id
            judged = self._engine.judge(sensor, event, event_us, time_ns, received_ns=received_ns, flags=flags)
            self._recorder.mark(sensor, judged)
        else:
            self._engine.pass_over(sensor, decode_event(body), time_ns, received_ns, flags)

    def _mark_machine(self, sensor_id: str) -> None:
        """Have the next snapshot save a sensor and the others of its machine: they may have shifted with it."""
        if sensor := self._engine.sensors.get(sensor_id):
            for each in (sensor, *self._engine.machines.sensors_of(asset_of(sensor.tags))):
                each.is_changed = True

    def process(self, messages: Sequence[Message], recorded_ns: int) -> UnitOfWork:
        """Store what `messages` hold and everything that follows from it; then they may be acknowledged.

        Raises JournalUnavailableError if the transaction failed. The same call may then be made again: what was
        concluded from the messages is kept and only written anew.
        """
        if self._prepared is None:
            self._flush()
            self._prepared = self.take(messages, recorded_ns)
        batch = self._prepared
        self.commit()
        self._prepared = None
        return batch

    def take(self, messages: Sequence[Message], recorded_ns: int) -> UnitOfWork:
        """Judge messages, and add what follows from them to what the next commit writes; return all of that.

        Nothing of it is on disk yet, and it is lost with the process: the messages may not be acknowledged. Raises
        JournalUnavailableError, and has judged nothing, while what came after the last ones cannot be written.
        """
        if self._unwritten and self._unwritten[-1] is not self._open:
            self._flush()
        self._ahead = True
        batch = self._open
        if batch is None:
            batch = self._open = UnitOfWork(next_seq=self._store.next_seq, recorded_ns=recorded_ns)
            self._unwritten.append(batch)
        batch.messages += len(messages)
        batch.size += sum([len(message.payload) for message in messages])
        for message in messages:
            self._recorder.take(message, batch)
        self._recorder.remember(batch)
        for reason, count in self._engine.not_judged.items():
            batch.not_judged[reason] = batch.not_judged.get(reason, 0) + count
        self._engine.not_judged = {}
        return batch

    def commit(self) -> None:
        """Write all that has been taken. Raises JournalUnavailableError, and may be called again then."""
        self._flush()
        if self._since_snapshot >= max(SNAPSHOT_READINGS, 10 * len(self._engine.sensors)):
            with suppress(JournalUnavailableError):  # the batch is on disk; the next one tries again
                self.snapshot()

    def pass_time(self, now_ns: int, reception: Reception) -> None:
        """Draw the conclusions of time alone: readings that need wait no longer, silent sensors, ends of shelvings.

        That time has passed is a fact in the journal: a replay judges the same at the same place.
        """
        overdue = self._engine.overdue(now_ns, reception)
        if not overdue:
            return
        self._ahead = True
        batch = UnitOfWork(next_seq=self._store.next_seq, recorded_ns=now_ns)
        for fact in overdue:
            batch.add(Change(fact))
            for change in self._engine.time_passed(fact):
                batch.add(change)
            self._mark_machine(fact.subject)
        self._unwritten.append(batch)
        self._flush()

    def replay(self, letters: Sequence[tuple[int, Message]], recorded_ns: int) -> list[int]:
        """Take dead letters (by number) through the pipeline again; return the numbers of those that are none any more.

        They leave the dead letters in the transaction that stores what they hold. The others stay as they are.
        """
        self._flush()  # what is not on disk yet could not be recognised as a duplicate
        self._ahead = True
        batch = UnitOfWork(next_seq=self._store.next_seq, recorded_ns=recorded_ns, is_replay=True)
        batch.size = sum([len(message.payload) for _, message in letters])
        for number, message in letters:
            refused = len(batch.dead_letters)
            if not self._recorder.is_outdated(message):
                self._recorder.take(message, batch)
            if len(batch.dead_letters) == refused:
                batch.replayed.append(number)
            batch.drop_dead_letters(refused)
        self._recorder.remember(batch)
        self._unwritten.append(batch)
        self._flush()
        return batch.replayed

    def _flush(self) -> None:
        """Write what is not written yet, in order. What could not be written stays open: it knows what comes again."""
        while self._unwritten:
            batch = self._unwritten[0]
            batch.start_at(self._store.next_seq)
            self._store.write(batch)
            del self._unwritten[0]
            if batch is self._open:
                self._open = None
            self._since_snapshot += len(batch.readings)
        self._ahead = False

    def report(
        self, subject: str, severity: Severity | None, reason: str, time_ns: int, *, kind: AlertKind = "gateway"
    ) -> None:
        """Raise, escalate or (severity None) clear an alert about a part of the gateway, or of another such kind.

        Raises JournalUnavailableError and has then changed nothing; the same report may be made as often as one likes.
        """
        self._write_now(self._engine.alerts.condition(subject, severity, reason, time_ns, kind=kind), time_ns)

    def attend(self, ask: Callable[[OpenAlerts], Sequence[Change]], time_ns: int) -> Alert:
        """Do what a person asks of the open alerts (`ask` is one of their methods), and return the alert as it is then.

        Raises what that raises, and JournalUnavailableError; nothing has changed then.
        """
        self._flush()
        changes = ask(self._engine.alerts)
        self._write_now(changes, time_ns)
        alert = changes[-1].alert
        assert alert is not None  # noqa: S101 - each of them is about one
        return alert

    def set_baseline(
        self, sensor_id: str, level: float, *, state: str = "", by: str, reason: str = "", time_ns: int
    ) -> DomainEvent:
        """Let a person say what is normal for a sensor in an operating state; return the fact that says so.

        Raises NotFoundError for an unknown sensor, ConflictError if its baseline is configured, ValueError if the level
        is not above zero, and JournalUnavailableError; nothing has changed then.
        """
        said = {"level": level, "state": state, "by": by, "reason": reason}
        return self._ask_of(sensor_id, set_baseline, time_ns, **said)

    def relearn(
        self, sensor_id: str, *, state: str | None = None, by: str, reason: str = "", time_ns: int
    ) -> DomainEvent:
        """Have it learned anew what is normal for a sensor, in an operating state or (None) in all; return the fact.

        Raises what `set_baseline` raises.
        """
        return self._ask_of(sensor_id, relearn, time_ns, state=state, by=by, reason=reason)

    def forget(self, sensor_id: str, *, by: str, reason: str = "", time_ns: int) -> DomainEvent:
        """Let nobody wait for a sensor any more, until its next reading; return the fact. Raises as `relearn` does."""
        return self._ask(sensor_id, self._engine.watch.forgetting, time_ns, by=by, reason=reason)

    def selected(self, wanted: Selection) -> list[str]:
        """Return the names of the sensors that somebody wants removed. Raises ConflictError for an id of several."""
        names = self._engine.registry.named(wanted.ids)
        if wanted.ids and not names:
            return []
        return selected(self._engine.sensors.values(), replace(wanted, ids=names))

    def known(self, sensor_ids: Sequence[str]) -> list[Sensor]:
        """Return those of these sensors that there are."""
        return [sensor for id_ in sensor_ids if (sensor := self._engine.sensors.get(id_)) is not None]

    def retire(self, sensors: Sequence[Sensor], by: str, reason: str, time_ns: int) -> None:
        """Say that sensors are removed, and end their alerts; a crash from now on replays nothing of them."""
        self._flush()
        self.snapshot()
        fact = purged(sensors, by, reason, time_ns)
        said = f"Its sensor was removed by {by}{f': {reason}' if reason else ''}."
        ended = [change for sensor in sensors for change in self._engine.alerts.end(sensor.id, said, fact)]
        self._write_now([Change(fact), *ended], time_ns)

    def remove(self, sensors: Sequence[Sensor], time_ns: int) -> None:
        """Forget sensors whose rows are gone; who is the only one of an id then is called by that again."""
        for sensor in sensors:
            self._engine.remove(sensor)
        self._recorder.forget_sources()
        batch = UnitOfWork(next_seq=self._store.next_seq, recorded_ns=time_ns)
        self._recorder.name_anew({sensor.published_id for sensor in sensors}, time_ns, batch)
        self._unwritten.append(batch)
        self._flush()

    def take_back_states(self, time_ns: int) -> int:
        """Let machines without a sensor have said nothing of how they run; return how many had."""
        self._flush()
        places = self._engine.machines.without_sensors()
        said = [
            Change(state_changed(MachineState(place, ""), self._engine.machines.states[place], time_ns))
            for place in places
        ]
        self._write_now(said, time_ns)
        for place in places:
            self._engine.machines.change(place, "")
        return len(places)

    def _ask_of(
        self, sensor_id: str, ask: Callable[..., Sequence[Change]], time_ns: int, **said: object
    ) -> DomainEvent:
        """Do what a person asks about what is normal for a sensor."""
        rules_of = self._engine.rules_of
        return self._ask(sensor_id, lambda sensor, **more: ask(sensor, rules_of(sensor), **more), time_ns, **said)

    def _ask(self, sensor_id: str, ask: Callable[..., Sequence[Change]], time_ns: int, **said: object) -> DomainEvent:
        """Do what a person asks about a sensor; the state moves on when it is on disk."""
        self._flush()
        sensor = self._engine.registry.called(sensor_id)
        changes = ask(sensor, time_ns=time_ns, **said)
        self._write_now(changes, time_ns)
        self._engine.replay(changes[0].fact)
        sensor.is_changed = True
        return changes[0].fact

    def not_judged(self, sensor_id: str) -> dict[str, int]:
        """Return how many readings of a sensor were not judged, by the reason."""
        sensor = self._engine.sensors.get(sensor_id)
        return {} if sensor is None else dict(sensor.state.not_judged or {})

    def limits(self, sensor_id: str) -> Limits | None:
        """Return what the next reading of a sensor will be compared with, or None for a sensor that is not known."""
        found = self._engine.registry.answering(sensor_id)
        return current_limits(found[0].state, self._engine.rules_of(found[0])) if len(found) == 1 else None

    def _write_now(self, changes: Sequence[Change], time_ns: int) -> None:
        """Write changes that follow from no reading; the open alerts move on when they are on disk."""
        if not changes:
            return
        batch = UnitOfWork(next_seq=self._store.next_seq, recorded_ns=time_ns)
        for change in changes:
            batch.add(change)
        self._store.write(batch)
        for alert in batch.alerts.values():
            self._engine.alerts.settle(alert)

    def measure(self, blocks: Sequence[tuple[int, Message, Reading | None]], recorded_ns: int) -> UnitOfWork:
        """Take in the features of waveforms (by number; None: they have none) as readings. Raises as `process`."""
        self._flush()
        self._ahead = True
        batch = UnitOfWork(next_seq=self._store.next_seq, recorded_ns=recorded_ns)
        for number, message, reading in blocks:
            if reading is not None:
                self._recorder.record_mapped(message, reading, batch)
            batch.measured.append(number)
        self._unwritten.append(batch)
        self._flush()
        return batch

    def inputs_heard(self) -> list[InputHeard]:
        """Return what each input has done since the start."""
        return self._recorder.inputs_heard()

    def snapshot(self) -> None:
        """Save the state of every sensor that has changed since the last time.

        What has been taken is written first. Not while that fails, and the state is ahead of the journal: those
        readings come again.
        """
        with suppress(JournalUnavailableError):
            self._flush()
        if self._ahead:
            return
        changed = [sensor for sensor in self.sensors if sensor.is_changed]
        if changed:
            self._store.save_detector(changed, self._engine.machines.states, self._store.next_seq - 1)
            for sensor in changed:
                sensor.is_changed = False
            self._since_snapshot = 0
