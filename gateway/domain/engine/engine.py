"""Detection and alert life cycle together, for all sensors: what a reading leads to. Pure, and the same in a replay.

It is what the pipeline runs on what comes in, what a restart runs on the tail of the journal, and what a backtest runs
on history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.alerting.alert import Alert
from gateway.domain.alerting.liveness import (
    LATENESS,
    SENSOR_FORGOTTEN,
    SHELVING,
    SILENCE,
    TIME_PASSED,
    LivenessMonitor,
    Reception,
    lateness_passed,
)
from gateway.domain.alerting.open_alerts import LONGEST_SHELVING_NS, Change, OpenAlerts
from gateway.domain.detection import detector as detection
from gateway.domain.detection import machine_shift as regime
from gateway.domain.detection import sensor_faults as health
from gateway.domain.detection.detector import Evaluation, evaluate
from gateway.domain.detection.gateway_clock import OurClock
from gateway.domain.detection.plausibility import LATE, RETAINED, STUCK, UNIT
from gateway.domain.detection.registry import Registry
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sample import Sample
from gateway.domain.detection.state import (
    Sensor,
    SensorState,
    Waiting,
    begin_levels,
    has_history,
    hear,
    level_without_one,
)
from gateway.domain.detection.timeline import Clocks, classify_timestamp, hold, release
from gateway.domain.engine.assets import Machines
from gateway.domain.engine.baselines import apply_baseline, normal_changed
from gateway.domain.engine.id_window import EVENT_IDS_AGAIN
from gateway.domain.model.assets import (
    MACHINE_STATE,
    SENSOR_STATUS,
    AssetPath,
    MachineState,
    SensorStatus,
    asset_of,
    state_changed,
    status_changed,
)
from gateway.domain.model.events import DomainEvent, SeverityRank, derive
from gateway.domain.model.reading import ACCELERATION, Flag, ReadingData, VibrationRecorded, carry_velocity, values_of

NOT_JUDGED = Flag.LATE | Flag.RETAINED


class Judged(Struct, frozen=True):
    """A reading that was judged, and what that led to."""

    event_id: str
    correlation_id: str
    time_ns: int
    unit: str
    evaluation: Evaluation


class Engine:
    """The state of all sensors and of all open alerts, and the rules by which they move on.

    `expected` are the sensors that the configuration names: id -> for how long each may be silent, in ns. No alert can
    be shelved for longer than `longest_shelving_ns`. `stopwatch_ns` is what silence is measured with; `overdue` sets
    it. `not_judged` counts the readings that were passed over, by the reason.
    """

    def __init__(
        self,
        rules_for: Callable[[Sensor], Rules],
        clocks: Clocks,
        expected: Mapping[str, int] | None = None,
        longest_shelving_ns: int = LONGEST_SHELVING_NS,
        *,
        sensors_move: bool = False,
    ) -> None:
        self.registry = Registry(sensors_move=sensors_move)
        self.sensors = self.registry.names
        self.alerts = OpenAlerts(longest_shelving_ns)
        self.watch = LivenessMonitor(self.registry, self.alerts, self.rules_of, expected)
        self.machines = Machines()
        self.stopwatch_ns = 0
        self.not_judged: dict[str, int] = {}
        self._rules_for = rules_for
        self._alike: dict[Rules, Rules] = {}
        self._clocks = clocks
        self._is_waiting = clocks.lateness_us > 0
        self._our_clock = OurClock(clocks.tolerance_us)
        self._holding: dict[int, tuple[Sensor, int]] = {}

    def set_state(
        self, sensors: Iterable[Sensor], open_alerts: Iterable[Alert], machines: Mapping[AssetPath, str] | None = None
    ) -> None:
        """Start from this registry, these open alerts and these machines' operating states."""
        self.machines.restore(machines or {})
        self.alerts.restore(open_alerts)
        self.registry.restore(())
        for sensor in sensors:
            self.register(sensor)

    def trust_alerts(self) -> None:
        """Make the sensors' state agree with the open alerts: after a replay with new rules, they are the fact."""
        for sensor in self.sensors.values():
            alert = self.alerts.get("machine", sensor.id)
            holds = alert is not None and alert.returned_ns is None
            sensor.state.severity = SeverityRank[alert.severity.upper()] if alert and holds else SeverityRank.NONE
            sensor.state.limits = None
            about_itself = self.alerts.get("sensor", sensor.id)
            health.trust(sensor.state, about_itself.faults if about_itself else ())
            if not holds:
                detection.forget_raised(sensor.state)
            if sensor.state.waiting:
                self._holding[sensor.key] = sensor, 0

    def look_back(self, sensor: Sensor, event_us: int, received_ns: int) -> None:
        """Take in a reading from before the state began: it still says something about our own clock."""
        self._our_clock.is_suspect(sensor.key, event_us, received_ns // 1000, known=has_history(sensor.state))

    def classify_timestamp(self, sensor: Sensor, event_us: int, received_ns: int, *, retained: bool) -> tuple[int, int]:
        """Return the time in ns that counts for a new reading, and its flags; the sensor's timeline moves on."""
        state = sensor.state
        suspect = self._our_clock.is_suspect(sensor.key, event_us, received_ns // 1000, known=has_history(state))
        time_ns, flags = classify_timestamp(
            state, event_us, received_ns, self._clocks, retained=retained, suspect=suspect
        )
        if not retained:
            if sensor.last_heard_ns != self.stopwatch_ns:  # to look takes a tenth of the time of setting it
                sensor.last_heard_ns = self.stopwatch_ns
            if state.offline:
                state.offline = state.forgotten = False
        if not flags & NOT_JUDGED:
            hear(state, time_ns, received_ns)
        return time_ns, flags

    def register(self, sensor: Sensor) -> None:
        """Take a new sensor in; it may be one that was missed."""
        self.registry.add(sensor)
        self.machines.settle(sensor)
        sensor.is_silent = self.watch.is_silent(sensor.id)

    def remove(self, sensor: Sensor) -> None:
        """Forget a sensor, with everything that is known of it."""
        self.registry.remove(sensor)
        self.machines.remove(sensor)
        self._holding.pop(sensor.key, None)

    def judge(
        self, sensor: Sensor, event: VibrationRecorded, event_us: int, time_ns: int, *, received_ns: int, flags: int
    ) -> Sequence[Judged]:
        """Judge a new reading, or those whose turn has come with it; return the ones that led to something."""
        data, state = event.data, sensor.state
        level = data.vibration_level
        if level is None:
            level = level_without_one(state, data)
        elif not state.gives_level:
            begin_levels(state, sensor.rules or self.rules_of(sensor))
        if data.unit != ACCELERATION:
            carry_velocity(data)
        operating_state = sensor.machine_state if data.operating_state is None else data.operating_state
        if not self._is_waiting or flags:  # only a time that is the receive time is flagged here
            sample = Sample(
                level, time_ns, data.unit, data.baseline_vibration_level, operating_state, data.sensor_unit, data
            )  # fmt: skip
            evaluation = self._evaluate(sensor, sample, replaced=flags != 0)
            if evaluation is detection.NOTHING:
                return ()
            event_id = event.event_id or ""
            return [Judged(event_id, event.correlation_id or event_id, time_ns, data.unit, evaluation)]
        event_id = event.event_id or ""
        waiting = Waiting(
            event_us,
            event_id,
            event.correlation_id or event_id,
            level,
            data.unit,
            data.baseline_vibration_level,
            operating_state,
            data.sensor_unit,
            *values_of(data),
        )
        hold(sensor.state, waiting)
        self._holding.setdefault(sensor.key, (sensor, received_ns))
        return self.judge_waiting(sensor, (sensor.state.newest_us or 0) - self._clocks.lateness_us, received_ns)

    def _evaluate(self, sensor: Sensor, sample: Sample, *, replaced: bool = False) -> Evaluation:
        """Examine the sensor and judge a sample, and its machine's other sensors with it if they have all shifted."""
        state, rules = sensor.state, sensor.rules or self.rules_of(sensor)
        faults = None
        if sample.level is None:
            faults = health.examine_clock(state, sample, replaced=replaced) if replaced or state.clock else None
        elif (
            state.odd
            or replaced
            or sample.level == state.last_level
            or (sample.unit is not state.unit and sample.unit != state.unit)
        ):
            faults = health.examine(state, sample, rules, replaced=replaced)
            if state.faults & health.STUCK or state.other_unit or health.is_repeating(state, rules):
                reason = UNIT if state.other_unit else STUCK
                return self._passed_over(sensor, sample, reason, state.heard_ns, faults)
        else:
            state.last_level = sample.level
        evaluation = evaluate(state, sample, rules)
        if evaluation is detection.NOTHING and faults is None and state.doubt is None:
            return evaluation
        if evaluation.not_judged:
            return self._passed_over(sensor, sample, evaluation.not_judged, state.heard_ns, faults)
        if state.doubt is not None:
            faults = health.judge_in_doubt(state, sample, rules, faults)
        if faults is not None:
            evaluation = replace(evaluation, faults=faults)
        if evaluation.finding is None or not rules.regime_change or not state.fresh:
            return evaluation
        machine = self.machines.sensors_of(asset_of(sensor.tags))
        shifts = regime.shift_of_all(sensor, evaluation, machine, rules)
        if not shifts:
            return evaluation
        regime.begin_anew(machine, shifts)
        faults = health.shift(state, sample, regime.in_words(shifts), faults)
        return Evaluation(shifts=tuple(shifts), faults=faults)

    def _passed_over(
        self, sensor: Sensor, sample: Sample, reason: str, received_ns: int, faults: Mapping[str, str] | None = None
    ) -> Evaluation:
        """Count a reading that is not judged; `faults` are those that were found before, if they have changed."""
        self.not_judged[reason] = self.not_judged.get(reason, 0) + 1
        rules = sensor.rules or self.rules_of(sensor)
        faults = health.pass_over(sensor.state, sample, rules, reason, received_ns, found=faults)
        return detection.NOTHING if faults is None else Evaluation(faults=faults)

    def pass_over(
        self, sensor: Sensor, event: VibrationRecorded, time_ns: int, received_ns: int, flags: int
    ) -> list[Judged]:
        """Take in a reading that is late, or the broker's memory: it is not judged. Return it if something follows."""
        data, state = event.data, sensor.state
        level = level_without_one(state, data) if data.vibration_level is None else data.vibration_level
        if level is not None and data.unit != state.unit:
            level = inf  # nothing known of it explains a level in another unit
        sample = Sample(level, time_ns, data.unit, sensor_unit=data.sensor_unit, quantities=data)
        evaluation = self._passed_over(sensor, sample, LATE if flags & Flag.LATE else RETAINED, received_ns)
        if evaluation is detection.NOTHING:
            return []
        event_id = event.event_id or ""
        return [Judged(event_id, event.correlation_id or event_id, time_ns, data.unit, evaluation)]

    def judge_waiting(self, sensor: Sensor, until_us: int, received_ns: int = 0) -> list[Judged]:
        """Judge the readings that have waited long enough, in the order of their time."""
        found = []
        released = release(sensor.state, until_us)
        for reading in released:
            time_ns = reading.event_us * 1000
            sample = Sample(
                reading.level, time_ns, reading.unit, reading.event_baseline, reading.operating_state,
                reading.sensor_unit, reading,
            )  # fmt: skip
            evaluation = self._evaluate(sensor, sample)
            if evaluation is not detection.NOTHING:
                found.append(Judged(reading.event_id, reading.correlation_id, time_ns, reading.unit, evaluation))
        if not sensor.state.waiting:
            self._holding.pop(sensor.key, None)
        elif released:  # the oldest is gone; the next one came no later than now
            self._holding[sensor.key] = sensor, received_ns
        return found

    def signal(self, signal: MachineState | SensorStatus, received_ns: int, *, again: bool = False) -> list[Change]:
        """Return what follows from what a machine or a sensor says of itself: nothing, if it is nothing new.

        `again`: it may be known already, as the broker keeps it or sends it twice. For a sensor that is offline nobody
        waits five intervals. What one says before it has measured anything is not remembered.
        """
        if isinstance(signal, MachineState):
            before = self.machines.states.get(signal.place)
            if (signal.state or None) == before:
                return []
            self.machines.change(signal.place, signal.state)
            return [Change(state_changed(signal, before, received_ns))]
        offline = signal.status == "offline"
        changes = []
        for sensor in self.registry.of_id(signal.sensor_id, signal.place):
            state = sensor.state
            if state.offline == offline or state.forgotten or (again and state.status == signal.status):
                continue
            state.offline, state.status = offline, signal.status
            changes.append(Change(status_changed(sensor.id, signal.status, received_ns)))
        return changes

    def replay(self, fact: DomainEvent) -> None:
        """Move the state on by a fact of the journal, as it was moved when the fact was written."""
        data = fact.data
        sensor = self.sensors.get(data.get("sensorId", ""))
        if fact.type == MACHINE_STATE:
            self.machines.change((data["site"], data["area"], data["machine"]), data["state"])
        elif sensor is None:
            return
        elif fact.type == SENSOR_STATUS:
            sensor.state.offline, sensor.state.status = data["status"] == "offline", data["status"]
        elif fact.type == SENSOR_FORGOTTEN:
            self.watch.let_go(fact)
        elif fact.type == EVENT_IDS_AGAIN:
            sensor.state.ids_again_ns = fact.time_ns
        elif fact.type == TIME_PASSED and data["what"] == LATENESS:
            self.judge_waiting(sensor, data["untilUs"])
        else:
            apply_baseline(sensor, fact)

    def overdue(self, now_ns: int, reception: Reception) -> list[DomainEvent]:
        """Return a fact for everything that follows from the time alone; `time_passed` says what that is."""
        self.stopwatch_ns = reception.now_ns
        return list(
            chain(
                self._waited_too_long(now_ns),
                self.watch.fallen_silent(now_ns, reception),
                self.watch.not_expected(now_ns),
                self.watch.shelved_long_enough(now_ns),
            )
        )

    def time_passed(self, fact: DomainEvent) -> list[Change]:
        """Return what follows from a fact of `overdue`; the state moves on."""
        if fact.type == SENSOR_FORGOTTEN:
            return self.watch.forget(fact)
        sensor = self.sensors.get(fact.subject)
        if fact.data["what"] == LATENESS and sensor is not None:
            judged = self.judge_waiting(sensor, fact.data["untilUs"])
            return [change for each in judged for change in self.conclude(sensor, each)]
        if fact.data["what"] == SHELVING:
            return self.alerts.end_shelving(fact.data["alertId"], fact)
        return self.watch.fall_silent(fact) if fact.data["what"] == SILENCE else []

    def _waited_too_long(self, now_ns: int) -> Iterable[DomainEvent]:
        """Find the readings that have waited for twice the lateness: nothing newer has come from their sensors."""
        longest_ns = 2 * self._clocks.lateness_us * 1000
        for key, (sensor, since_ns) in self._holding.items():
            if since_ns == 0:  # after a restart the wait begins anew
                self._holding[key] = sensor, now_ns
        late = [sensor for sensor, since_ns in self._holding.values() if now_ns - since_ns > longest_ns]
        return map(lateness_passed, late)

    def conclude(self, sensor: Sensor, judged: Judged) -> list[Change]:
        """Return the facts and alert changes that follow from a judgement; the open alerts move on."""
        because = partial(derive, time_ns=judged.time_ns, cause=judged.event_id, correlation=judged.correlation_id)
        changes = [Change(fact) for fact in normal_changed(sensor, judged.evaluation, because)]
        cause = self.watch.cause(sensor.id, judged.event_id, judged.correlation_id, judged.time_ns)
        if judged.evaluation.faults is not None:
            changes += self.watch.examined(judged.evaluation.faults, cause)
        if judged.evaluation.finding is not None:
            cause = replace(cause, unit=judged.unit)
            latching = self.rules_of(sensor).latching
            changes += self.alerts.found(judged.evaluation.finding, cause, latching=latching)
            if sensor.is_silent:  # it had waited, and its sensor has fallen silent since
                changes += self.alerts.lose_sight("Its sensor has fallen silent.", cause)
        return changes

    def stored_as(self, sensor: Sensor, data: ReadingData) -> tuple[float | None, float | None]:
        """Return a reading's level, and what the next one would be compared with: what is stored beside it."""
        level = level_without_one(sensor.state, data) if data.vibration_level is None else data.vibration_level
        return level, None if level is None else self.baseline_level(sensor)

    def baseline_level(self, sensor: Sensor) -> float | None:
        """Return what the sensor's next reading would be compared with, or None."""
        state: SensorState = sensor.state
        if state.unit != sensor.unit and state.unit:
            return None
        limit = state.limits or detection.current_limits(state, self.rules_of(sensor))
        return limit.baseline.level if limit.baseline else None

    def rules_of(self, sensor: Sensor) -> Rules:
        """Return the rules of a sensor."""
        if sensor.rules is None:
            found = self._rules_for(sensor)
            sensor.rules = self._alike.setdefault(found, found)  # equal ones take up memory once
            sensor.state.limits = None
        return sensor.rules

    def moved(self, sensor: Sensor) -> None:
        """Take note that a sensor is somewhere else now: other rules may be its own, and another machine's state."""
        sensor.rules = sensor.state.limits = None
        self.machines.settle(sensor)
