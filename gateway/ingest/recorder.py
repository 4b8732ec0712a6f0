"""What a message holds: decoded, recognised as a duplicate, judged, and added to a batch with what follows from it.

Everything here runs in the journal's thread, which alone owns the sensors' state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from sys import intern
from typing import TYPE_CHECKING

from gateway.domain.alerting.open_alerts import Change
from gateway.domain.detection.state import Sensor, SensorState, level_without_one
from gateway.domain.engine.checkpoint import Checkpoint, Store
from gateway.domain.engine.engine import NOT_JUDGED, Engine, Judged
from gateway.domain.engine.id_window import DedupWindow, ids_again
from gateway.domain.engine.quotas import LETTERS, Quotas, Usage
from gateway.domain.engine.unit_of_work import DeadLetter, UnitOfWork
from gateway.domain.inputs.native import Decoded, beginning_of, decode, decode_event
from gateway.domain.inputs.results import InputHeard, Reading
from gateway.domain.inputs.status import Signals
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.inputs.traceparent import carried_by
from gateway.domain.model.assets import MachineState, SensorStatus, asset_of, sensor_moved, sensor_renamed
from gateway.domain.model.events import Message, Rejected
from gateway.domain.model.reading import Flag, VibrationRecorded, complete
from gateway.domain.model.timefmt import microseconds

if TYPE_CHECKING:
    from gateway.ingest.mapped import MappedInputs

MAX_LOCATION = 200
"""Characters of `sensorLocation` that are shown; the event itself is kept whole."""


class Recorder:
    """From messages to a batch. `ids` are those of late; no sensor has a key above `newest_key`."""

    def __init__(
        self,
        store: Store,
        templates: TopicTemplates,
        engine: Engine,
        signals: Signals,
        inputs: MappedInputs | None = None,
        *,
        usage: Usage | None = None,
    ) -> None:
        self._store = store
        self._templates = templates
        self._engine = engine
        self._signals = signals
        self._inputs = inputs
        self._usage = usage or Usage(Quotas())
        self._of_source: dict[str, list[str]] = {}
        self.ids = DedupWindow()
        self.newest_key = 0

    def take(self, message: Message, batch: UnitOfWork) -> None:
        """Add to a batch what a message holds and what follows from it; the state moves on."""
        if message.cut_from:
            self._reject(message, beginning_of(message.payload, message.cut_from), batch)
            return
        tags = self._templates.match(message.topic)
        signal = self._signals.read(message) if tags is None else None
        if signal is not None:
            self._take_signal(message, signal, batch)
            return
        if tags is None and self._inputs is not None:
            self._take_mapped(message, self._inputs, batch)
            return
        items, place = decode(message.payload, tags), {} if tags is None else tags
        if message.traceparent:
            items = [carried_by(item, message.traceparent) for item in items]
        for item in items:
            if isinstance(item, Rejected):
                self._reject(message, item, batch)
                continue
            sensor = self._sensor_of(item[0], place, message.received_ns, batch)
            if isinstance(sensor, str):
                self._refuse(message, item[1], sensor, batch)
            else:
                self._record(message, item, sensor, place, batch)

    def restore_inputs(self, saved: Checkpoint) -> None:
        """Let the inputs take up where the journal ends."""
        if self._inputs is not None:
            self._inputs.restore(saved.memory, saved.messages)
            self._note_sources(saved.sensors)

    def inputs_heard(self) -> list[InputHeard]:
        """Return what each input has done since the start."""
        return [] if self._inputs is None else self._inputs.heard()

    def remember(self, batch: UnitOfWork) -> None:
        """Add to a batch what the inputs have to remember from now on."""
        if self._inputs is not None:
            self._inputs.remember(batch)

    def _take_mapped(self, message: Message, inputs: MappedInputs, batch: UnitOfWork) -> None:
        """Take in what the inputs make of a message. What it said is kept as it came, beside the readings."""
        outcome = inputs.hear(message)
        if outcome is None:
            batch.duplicates += 1
            return
        first_seq = batch.next_seq
        for rejected in outcome.rejected:
            self._reject(message, rejected, batch)
        refused = {self.record_mapped(message, reading, batch) for reading in outcome.readings}
        for quota in refused - {None}:
            self._refuse(message, message.payload, str(quota), batch)
        for status in outcome.statuses:
            for sensor_id in self._of_source.get(status.source, [status.source]):
                self._take_signal(message, SensorStatus(sensor_id, status.status, asset_of(status.place)), batch)
        inputs.keep(message, outcome, first_seq, batch)

    def record_mapped(self, message: Message, reading: Reading, batch: UnitOfWork) -> str | None:
        """Add to a batch a reading that an input made, and what follows from it; or return the quota it is over."""
        registry, is_new = self._engine.registry, False
        known = registry.names.get(reading.sensor)
        if known is not None and not known.published and known.tags == reading.place:
            tags = known.tags
        else:
            known = registry.find(reading.sensor, reading.place)
            is_new = known is None and not registry.is_known(reading.sensor)
            tags = known.tags if known is not None and known.tags == reading.place else dict(reading.place)
        event = reading.event
        if event.data.vibration_level is None:
            complete(event.data)
        if message.traceparent:
            event.traceparent = event.traceparent or message.traceparent
        sensor = self._sensor_of(event, tags, message.received_ns, batch)
        if isinstance(sensor, str):
            return sensor
        self._record(message, (event, reading.body), sensor, tags, batch)
        if is_new:
            self._note_source(reading.sensor)
        return None

    def _note_source(self, sensor_id: str) -> None:
        """Remember under whose name a sensor's presence may be told: its own, or that without its axis."""
        self._of_source.setdefault(sensor_id, []).append(sensor_id)
        source, dash, _ = sensor_id.rpartition("-")
        if dash and source:
            self._of_source.setdefault(source, []).append(sensor_id)

    def forget_sources(self) -> None:
        """Forget the names of sensors that there are no more, and what their topics captured."""
        self._templates.forget()
        self._of_source.clear()
        self._note_sources(self._engine.sensors.values())

    def _note_sources(self, sensors: Iterable[Sensor]) -> None:
        for published in dict.fromkeys(sensor.published_id for sensor in sensors):
            self._note_source(published)

    def is_outdated(self, message: Message) -> bool:
        """Tell whether a message says how a machine or a sensor was, and how it is has been said meanwhile."""
        signal = self._signals.read(message) if self._templates.match(message.topic) is None else None
        if isinstance(signal, MachineState):
            return signal.place in self._engine.machines.states
        if not isinstance(signal, SensorStatus):
            return False
        return any(sensor.state.status for sensor in self._engine.registry.of_id(signal.sensor_id, signal.place))

    def mark(self, sensor: Sensor, judged: Iterable[Judged]) -> None:
        """Have the next snapshot save a sensor, and those of its machine that have shifted with it."""
        sensor.is_changed = True
        for shift in (shift for each in judged for shift in each.evaluation.shifts):
            self._engine.sensors[shift.sensor_id].is_changed = True

    def _take_signal(self, message: Message, signal: MachineState | SensorStatus | Rejected, batch: UnitOfWork) -> None:
        if isinstance(signal, Rejected):
            self._reject(message, signal, batch)
            return
        machines = self._engine.machines.states
        if isinstance(signal, MachineState) and signal.state != "" and signal.place not in machines:
            is_known = bool(self._engine.machines.sensors_of(signal.place))
            quota = None if is_known else self._usage.refuse_state(len(machines))
            if quota is not None:
                batch.count_over(quota)
                self._refuse(message, message.payload, quota, batch)
                return
        for change in self._engine.signal(signal, message.received_ns, again=message.retained or message.duplicate):
            batch.add(change)
        if isinstance(signal, SensorStatus):
            for sensor in self._engine.registry.of_id(signal.sensor_id, signal.place):
                sensor.is_changed = True

    def _reject(self, message: Message, rejected: Rejected, batch: UnitOfWork) -> None:
        identity = f"{message.topic}\x00{rejected.element}\x00".encode() + rejected.payload
        digest = blake2b(identity, digest_size=16).digest()
        key = (digest, message.packet_id)
        if message.duplicate and (key in batch.rejected or self._store.has_dead_letter(*key)):
            batch.duplicates += 1
            return
        if not batch.is_replay and self._usage.refuse_letter(message.topic, batch.recorded_ns):
            batch.count_over(LETTERS)
            return
        batch.rejected.add(key)
        at, topic, retained = message.received_ns, message.topic, message.retained
        batch.dead_letters.append(
            DeadLetter(batch.take_seq(), at, topic, message.packet_id, digest, rejected, retained)
        )

    def _refused(self, published: str, tags: Mapping[str, str], batch: UnitOfWork) -> str | None:
        """Take in a sensor that is new at its place, or return the quota that it is over; that is counted."""
        name = self._engine.registry.name_for(published, tags)
        quota = self._usage.refuse_sensor(name, len(self._engine.sensors), batch.recorded_ns)
        if quota is not None:
            batch.count_over(quota)
        return quota

    def _refuse(self, message: Message, payload: bytes, quota: str, batch: UnitOfWork) -> None:
        """Make a dead letter of what is over a quota: it may be taken through again when there is room."""
        self._reject(message, Rejected("over_quota", f"over quotas.{quota}", payload), batch)

    def _record(
        self, message: Message, decoded: Decoded, sensor: Sensor, tags: dict[str, str], batch: UnitOfWork
    ) -> None:
        event, body = decoded
        received_ns, engine = message.received_ns, self._engine
        state, key = sensor.state, sensor.key
        event_id = event.event_id or ""
        event_us = microseconds(event.timestamp)
        if state.seen_us is not None and event_us <= state.seen_us and self._is_known(message, decoded, sensor, batch):
            return
        if not self.ids.add(key, event_id, event_us):
            self._note_ids_again(sensor, event, received_ns, batch)
        time_ns, flags = engine.classify_timestamp(sensor, event_us, received_ns, retained=message.retained)
        if flags & Flag.CLOCK_REPLACED:
            batch.clock_replaced += 1
        elif flags & NOT_JUDGED or event_us != state.newest_us:
            same_time = batch.same_time(event_us, key)
            time_ns += len(same_time) + self._store.count_same_time(event_us, key)
            batch.late += flags == Flag.LATE
        seq = batch.take_seq()
        judged: Sequence[Judged] = ()
        if not flags & NOT_JUDGED:
            self._bring_up_to_date(sensor, event, message, tags, batch)
            judged = engine.judge(sensor, event, event_us, time_ns, received_ns=received_ns, flags=flags)
        else:
            judged = engine.pass_over(sensor, event, time_ns, received_ns, flags)
        level, baseline = engine.stored_as(sensor, event.data)
        batch.readings.append((seq, event_us, key, event_id, time_ns, received_ns, level, baseline, flags, body))
        sensor.is_changed = True
        if sensor.is_silent and not flags & Flag.RETAINED:
            for change in engine.watch.heard(sensor, event, received_ns):
                batch.add(change)
        if judged:
            self._conclude(sensor, judged, batch)

    def _note_ids_again(self, sensor: Sensor, event: VibrationRecorded, received_ns: int, batch: UnitOfWork) -> None:
        event_id = event.event_id or ""
        fact = ids_again(sensor, event_id, event.correlation_id or event_id, received_ns)
        if fact is not None:
            self._engine.replay(fact)
            batch.add(Change(fact))

    def _conclude(self, sensor: Sensor, judged: Sequence[Judged], batch: UnitOfWork) -> None:
        for each in judged:
            for change in self._engine.conclude(sensor, each):
                batch.add(change)
        self.mark(sensor, judged)

    def _sensor_of(
        self, event: VibrationRecorded, tags: dict[str, str], received_ns: int, batch: UnitOfWork
    ) -> Sensor | str:
        """Return the sensor that publishes an id at a place, a new one if it was never heard there; or a quota.

        That one its being new is over.
        """
        registry, published = self._engine.registry, event.data.sensor_id
        sensor = registry.names.get(published)
        if sensor is None or sensor.tags is not tags or sensor.published:
            sensor = registry.find(published, tags)
        if sensor is not None:
            return sensor
        if quota := self._refused(published, tags, batch):
            return quota
        if alone := registry.alone(published):
            self._rename(alone, registry.name_for(published, alone.tags), received_ns, batch)
        return self._add_sensor(event, tags, received_ns, batch)

    def name_anew(self, published: Iterable[str], time_ns: int, batch: UnitOfWork) -> None:
        """Let sensors that are the only ones of these ids now be called by them."""
        for each in published:
            if sensor := self._engine.registry.left_alone(each):
                self._rename(sensor, each, time_ns, batch)

    def _rename(self, sensor: Sensor, name: str, received_ns: int, batch: UnitOfWork) -> None:
        """Let a sensor have another name from now on, with its open alerts; its history follows when it is written."""
        before, published = sensor.id, sensor.published_id
        self._engine.registry.rename(sensor, intern(name))
        self._engine.alerts.rename(before, name, sensor.published)
        batch.renamed.append((before, name, sensor.published))
        batch.sensors[sensor.key] = sensor
        batch.is_move = True
        batch.add(Change(sensor_renamed(before, name, published, received_ns)))

    def _add_sensor(
        self, event: VibrationRecorded, tags: dict[str, str], received_ns: int, batch: UnitOfWork
    ) -> Sensor:
        self.newest_key += 1
        published = event.data.sensor_id
        name = self._engine.registry.name_for(published, tags)
        sensor = Sensor(
            key=self.newest_key,
            id=intern(name),
            tags=tags,
            unit=intern(event.data.unit),
            location=intern((event.sensor_location or "")[:MAX_LOCATION]),
            first_seen_ns=received_ns,
            state=SensorState(),
            published="" if name == published else intern(published),
        )
        self._engine.register(sensor)
        batch.sensors[sensor.key] = sensor
        return sensor

    def _bring_up_to_date(
        self, sensor: Sensor, event: VibrationRecorded, message: Message, tags: dict[str, str], batch: UnitOfWork
    ) -> None:
        """Let the registry know what a reading in order says of its sensor; an old one may come from where it was."""
        unit, location = event.data.unit, event.sensor_location or sensor.location
        if event.data.vibration_level is None and level_without_one(sensor.state, event.data) is None:
            unit = sensor.unit
        if len(location) > MAX_LOCATION:
            location = location[:MAX_LOCATION]
        if sensor.tags is not tags and sensor.tags == tags:
            self._templates.keep(message.topic, sensor.tags)
            tags = sensor.tags
        if sensor.unit != unit or sensor.location != location or sensor.tags is not tags:
            if sensor.tags is not tags:
                self._note_move(sensor, tags, message.received_ns, batch)
            sensor.tags, sensor.unit, sensor.location = tags, intern(unit), intern(location)
            self._engine.moved(sensor)
            batch.sensors[sensor.key] = sensor

    def _note_move(self, sensor: Sensor, tags: dict[str, str], received_ns: int, batch: UnitOfWork) -> None:
        """Say that a sensor has moved, if sensors do; elsewhere its topic only says more or less of its place."""
        batch.is_move = True
        if not self._engine.registry.sensors_move or asset_of(sensor.tags) == asset_of(tags):
            return
        if sensor.published:  # from when ids at several places were several sensors
            self._rename(sensor, sensor.published, received_ns, batch)
        batch.add(Change(sensor_moved(sensor.id, sensor.published_id, sensor.tags, tags, received_ns)))

    def _is_known(self, message: Message, decoded: Decoded, sensor: Sensor, batch: UnitOfWork) -> bool:
        """Tell whether a reading of this time and id is stored already; if so, it is counted."""
        event_us, event_id = microseconds(decoded[0].timestamp), decoded[0].event_id or ""
        same_time = batch.same_time(event_us, sensor.key)
        stored = same_time.get(event_id) or self._store.find_reading(event_us, sensor.key, event_id)
        if stored is not None:
            self._repeated(message, decoded, stored, batch)
        return stored is not None

    def _repeated(self, message: Message, decoded: Decoded, stored: bytes, batch: UnitOfWork) -> None:
        """Count a duplicate; one that says something else than the first is a dead letter.

        One that was sent again may well belong to another trace.
        """
        event, body = decoded
        if body == stored:
            batch.duplicates += 1
            return
        first = decode_event(stored)
        first.event_id, first.traceparent = event.event_id, event.traceparent
        if first == event:
            batch.duplicates += 1
        else:
            self._reject(message, Rejected("id_conflict", f"eventId is {event.event_id!r}", body), batch)
