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
from gateway.domain.clock import OurClock
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
from gateway.domain.sensors import Clocks, Sensor, SensorState, Waiting, hold, place, release
from gateway.domain.topics import TopicTemplates
from gateway.errors import ConflictError, JournalUnavailableError, NotFoundError

NOT_JUDGED = Flag.LATE | Flag.RETAINED

BASELINE_LEARNED = "BaselineLearned"
LATENESS_PASSED = "LatenessPassed"

SNAPSHOT_READINGS = 50_000
"""So many readings, or ten for each sensor, are replayed at most after a crash."""


TailRow = tuple[int, int, int, int, str, bytes]
"""A row of the journal's tail: sensor key, event_us, received_ns, flags, event id, body."""

RecentRow = tuple[int, int, int, int, str]
"""The same without the body."""

LATENESS_PASSED_ROW = -1
"""In place of the flags: not a reading, but the fact that what waited up to event_us has been judged."""


LOOK_BACK = 10_000
"""So many readings are looked back upon for an id that is used again."""


class RecentIds:
    """The ids of the last readings: within this window, one id for two times of a sensor is noticed."""

    def __init__(self, window: int = LOOK_BACK) -> None:
        self._window = window
        self._times: dict[tuple[int, str], int] = {}

    def add(self, sensor: int, event_id: str, event_us: int) -> None:
        """Take in a new reading."""
        self._times[sensor, event_id] = event_us
        if len(self._times) > self._window:
            del self._times[next(iter(self._times))]

    def time_of(self, sensor: int, event_id: str) -> int | None:
        """Return the time, in microseconds, that an id was used for."""
        return self._times.get((sensor, event_id))


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
        self,
        store: Store,
        templates: TopicTemplates,
        rules_for: Callable[[Sensor], Rules],
        tolerance_ns: int,
        lateness_ns: int = 0,
    ) -> None:
        self._store = store
        self._templates = templates
        self._rules_for = rules_for
        self._clocks = Clocks(tolerance_ns // 1000, lateness_ns // 1000)
        self._our_clock = OurClock(tolerance_ns // 1000)
        self._ids = RecentIds()
        self._holding: dict[int, tuple[Sensor, int]] = {}
        self._sensors: dict[str, Sensor] = {}
        self._rules: dict[int, Rules] = {}
        self._open: dict[str, Alert] = {}
        self._conditions: dict[str, Alert] = {}
        self._changed: dict[int, Sensor] = {}
        self._since_snapshot = 0
        self._prepared: Batch | None = None
        self._unwritten: list[Batch] = []
        self._ahead = False

    def restore(
        self,
        sensors: Sequence[Sensor],
        open_alerts: Sequence[Alert],
        tail: Iterable[TailRow],
        recent: Iterable[RecentRow] = (),
    ) -> int:
        """Take up where the journal ends: its last snapshot, and `tail`, what came since; return the length of that.

        `recent` are the last readings before the snapshot, the oldest first: what is looked back upon.
        """
        by_key = {sensor.key: sensor for sensor in sensors}
        self._sensors = {sensor.id: sensor for sensor in sensors}
        self._open = {alert.sensor_id: alert for alert in open_alerts if alert.kind != "gateway"}
        self._conditions = {alert.sensor_id: alert for alert in open_alerts if alert.kind == "gateway"}
        for key, event_us, received_ns, flags, event_id in recent:
            self._ids.add(key, event_id, event_us)
            known = not flags & Flag.CLOCK_REPLACED
            self._our_clock.is_suspect(key, event_us, received_ns // 1000, known=known)
        count = 0
        for count, row in enumerate(tail, start=1):  # noqa: B007
            self._again(by_key[row[0]], row)
        self._since_snapshot = count
        for sensor in sensors:  # the rules may have changed since; the alerts that are open are a fact
            alert = self._open.get(sensor.id)
            sensor.state.severity = Level[alert.severity.upper()] if alert else Level.NONE
            sensor.state.limits = None
            if sensor.state.waiting:
                self._holding[sensor.key] = sensor, 0
        return count

    def _again(self, sensor: Sensor, row: TailRow) -> None:
        """Move the state on by a row of the journal, as it was moved when the row was written."""
        key, event_us, received_ns, flags, event_id, body = row
        state, rules = sensor.state, self._rules_of(sensor)
        self._changed[key] = sensor
        if flags == LATENESS_PASSED_ROW:
            judged = release(state, event_us)
        else:
            self._ids.add(key, event_id, event_us)
            time_ns, _ = self._place(sensor, event_us, received_ns, retained=bool(flags & Flag.RETAINED))
            if flags & NOT_JUDGED:
                return
            event = EVENT.decode(body)
            event.event_id = event_id
            if not self._waits(flags):
                evaluate(state, _sample(event, time_ns), rules)
                return
            hold(state, _waiting(event, event_us))
            judged = release(state, self._watermark(state))
        for reading in judged:
            evaluate(state, _sample_of(reading), rules)

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
            self._unwritten.append(batch)
        batch = self._prepared
        self._flush()
        self._prepared = None
        self._since_snapshot += len(batch.readings)
        if self._since_snapshot >= max(SNAPSHOT_READINGS, 10 * len(self._sensors)):
            with suppress(JournalUnavailableError):  # the batch is on disk; the next one tries again
                self.snapshot()
        return batch

    def pass_lateness(self, now_ns: int) -> None:
        """Judge what has waited for longer than the lateness allows, since nothing newer has come from its sensor.

        That time has passed is a fact in the journal: a replay judges the same at the same place.
        """
        longest_ns = self._clocks.lateness_us * 1000
        overdue = [sensor for sensor, since_ns in self._holding.values() if now_ns - since_ns > longest_ns]
        if not overdue:
            return
        self._ahead = True
        batch = Batch(next_seq=self._store.next_seq, recorded_ns=now_ns)
        for sensor in overdue:
            last = sensor.state.waiting[-1]
            data = {"sensorId": sensor.id, "untilUs": last.event_us}
            fact = derive(
                LATENESS_PASSED,
                sensor.id,
                last.event_us * 1000,
                cause=last.event_id,
                correlation=last.correlation_id,
                data=data,
            )
            batch.facts.append((batch.take_seq(), fact))
            self._judge_waiting(sensor, last.event_us, batch)
        self._unwritten.append(batch)
        self._flush()

    def replay(self, letters: Sequence[tuple[int, Message]], recorded_ns: int) -> list[int]:
        """Take dead letters (by number) through the pipeline again; return the numbers of those that are none any more.

        They leave the dead letters in the transaction that stores what they hold. The others stay as they are.
        """
        self._ahead = True
        batch = Batch(next_seq=self._store.next_seq, recorded_ns=recorded_ns)
        for number, message in letters:
            tags = self._templates.match(message.topic)
            items = decode(message.payload, tags)
            refused = len(batch.dead_letters)
            for item in items:
                if isinstance(item, Rejected):
                    self._reject(message, item, batch)
                else:
                    self._record(message, item, tags or {}, batch)
            if len(batch.dead_letters) == refused:
                batch.replayed.append(number)
            batch.drop_dead_letters(refused)
        self._unwritten.append(batch)
        self._flush()
        return batch.replayed

    def _flush(self) -> None:
        """Write what is not written yet, in order."""
        while self._unwritten:
            batch = self._unwritten[0]
            batch.start_at(self._store.next_seq)
            self._store.write(batch)
            del self._unwritten[0]
        self._ahead = False

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

    def acknowledge(self, alert_id: str, by: str, reason: str, time_ns: int) -> Alert:
        """Acknowledge an open alert and return it.

        Raises NotFoundError if no open alert has this id, ConflictError if somebody was faster, and
        JournalUnavailableError; nothing has changed then.
        """
        holder = next(
            (open_ for open_ in (self._open, self._conditions) for alert in open_.values() if alert.id == alert_id),
            None,
        )
        if holder is None:
            raise NotFoundError(f"no open alert has the id {alert_id!r}; one that has cleared needs no acknowledgement")
        alert = next(alert for alert in holder.values() if alert.id == alert_id)
        if alert.acknowledged:
            raise ConflictError(f"{alert.acknowledged_by} has acknowledged this alert already")
        changed, fact = alerts.acknowledge(alert, by, reason, time_ns)
        batch = Batch(next_seq=self._store.next_seq, recorded_ns=time_ns)
        batch.facts = [(batch.take_seq(), fact)]
        batch.alerts[alert_id] = changed
        self._store.write(batch)
        holder[changed.sensor_id] = changed
        return changed

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
        earlier_us = self._ids.time_of(sensor.key, event_id)
        if earlier_us is not None and earlier_us != event_us:
            self._reject(
                message, Rejected("id_conflict", f"eventId {event_id!r} was used for another time", body), batch
            )
            return
        time_ns, flags = self._place(sensor, event_us, message.received_ns, retained=message.retained)
        if flags & Flag.CLOCK_REPLACED:
            batch.clock_replaced += 1
        elif flags & NOT_JUDGED or event_us != state.newest_us:
            same_time = batch.bodies.get((event_us, sensor.key), {})
            time_ns += len(same_time) + self._store.count_same_time(event_us, sensor.key)
            batch.late += flags == Flag.LATE
        seq = batch.take_seq()
        evaluation = detection.NOTHING
        is_judged = not flags & NOT_JUDGED
        if is_judged:
            self._bring_up_to_date(sensor, event, tags, batch)
            if not self._waits(flags):
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
        self._ids.add(sensor.key, event_id, event_us)
        self._changed[sensor.key] = sensor
        if evaluation is not detection.NOTHING:
            self._conclude(sensor, _cause(sensor, event, time_ns), evaluation, batch)
        elif is_judged and self._waits(flags):
            hold(state, _waiting(event, event_us))
            self._holding[sensor.key] = sensor, message.received_ns
            self._judge_waiting(sensor, self._watermark(state), batch)

    def _place(self, sensor: Sensor, event_us: int, received_ns: int, *, retained: bool) -> tuple[int, int]:
        known = sensor.state.newest_us is not None
        suspect = self._our_clock.is_suspect(sensor.key, event_us, received_ns // 1000, known=known)
        return place(sensor.state, event_us, received_ns, self._clocks, retained=retained, suspect=suspect)

    def _waits(self, flags: int) -> bool:
        """Tell whether a reading that is to be judged has to wait for the watermark first."""
        return self._clocks.lateness_us > 0 and not flags & Flag.CLOCK_REPLACED

    def _watermark(self, state: SensorState) -> int:
        return (state.newest_us or 0) - self._clocks.lateness_us

    def _judge_waiting(self, sensor: Sensor, until_us: int, batch: Batch) -> None:
        """Judge the readings that have waited long enough, in the order of their time."""
        for reading in release(sensor.state, until_us):
            evaluation = evaluate(sensor.state, _sample_of(reading), self._rules_of(sensor))
            if evaluation is not detection.NOTHING:
                cause = alerts.Cause(
                    reading.event_id,
                    reading.correlation_id,
                    reading.event_us * 1000,
                    sensor.id,
                    sensor.tags,
                    reading.unit,
                    sensor.location,
                )
                self._conclude(sensor, cause, evaluation, batch)
        self._changed[sensor.key] = sensor
        if not sensor.state.waiting:
            self._holding.pop(sensor.key, None)

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

    def _conclude(self, sensor: Sensor, cause: alerts.Cause, evaluation: Evaluation, batch: Batch) -> None:
        """Turn what detection found into facts and alert changes."""
        if evaluation.learned is not None:
            fact = derive(
                BASELINE_LEARNED,
                sensor.id,
                cause.time_ns,
                cause=cause.event_id,
                correlation=cause.correlation_id,
                data=_describe_baseline(evaluation.learned, sensor),
            )
            batch.facts.append((batch.take_seq(), fact))
        if evaluation.finding is None:
            return
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


def _sample_of(reading: Waiting) -> Sample:
    time_ns = reading.event_us * 1000
    return Sample(reading.level, time_ns, reading.unit, reading.event_baseline, reading.operating_state)


def _waiting(event: VibrationRecorded, event_us: int) -> Waiting:
    data = event.data
    event_id = event.event_id or ""
    return Waiting(
        event_us,
        event_id,
        event.correlation_id or event_id,
        data.vibration_level,
        data.unit,
        data.baseline_vibration_level,
        data.operating_state,
    )


def _cause(sensor: Sensor, event: VibrationRecorded, time_ns: int) -> alerts.Cause:
    event_id = event.event_id or ""
    correlation = event.correlation_id or event_id
    return alerts.Cause(event_id, correlation, time_ns, sensor.id, sensor.tags, event.data.unit, sensor.location)


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
