"""Watching over the sensors themselves: who is silent, and what is wrong with each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from msgspec import Struct

from gateway.domain.alerting.alert import Cause
from gateway.domain.alerting.open_alerts import Change, OpenAlerts
from gateway.domain.detection.baseline_events import by_a_person
from gateway.domain.detection.registry import Registry
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sensor_faults import BLINDING
from gateway.domain.detection.state import Sensor, allowance_ns, forget
from gateway.domain.model.assets import AssetPath, asset_of
from gateway.domain.model.events import DomainEvent, derive, derived_id
from gateway.domain.model.reading import VibrationRecorded
from gateway.domain.model.timefmt import in_words

TIME_PASSED = "TimePassed"
"""The fact that so much time has passed that something follows from it: `data.what` says what, its subject of whom."""

SENSOR_FORGOTTEN = "SensorForgotten"
"""The fact that nobody waits for a sensor any more: a person said so, or the configuration names it no longer."""

SILENCE, SHELVING, LATENESS = "silence", "shelving", "lateness"
SILENT = "silent"


NEARLY = 0.8
"""A sensor that has missed four of its five intervals is silent as well when every other one of its machine is."""

MOST_NAMED = 8
"""Sensors that a reason names."""


class Reception(Struct, frozen=True):
    """Our own stopwatch, `now_ns`, and since when on it messages have been able to reach us without interruption.

    Silence is measured with it: it knows neither the jumps of a clock nor the time in which we could not hear.
    """

    now_ns: int = 0
    since_ns: int | None = None


class LivenessMonitor:
    """Looks at the sensors of the `registry`, which others change, and at those that the configuration names.

    `expected` are the latter: id -> for how long each may be silent, in ns.
    """

    def __init__(
        self,
        registry: Registry,
        open_alerts: OpenAlerts,
        rules_of: Callable[[Sensor], Rules],
        expected: Mapping[str, int] | None = None,
    ) -> None:
        self._registry = registry
        self._sensors = registry.names
        self._alerts = open_alerts
        self._rules_of = rules_of
        self._expected = dict(expected or {})

    def fallen_silent(self, now_ns: int, reception: Reception) -> Iterable[DomainEvent]:
        """Return a fact for each sensor that has been silent for too long while we could hear, or never came."""
        if reception.since_ns is None:
            return
        silent = {}
        for sensor in self._sensors.values():
            if not sensor.is_silent and not sensor.state.forgotten:
                quiet_ns = reception.now_ns - max(sensor.last_heard_ns, reception.since_ns)
                if quiet_ns > self._rules_of(sensor).silent_after_ns and quiet_ns > (
                    allowed := self._allowed_ns(sensor)
                ):
                    silent[sensor.id] = _silence(sensor.id, now_ns, quiet_ns, allowed)
        for together in self._whole_machines(silent, reception):
            names = [sensor.id for sensor in together]
            for sensor in together:
                quiet_ns = reception.now_ns - max(sensor.last_heard_ns, reception.since_ns)
                silent[sensor.id] = _silence(sensor.id, now_ns, quiet_ns, self._allowed_ns(sensor), names)
        yield from silent.values()
        quiet_ns = reception.now_ns - reception.since_ns
        for sensor_id, allowed_ns in self._expected.items():
            if quiet_ns > allowed_ns and not self._registry.answering(sensor_id) and not self.is_silent(sensor_id):
                yield _silence(sensor_id, now_ns, quiet_ns, allowed_ns)

    def _allowed_ns(self, sensor: Sensor) -> int:
        rules = self._rules_of(sensor)
        if sensor.state.offline:
            return rules.silent_after_ns
        return allowance_ns(sensor.state, rules.interval_ns, rules.silent_after_ns)

    def _whole_machines(self, silent: Collection[str], reception: Reception) -> list[list[Sensor]]:
        """Return the sensors of each machine of which none is heard any more: one is `silent`, the others nearly so.

        What they share is then more likely to have failed than each of them, and it is told of all at once.
        """
        places = {place for name in silent if (place := asset_of(self._sensors[name].tags))[-1]}
        machines: dict[AssetPath, list[Sensor]] = {place: [] for place in places}
        for sensor in self._sensors.values() if places else ():
            if not sensor.is_silent and not sensor.state.forgotten and (place := asset_of(sensor.tags)) in machines:
                machines[place].append(sensor)
        latest_ns = reception.now_ns - (reception.since_ns or 0)
        return [
            sensors
            for sensors in machines.values()
            if len(sensors) > 1
            and all(
                min(latest_ns, reception.now_ns - each.last_heard_ns) > NEARLY * self._allowed_ns(each)
                for each in sensors
            )
        ]

    def not_expected(self, now_ns: int) -> Iterable[DomainEvent]:
        """Return a fact for each sensor that was missed and is not any more: it came, or nobody expects it."""
        for alert in self._alerts.of_sensors():
            if alert.sensor_id in self._sensors:
                continue
            if alert.sensor_id not in self._expected:
                yield forgotten(alert.sensor_id, "the configuration", "it does not name the sensor any more", now_ns)
            elif found := self._registry.answering(alert.sensor_id):
                yield forgotten(alert.sensor_id, "the gateway", f"it has come, as {found[0].id}", now_ns)

    def forgetting(self, sensor: Sensor, *, by: str, reason: str, time_ns: int) -> list[Change]:
        """Return what follows when a person says that nobody waits for a sensor any more. Nothing moves on yet."""
        fact = forgotten(sensor.id, by, reason, time_ns)
        return [Change(fact), *self._ended(fact)]

    def forget(self, fact: DomainEvent) -> list[Change]:
        """Return what follows from a SensorForgotten; the state moves on."""
        changes = self._ended(fact)
        for change in changes:
            if change.alert is not None:
                self._alerts.settle(change.alert)
        self.let_go(fact)
        return changes

    def let_go(self, fact: DomainEvent) -> None:
        """Let the state of a sensor be as after a SensorForgotten."""
        if sensor := self._sensors.get(fact.data["sensorId"]):
            sensor.is_silent = False
            forget(sensor.state)

    def _ended(self, fact: DomainEvent) -> list[Change]:
        by, comment = fact.data["by"], fact.data["comment"]
        return self._alerts.end(fact.subject, f"Forgotten by {by}{f': {comment}' if comment else ''}.", fact)

    def shelved_long_enough(self, now_ns: int) -> Iterable[DomainEvent]:
        """Return a fact for each alert whose time on the shelf is over."""
        for alert in self._alerts.shelved():
            if alert.shelved_until_ns is not None and alert.shelved_until_ns <= now_ns:
                data = {"alertId": alert.id, "kind": alert.kind}
                yield time_passed(SHELVING, alert.sensor_id, now_ns, data)

    def silence_due(self, since_ns: int) -> int | None:
        """Return when, on our stopwatch, the next sensor will have been silent for too long if nothing comes of it."""
        due = []
        for sensor in self._sensors.values():
            if not sensor.is_silent and not sensor.state.forgotten:
                rules = self._rules_of(sensor)
                allowed_ns = allowance_ns(sensor.state, rules.interval_ns, rules.silent_after_ns)
                due.append(max(sensor.last_heard_ns, since_ns) + allowed_ns)
        return min(due, default=None)

    def fall_silent(self, fact: DomainEvent) -> list[Change]:
        """Return what follows when nothing comes from a sensor any more: it is at fault, and its alert is stale."""
        sensor = self._sensors.get(fact.subject)
        reason = _in_words(fact, sensor)
        cause = self.cause(fact.subject, fact.id, fact.correlation_id, fact.time_ns)
        if sensor is not None:
            sensor.is_silent = True
        return self._become({**self._known(cause), SILENT: reason}, cause)

    def heard(self, sensor: Sensor, event: VibrationRecorded, received_ns: int) -> list[Change]:
        """Return what follows from the first reading of a sensor that was silent."""
        sensor.is_silent = False
        event_id = event.event_id or ""
        cause = self.cause(sensor.id, event_id, event.correlation_id or event_id, received_ns)
        return self._become({name: text for name, text in self._known(cause).items() if name != SILENT}, cause)

    def is_silent(self, sensor_id: str) -> bool:
        """Tell whether a sensor is known to be silent."""
        alert = self._alerts.get("sensor", sensor_id)
        return alert is not None and SILENT in alert.faults

    def cause(self, sensor_id: str, event_id: str, correlation_id: str, time_ns: int) -> Cause:
        """Return an event as the cause of what happens to a sensor's alerts."""
        sensor = self._sensors.get(sensor_id)
        if sensor is None:
            return Cause(event_id, correlation_id, time_ns, sensor_id, {}, "", "")
        known = sensor.tags, sensor.unit, sensor.location, sensor.published, sensor.first_seen_ns
        return Cause(event_id, correlation_id, time_ns, sensor_id, *known)

    def examined(self, found: Mapping[str, str], cause: Cause) -> list[Change]:
        """Return what follows when these, name -> in words, are all the faults that a sensor's readings show."""
        silent = {name: text for name, text in self._known(cause).items() if name == SILENT}
        return self._become({**silent, **found}, cause)

    def _known(self, cause: Cause) -> Mapping[str, str]:
        alert = self._alerts.get("sensor", cause.sensor_id)
        return alert.faults if alert else {}

    def _become(self, faults: Mapping[str, str], cause: Cause) -> list[Change]:
        """Let these be all the faults of a sensor. What was known of one already stays as it was said first."""
        known = self._known(cause)
        faults = {name: known.get(name, text) for name, text in faults.items()}
        changes = self._alerts.faults(faults, cause)
        blind = [text for name, text in faults.items() if name in BLINDING]
        if blind:
            changes += self._alerts.lose_sight(blind[0], cause)
        elif BLINDING & known.keys():
            changes += self._alerts.regain_sight(cause)
        return changes


