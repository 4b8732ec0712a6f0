"""The one path of one batch: decode, recognise duplicates, evaluate, alert life cycle, one transaction.

Everything here runs in the journal's thread, which alone owns the sensors' state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Protocol

from gateway.domain import alerts, detection
from gateway.domain.alerts import Alert
from gateway.domain.baseline import Baseline
from gateway.domain.batch import Batch, DeadLetter
from gateway.domain.decoding import EVENT, Decoded, decode
from gateway.domain.detection import Evaluation, Rules, Sample, evaluate
from gateway.domain.events import (
    Flag,
    Level,
    Message,
    Rejected,
    Severity,
    VibrationRecorded,
    derive,
    microseconds,
    rfc3339,
)
from gateway.domain.sensors import Sensor, SensorState, place
from gateway.domain.topics import TopicTemplates
from gateway.errors import JournalUnavailableError

NOT_JUDGED = Flag.LATE | Flag.RETAINED

BASELINE_LEARNED = "BaselineLearned"
SENSOR_ADDED = "SensorAdded"

SNAPSHOT_READINGS = 50_000
"""So many readings, or ten for each sensor, are replayed at most after a crash."""


class Store(Protocol):
    """What the pipeline asks of the journal."""

    next_seq: int

    def find_reading(self, event_us: int, sensor: int, event_id: str) -> bytes | None:
        """Return the body of the reading with this key, or None."""

    def count_same_time(self, event_us: int, sensor: int) -> int:
        """Return how many readings of a sensor have the same time."""

    def has_dead_letter(self, digest: bytes, packet_id: int) -> bool:
        """Tell whether this very message is a dead letter already."""

    def write(self, batch: Batch) -> None:
        """Write a batch in one transaction."""

    def save_detector(self, sensors: Iterable[Sensor], seq: int) -> None:
        """Save the state of `sensors` as it is after `seq`."""


class Pipeline:
    """The path of a batch, and the state of the sensors that it moves on."""

    def __init__(
        self, store: Store, templates: TopicTemplates, rules_for: Callable[[Sensor], Rules], tolerance_ns: int
    ) -> None:
        self._store = store
        self._templates = templates
        self._rules_for = rules_for
        self._tolerance_us = tolerance_ns // 1000
        self._sensors: dict[str, Sensor] = {}
        self._rules: dict[int, Rules] = {}
        self._open: dict[str, Alert] = {}
        self._conditions: dict[str, Alert] = {}
        self._changed: dict[int, Sensor] = {}
        self._since_snapshot = 0
        self._prepared: Batch | None = None
        self._ahead = False

    def restore(
        self,
        sensors: Sequence[Sensor],
        open_alerts: Sequence[Alert],
        tail: Iterable[tuple[int, int, int, int, bytes]],
    ) -> int:
        """Take up where the journal ends: its last snapshot, and `tail`, the readings since; return their number.

        A row of the tail is (sensor key, event_us, received_ns, flags, body), in the order of the sequence.
        """
        by_key = {sensor.key: sensor for sensor in sensors}
        self._sensors = {sensor.id: sensor for sensor in sensors}
        self._open = {alert.sensor_id: alert for alert in open_alerts if alert.kind != "gateway"}
        self._conditions = {alert.sensor_id: alert for alert in open_alerts if alert.kind == "gateway"}
        count = 0
        for count, (key, event_us, received_ns, flags, body) in enumerate(tail, start=1):  # noqa: B007
            sensor = by_key[key]
            retained = bool(flags & Flag.RETAINED)
            time_ns, _ = place(sensor.state, event_us, received_ns, self._tolerance_us, retained=retained)
            if not flags & NOT_JUDGED:
                evaluate(sensor.state, _sample(EVENT.decode(body), time_ns), self._rules_of(sensor))
            self._changed[key] = sensor
        self._since_snapshot = count
        for sensor in sensors:  # the rules may have changed since; the alerts that are open are a fact
            alert = self._open.get(sensor.id)
            sensor.state.severity = Level[alert.severity.upper()] if alert else Level.NONE
            sensor.state.limits = None
        return count

    def process(self, messages: Sequence[Message], recorded_ns: int) -> Batch:
        """Store what `messages` hold and everything that follows from it; then they may be acknowledged.

        Raises JournalUnavailableError if the transaction failed. The same call may then be made again: what was
        concluded from the messages is kept and only written anew.
        """
        if self._prepared is None:
            self._ahead = True
            batch = Batch(next_seq=self._store.next_seq, recorded_ns=recorded_ns, messages=len(messages))
            for message in messages:
                self._take(message, batch)
            self._prepared = batch
        batch = self._prepared
        batch.start_at(self._store.next_seq)
        self._store.write(batch)
        self._prepared = None
        self._ahead = False
        self._since_snapshot += len(batch.readings)
        if self._since_snapshot >= max(SNAPSHOT_READINGS, 10 * len(self._sensors)):
            with suppress(JournalUnavailableError):  # the batch is on disk; the next one tries again
                self.snapshot()
        return batch

    def report(self, subject: str, severity: Severity | None, reason: str, time_ns: int) -> None:
        """Raise, escalate or (severity None) clear the gateway's own alert about a part of itself.

        Raises JournalUnavailableError and has then changed nothing; the same report may be made as often as one likes.
        """
        changed = alerts.apply_condition(self._conditions.get(subject), subject, severity, reason, time_ns)
        if changed is None:
            return
        alert, facts = changed
        batch = Batch(next_seq=self._store.next_seq, recorded_ns=time_ns)
        batch.facts = [(batch.take_seq(), fact) for fact in facts]
        batch.alerts[alert.id] = alert
        self._store.write(batch)
        if alert.state == "cleared":
            del self._conditions[subject]
        else:
            self._conditions[subject] = alert

    def snapshot(self) -> None:
        """Save the state of every sensor that has changed since the last time.

        Not while the state is ahead of the journal: readings that could not be written come again.
        """
        if self._changed and not self._ahead:
            self._store.save_detector(self._changed.values(), self._store.next_seq - 1)
            self._changed.clear()
            self._since_snapshot = 0

    def _take(self, message: Message, batch: Batch) -> None:
        tags = self._templates.match(message.topic)
        for item in decode(message.payload, tags):
            if isinstance(item, Rejected):
                self._reject(message, item, batch)
            else:
                self._record(message, item, tags or {}, batch)

    def _reject(self, message: Message, rejected: Rejected, batch: Batch) -> None:
        identity = f"{message.topic}\x00{rejected.element}\x00".encode() + rejected.payload
        digest = blake2b(identity, digest_size=16).digest()
        key = (digest, message.packet_id)
        if message.duplicate and (key in batch.rejected or self._store.has_dead_letter(*key)):
            batch.duplicates += 1
            return
        batch.rejected.add(key)
        batch.dead_letters.append(
            DeadLetter(batch.take_seq(), message.received_ns, message.topic, message.packet_id, digest, rejected)
        )

    def _record(self, message: Message, decoded: Decoded, tags: dict[str, str], batch: Batch) -> None:
        event, body = decoded
        sensor = self._sensors.get(event.data.sensor_id) or self._add_sensor(event, tags, message.received_ns, batch)
        state = sensor.state
        event_id = event.event_id or ""
        event_us = microseconds(event.timestamp)
        if state.seen_us is not None and event_us <= state.seen_us:
            same_time = batch.bodies.get((event_us, sensor.key), {})
            stored = same_time.get(event_id) or self._store.find_reading(event_us, sensor.key, event_id)
            if stored is not None:
                self._repeated(message, decoded, stored, batch)
                return
        time_ns, flags = place(state, event_us, message.received_ns, self._tolerance_us, retained=message.retained)
        if flags & Flag.CLOCK_REPLACED:
            batch.clock_replaced += 1
        elif flags & NOT_JUDGED:
            same_time = batch.bodies.get((event_us, sensor.key), {})
            time_ns += len(same_time) + self._store.count_same_time(event_us, sensor.key)
            batch.late += flags == Flag.LATE
        seq = batch.take_seq()
        evaluation = detection.NOTHING
        if not flags & NOT_JUDGED:
            self._bring_up_to_date(sensor, event, tags, batch)
            evaluation = evaluate(state, _sample(event, time_ns), self._rules_of(sensor))
        limit = state.limits or detection.current_limits(state, self._rules_of(sensor))
        baseline = limit.baseline.level if limit else None
        batch.readings.append(
            (
                seq, event_us, sensor.key, event_id, time_ns, message.received_ns,
                event.data.vibration_level, baseline, flags, body,
            )
        )  # fmt: skip
        batch.bodies.setdefault((event_us, sensor.key), {})[event_id] = body
        self._changed[sensor.key] = sensor
        if evaluation is not detection.NOTHING:
            self._conclude(sensor, event, time_ns, evaluation, batch)

    def _add_sensor(self, event: VibrationRecorded, tags: dict[str, str], received_ns: int, batch: Batch) -> Sensor:
        sensor = Sensor(
            key=len(self._sensors) + 1,
            id=event.data.sensor_id,
            tags=tags,
            unit=event.data.unit,
            location=event.sensor_location or "",
            first_seen_ns=received_ns,
            state=SensorState(),
        )
        self._sensors[sensor.id] = sensor
        batch.sensors[sensor.key] = sensor
        return sensor

    def _bring_up_to_date(self, sensor: Sensor, event: VibrationRecorded, tags: dict[str, str], batch: Batch) -> None:
        """Let the registry know what a reading in order says of its sensor; an old one may come from where it was."""
        unit, location = event.data.unit, event.sensor_location or sensor.location
        if sensor.unit != unit or sensor.location != location or (sensor.tags is not tags and sensor.tags != tags):
            self._rules.pop(sensor.key, None)
            sensor.tags, sensor.unit, sensor.location = tags, unit, location
            batch.sensors[sensor.key] = sensor

    def _repeated(self, message: Message, decoded: Decoded, stored: bytes, batch: Batch) -> None:
        """Count a duplicate; one that says something else than the first is a dead letter."""
        event, body = decoded
        if body == stored:
            batch.duplicates += 1
            return
        first = EVENT.decode(stored)
        first.event_id = event.event_id
        if first == event:
            batch.duplicates += 1
        else:
            self._reject(message, Rejected("id_conflict", f"eventId is {event.event_id!r}", body), batch)

    def _conclude(
        self, sensor: Sensor, event: VibrationRecorded, time_ns: int, evaluation: Evaluation, batch: Batch
    ) -> None:
        """Turn what detection found into facts and alert changes."""
        event_id = event.event_id or ""
        correlation = event.correlation_id or event_id
        if evaluation.learned is not None:
            data = _describe_baseline(evaluation.learned, sensor)
            fact = derive(BASELINE_LEARNED, sensor.id, time_ns, cause=event_id, correlation=correlation, data=data)
            batch.facts.append((batch.take_seq(), fact))
        if evaluation.finding is None:
            return
        cause = alerts.Cause(event_id, correlation, time_ns, sensor.id, sensor.tags, event.data.unit, sensor.location)
        alert, fact = alerts.apply(self._open.get(sensor.id), evaluation.finding, cause)
        if alert.state == "cleared":
            self._open.pop(sensor.id, None)
        else:
            self._open[sensor.id] = alert
        batch.alerts[alert.id] = alert
        batch.facts.append((batch.take_seq(), fact))

    def _rules_of(self, sensor: Sensor) -> Rules:
        rules = self._rules.get(sensor.key)
        if rules is None:
            rules = self._rules[sensor.key] = self._rules_for(sensor)
            sensor.state.limits = None
        return rules


def _sample(event: VibrationRecorded, time_ns: int) -> Sample:
    data = event.data
    return Sample(data.vibration_level, time_ns, data.unit, data.baseline_vibration_level, data.operating_state)


def _describe_baseline(baseline: Baseline, sensor: Sensor) -> dict[str, object]:
    return {
        "sensorId": sensor.id,
        "level": baseline.level,
        "sigma": baseline.sigma,
        "unit": sensor.unit,
        "source": baseline.source,
        "version": baseline.version,
        "readings": baseline.readings,
        "from": rfc3339(baseline.from_ns),
        "to": rfc3339(baseline.to_ns),
    }
