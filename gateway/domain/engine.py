"""Detection and alert life cycle together, for all sensors: what a reading leads to. Pure, and the same in a replay.

It is what the pipeline runs on what comes in, what a restart runs on the tail of the journal, and what a backtest runs
on history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any

from msgspec import Struct

from gateway.domain import alerts, detection
from gateway.domain.alerts import Alert
from gateway.domain.baseline import Baseline
from gateway.domain.clock import OurClock
from gateway.domain.detection import Evaluation, Rules, Sample, evaluate, next_version
from gateway.domain.events import Fact, Flag, Level, Severity, VibrationRecorded, derive, derived_id, rfc3339
from gateway.domain.operating import forget_baselines, known_baselines, put_baseline
from gateway.domain.sensors import Clocks, Sensor, SensorState, Waiting, hold, place, release
from gateway.errors import ConflictError, NotFoundError

NOT_JUDGED = Flag.LATE | Flag.RETAINED

BASELINE_LEARNED = "BaselineLearned"
BASELINE_SET = "BaselineSet"
BASELINE_RELEARN = "BaselineRelearn"
LATENESS_PASSED = "LatenessPassed"


class Judged(Struct, frozen=True):
    """A reading that was judged, and what that led to."""

    event_id: str
    correlation_id: str
    time_ns: int
    unit: str
    evaluation: Evaluation


class Change(Struct, frozen=True):
    """A fact, and the alert as it is after it, if it is about one."""

    fact: Fact
    alert: Alert | None = None


class Engine:
    """The state of all sensors and of all open alerts, and the rules by which they move on."""

    def __init__(self, rules_for: Callable[[Sensor], Rules], clocks: Clocks) -> None:
        self.sensors: dict[str, Sensor] = {}
        self._rules_for = rules_for
        self._rules: dict[int, Rules] = {}
        self._clocks = clocks
        self._our_clock = OurClock(clocks.tolerance_us)
        self._open: dict[str, Alert] = {}
        self._conditions: dict[str, Alert] = {}
        self._holding: dict[int, tuple[Sensor, int]] = {}

    def set_state(self, sensors: Iterable[Sensor], open_alerts: Iterable[Alert]) -> None:
        """Start from this registry and these open alerts."""
        self.sensors = {sensor.id: sensor for sensor in sensors}
        for alert in open_alerts:
            (self._conditions if alert.kind == "gateway" else self._open)[alert.sensor_id] = alert

    def trust_alerts(self) -> None:
        """Make the sensors' state agree with the open alerts: after a replay with new rules, they are the fact."""
        for sensor in self.sensors.values():
            alert = self._open.get(sensor.id)
            sensor.state.severity = Level[alert.severity.upper()] if alert else Level.NONE
            sensor.state.limits = None
            if sensor.state.waiting:
                self._holding[sensor.key] = sensor, 0

    def look_back(self, sensor: int, event_us: int, received_ns: int, flags: int) -> None:
        """Take in a reading from before the state began: it still says something about our own clock."""
        known = not flags & Flag.CLOCK_REPLACED
        self._our_clock.is_suspect(sensor, event_us, received_ns // 1000, known=known)

    def place(self, sensor: Sensor, event_us: int, received_ns: int, *, retained: bool) -> tuple[int, int]:
        """Return the time in ns that counts for a new reading, and its flags; the sensor's timeline moves on."""
        known = sensor.state.newest_us is not None
        suspect = self._our_clock.is_suspect(sensor.key, event_us, received_ns // 1000, known=known)
        return place(sensor.state, event_us, received_ns, self._clocks, retained=retained, suspect=suspect)

    def judge(
        self, sensor: Sensor, event: VibrationRecorded, event_us: int, time_ns: int, *, received_ns: int, flags: int
    ) -> Sequence[Judged]:
        """Judge a new reading, or those whose turn has come with it; return the ones that led to something."""
        data, event_id = event.data, event.event_id or ""
        if self._clocks.lateness_us == 0 or flags & Flag.CLOCK_REPLACED:
            sample = Sample(
                data.vibration_level, time_ns, data.unit, data.baseline_vibration_level, data.operating_state,
                data.velocity_rms, data.crest_factor, data.kurtosis, data.rpm, data.load,
            )  # fmt: skip
            evaluation = evaluate(sensor.state, sample, self.rules_of(sensor))
            if evaluation is detection.NOTHING:
                return ()
            return [Judged(event_id, event.correlation_id or event_id, time_ns, data.unit, evaluation)]
        waiting = Waiting(
            event_us,
            event_id,
            event.correlation_id or event_id,
            data.vibration_level,
            data.unit,
            data.baseline_vibration_level,
            data.operating_state,
            data.velocity_rms,
            data.crest_factor,
            data.kurtosis,
            data.rpm,
            data.load,
        )
        hold(sensor.state, waiting)
        self._holding.setdefault(sensor.key, (sensor, received_ns))
        return self.judge_waiting(sensor, (sensor.state.newest_us or 0) - self._clocks.lateness_us, received_ns)

    def judge_waiting(self, sensor: Sensor, until_us: int, received_ns: int = 0) -> list[Judged]:
        """Judge the readings that have waited long enough, in the order of their time."""
        found = []
        released = release(sensor.state, until_us)
        for reading in released:
            time_ns = reading.event_us * 1000
            sample = Sample(
                reading.level, time_ns, reading.unit, reading.event_baseline, reading.operating_state,
                reading.velocity_rms, reading.crest_factor, reading.kurtosis, reading.rpm, reading.load,
            )  # fmt: skip
            evaluation = evaluate(sensor.state, sample, self.rules_of(sensor))
            if evaluation is not detection.NOTHING:
                found.append(Judged(reading.event_id, reading.correlation_id, time_ns, reading.unit, evaluation))
        if not sensor.state.waiting:
            self._holding.pop(sensor.key, None)
        elif released:  # the oldest is gone; the next one came no later than now
            self._holding[sensor.key] = sensor, received_ns
        return found

    def overdue(self, now_ns: int) -> list[tuple[Sensor, Fact]]:
        """Return the sensors whose readings have waited for twice the lateness, each with the fact that says so.

        Nothing newer has come from them; `judge_waiting` up to the fact's `untilUs` is what follows.
        """
        longest_ns = 2 * self._clocks.lateness_us * 1000
        for key, (sensor, since_ns) in self._holding.items():
            if since_ns == 0:  # after a restart the wait begins anew
                self._holding[key] = sensor, now_ns
        late = [sensor for sensor, since_ns in self._holding.values() if now_ns - since_ns > longest_ns]
        return [(sensor, _lateness_passed(sensor)) for sensor in late]

    def conclude(self, sensor: Sensor, judged: Judged) -> list[Change]:
        """Return the facts and alert changes that follow from a judgement; the open alerts move on."""
        changes = []
        if judged.evaluation.learned is not None:
            fact = derive(
                BASELINE_LEARNED,
                sensor.id,
                judged.time_ns,
                cause=judged.event_id,
                correlation=judged.correlation_id,
                data=_describe_baseline(judged.evaluation.learned, sensor),
            )
            changes.append(Change(fact))
        if judged.evaluation.finding is not None:
            cause = alerts.Cause(
                judged.event_id,
                judged.correlation_id,
                judged.time_ns,
                sensor.id,
                sensor.tags,
                judged.unit,
                sensor.location,
            )
            alert, fact = alerts.apply(self._open.get(sensor.id), judged.evaluation.finding, cause)
            self.settle(alert)
            changes.append(Change(fact, alert))
        return changes

    def set_baseline(
        self, sensor: Sensor, level: float, *, state: str = "", by: str, reason: str = "", time_ns: int
    ) -> Change:
        """Return the fact that a person has set what is normal for a sensor in an operating state, in its unit.

        Nothing moves on before `apply_baseline` is called with the fact; so it is after a restart, with the journal's.
        Raises ConflictError if the configuration has a baseline for the sensor, which comes first, and ValueError if
        the level is not above zero.
        """
        if not 0 < level < inf:
            raise ValueError(f"a baseline is a level above zero, not {level}")
        self._refuse_if_configured(sensor)
        baseline = Baseline(level, "set", version=next_version(sensor.state), from_ns=time_ns, to_ns=time_ns,
                            state=state.strip().casefold(), by=by)  # fmt: skip
        data = {**_describe_baseline(baseline, sensor), "comment": reason}
        return Change(_by_a_person(BASELINE_SET, sensor.id, time_ns, data))

    def relearn(self, sensor: Sensor, *, state: str | None = None, by: str, reason: str = "", time_ns: int) -> Change:
        """Return the fact that a person wants what is normal learned anew, in one operating state or (None) in all.

        What was learned stays in the journal, with its version. Nothing moves on before `apply_baseline`. Raises
        ConflictError if the configuration has a baseline for the sensor.
        """
        self._refuse_if_configured(sensor)
        name = None if state is None else state.strip().casefold()
        data = {"sensorId": sensor.id, "state": name, "by": by, "comment": reason}
        return Change(_by_a_person(BASELINE_RELEARN, sensor.id, time_ns, data))

    def apply_baseline(self, sensor: Sensor, fact: Fact) -> None:
        """Let a sensor's baselines be as a BaselineSet or BaselineRelearn says; facts of other types change nothing."""
        if fact.type == BASELINE_SET:
            put_baseline(sensor.state, _read_baseline(fact))
        elif fact.type == BASELINE_RELEARN:
            forget_baselines(sensor.state, fact.data["state"])

    def baselines(self, sensor: Sensor) -> list[Baseline]:
        """Return the baselines that were learned or set for a sensor and hold now, one for each operating state."""
        return known_baselines(sensor.state)

    def _refuse_if_configured(self, sensor: Sensor) -> None:
        configured = self.rules_of(sensor).baseline
        if configured is not None:
            raise ConflictError(
                f"the configuration sets the baseline of {sensor.id!r} to {configured}, and that comes first;"
                " take it out of [[sensors]] to have it learned or set"
            )

    def condition(self, subject: str, severity: Severity | None, reason: str, time_ns: int) -> list[Change]:
        """Return what follows from how a part of the gateway itself is; nothing moves on before `settle`."""
        changed = alerts.apply_condition(self._conditions.get(subject), subject, severity, reason, time_ns)
        if changed is None:
            return []
        alert, (cause, fact) = changed
        return [Change(cause), Change(fact, alert)]

    def acknowledge(self, alert_id: str, by: str, reason: str, time_ns: int) -> Change:
        """Return what an acknowledgement leads to; nothing moves on before `settle`.

        Raises NotFoundError if no open alert has this id, ConflictError if somebody was faster.
        """
        found = [alert for alert in (*self._open.values(), *self._conditions.values()) if alert.id == alert_id]
        if not found:
            raise NotFoundError(f"no open alert has the id {alert_id!r}; one that has cleared needs no acknowledgement")
        if found[0].acknowledged:
            raise ConflictError(f"{found[0].acknowledged_by} has acknowledged this alert already")
        alert, fact = alerts.acknowledge(found[0], by, reason, time_ns)
        return Change(fact, alert)

    def settle(self, alert: Alert) -> None:
        """Let an alert be as it is now."""
        holder = self._conditions if alert.kind == "gateway" else self._open
        if alert.state == "cleared":
            holder.pop(alert.sensor_id, None)
        else:
            holder[alert.sensor_id] = alert

    def baseline_level(self, sensor: Sensor) -> float | None:
        """Return what the sensor's next reading would be compared with, or None."""
        state: SensorState = sensor.state
        limit = state.limits or detection.current_limits(state, self.rules_of(sensor))
        return limit.baseline.level if limit else None

    def rules_of(self, sensor: Sensor) -> Rules:
        """Return the rules of a sensor."""
        rules = self._rules.get(sensor.key)
        if rules is None:
            rules = self._rules[sensor.key] = self._rules_for(sensor)
            sensor.state.limits = None
        return rules

    def moved(self, sensor: Sensor) -> None:
        """Take note that a sensor is somewhere else now: other rules may be its own."""
        self._rules.pop(sensor.key, None)
        sensor.state.limits = None


def _lateness_passed(sensor: Sensor) -> Fact:
    last = sensor.state.waiting[-1]
    return derive(
        LATENESS_PASSED,
        sensor.id,
        last.event_us * 1000,
        cause=last.event_id,
        correlation=last.correlation_id,
        data={"sensorId": sensor.id, "untilUs": last.event_us},
    )


def _by_a_person(type_: str, sensor_id: str, time_ns: int, data: dict[str, Any]) -> Fact:
    """Return a fact whose cause is a person: it begins a story of its own."""
    id_ = derived_id(type_, sensor_id, str(time_ns))
    return Fact(id_, type_, time_ns, sensor_id, id_, id_, data)


def _read_baseline(fact: Fact) -> Baseline:
    data = fact.data
    return Baseline(
        data["level"], "set", version=data["version"], from_ns=fact.time_ns, to_ns=fact.time_ns,
        state=data["state"], by=data["by"],
    )  # fmt: skip


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
        "state": baseline.state,
        "by": baseline.by,
    }