def lateness_passed(sensor: Sensor) -> DomainEvent:
    """Return the fact that nothing newer has come from a sensor for so long that what waits is judged."""
    last = max(sensor.state.waiting)
    return derive(
        TIME_PASSED,
        sensor.id,
        last.event_us * 1000,
        cause=last.event_id,
        correlation=last.correlation_id,
        data={"what": LATENESS, "sensorId": sensor.id, "untilUs": last.event_us},
    )


def time_passed(what: str, subject: str, now_ns: int, data: Mapping[str, object]) -> DomainEvent:
    """Return the fact that our clock has come to a point from which something follows; it has no cause but time."""
    id_ = derived_id(TIME_PASSED, what, subject, str(now_ns), *map(str, data.values()))
    return DomainEvent(id_, TIME_PASSED, now_ns, subject, id_, id_, {"what": what, **data})


def forgotten(sensor_id: str, by: str, reason: str, time_ns: int) -> DomainEvent:
    """Return the fact that nobody waits for a sensor any more, and who says so."""
    return by_a_person(SENSOR_FORGOTTEN, sensor_id, time_ns, {"sensorId": sensor_id, "by": by, "comment": reason})


def _silence(sensor_id: str, now_ns: int, quiet_ns: int, allowed_ns: int, together: Sequence[str] = ()) -> DomainEvent:
    data = {"forNs": quiet_ns, "allowedNs": allowed_ns, **({"together": list(together)} if together else {})}
    return time_passed(SILENCE, sensor_id, now_ns, data)


def _in_words(fact: DomainEvent, sensor: Sensor | None) -> str:
    quiet, allowed = in_words(fact.data["forNs"]), in_words(fact.data["allowedNs"])
    if sensor is None:
        return (
            f"Never heard of, {quiet} after the gateway began to listen, though the configuration names it."
            " Check the sensor and its id, or take its [[sensors]] table out of the configuration."
        )
    if names := fact.data.get("together"):
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        return (
            f"Silent for {quiet}, like every sensor of {sensor.tags['machine']}"
            f" ({', '.join(names[:MOST_NAMED])}{more})."
            " Check first what they share: power and network."
        )
    known = "it says itself that it is offline" if sensor.state.offline else f"{allowed} would be normal"
    return f"Silent for {quiet}; {known}. Check the sensor's power, battery and network."
