"""The production engine over history, as fast as it goes: which alerts there would have been, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.backtest.learning import why_not_learned
from gateway.backtest.passing import Clock, happen
from gateway.backtest.recorded import Recorded
from gateway.config import Config, rules_for
from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.alerting.open_alerts import Change
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Sensor, SensorState
from gateway.domain.detection.timeline import Clocks
from gateway.domain.engine.engine import NOT_JUDGED, Engine
from gateway.domain.model.alert_kinds import AlertKind
from gateway.domain.model.events import DomainEvent, Severity
from gateway.domain.model.reading import Flag

RulesFor = Callable[[Sensor], Rules]


class AlertEntry(Struct):
    """An alert that was raised, or an escalation of one: that is an entry of its own with the same `alert_id`.

    `opened_ns` is when it became this severe, `row` the row that showed it, from 0, or the last one before if time
    alone did; `cleared_row` is where it ended.
    """

    alert_id: str
    kind: AlertKind
    sensor_id: str
    severity: Severity
    change: str
    opened_ns: int
    row: int
    reason: str
    cleared_ns: int | None = None
    cleared_row: int | None = None


class Outcome(Struct):
    """What a run over history came to. `facts` are all that the engine concluded, each with its row.

    `open_alerts` holds the entries of each alert that has not cleared, by its id; `furthest_ns` is the longest that a
    time that counts lies from the one of receiving. `not_learned` says why sensors have no learned baseline.
    """

    row: int = 0
    readings: int = 0
    late: int = 0
    clock_replaced: int = 0
    first_ns: int | None = None
    last_ns: int = 0
    furthest_ns: int = 0
    facts: list[tuple[int, DomainEvent]] = field(default_factory=list)
    alerts: list[AlertEntry] = field(default_factory=list)
    open_alerts: dict[str, list[AlertEntry]] = field(default_factory=dict)
    sensors: dict[str, Sensor] = field(default_factory=dict)
    not_learned: dict[str, str] = field(default_factory=dict)


def run(
    history: Iterable[Recorded | DomainEvent],
    rules_for: RulesFor,
    clocks: Clocks,
    *,
    watch: bool = True,
    until_ns: int | None = None,
) -> Outcome:
    """Judge a history by these rules. The same history and rules give the same outcome, whenever it is run.

    With `watch`, sensors fall silent by the times of receipt, up to `until_ns`, or else the last of them; a history
    that has such facts of its own needs none.
    """
    engine = Engine(rules_for, clocks)
    outcome = Outcome(sensors=engine.sensors)
    clock = Clock(engine) if watch else None
    for each in history:
        if isinstance(each, DomainEvent):
            _note(outcome, happen(engine, each))
            continue
        if clock:
            _note(outcome, clock.advance(each.received_ns))
        outcome.row = each.row
        sensor = _take(engine, each, outcome)
        if clock:
            clock.heard(sensor)
    if clock and until_ns is not None:
        _note(outcome, clock.advance(until_ns))
    for sensor in list(engine.sensors.values()):
        for judged in engine.judge_waiting(sensor, sensor.state.newest_us or 0):
            _note(outcome, engine.conclude(sensor, judged))
        if reason := why_not_learned(sensor.state, engine.rules_of(sensor)):
            outcome.not_learned[sensor.id] = reason
    return outcome


def _take(engine: Engine, reading: Recorded, outcome: Outcome) -> Sensor:
    """Take a reading as the pipeline does."""
    sensor = _sensor_of(engine, reading)
    received_ns, event_us, event = reading.received_ns, reading.event_us, reading.event
    time_ns, flags = engine.classify_timestamp(sensor, event_us, received_ns, retained=reading.retained)
    _count(outcome, time_ns, received_ns, flags)
    if sensor.is_silent and not reading.retained:
        _note(outcome, engine.watch.heard(sensor, event, received_ns))
    passed = flags & NOT_JUDGED
    found = (
        engine.pass_over(sensor, event, time_ns, received_ns, flags)
        if passed
        else engine.judge(sensor, event, event_us, time_ns, received_ns=received_ns, flags=flags)
    )
    for judged in found:
        _note(outcome, engine.conclude(sensor, judged))
    return sensor


def _count(outcome: Outcome, time_ns: int, received_ns: int, flags: int) -> None:
    outcome.readings += 1
    if flags:
        outcome.late += bool(flags & Flag.LATE)
        outcome.clock_replaced += bool(flags & Flag.CLOCK_REPLACED)
    outcome.furthest_ns = max(outcome.furthest_ns, abs(time_ns - received_ns))
    if outcome.first_ns is None:
        outcome.first_ns = time_ns
    outcome.last_ns = max(outcome.last_ns, time_ns)


def _sensor_of(engine: Engine, reading: Recorded) -> Sensor:
    """Return the registry's entry for a reading's sensor, as the reading says it is now."""
    data = reading.event.data
    name = reading.name or data.sensor_id
    sensor = engine.sensors.get(name)
    if sensor is None:
        sensor = Sensor(
            key=len(engine.sensors) + 1,
            id=name,
            tags=reading.tags,
            unit=data.unit,
            location=reading.event.sensor_location or "",
            first_seen_ns=reading.received_ns,
            state=SensorState(),
            published="" if name == data.sensor_id else data.sensor_id,
        )
        engine.register(sensor)
    elif sensor.unit != data.unit or (sensor.tags is not reading.tags and sensor.tags != reading.tags):
        sensor.tags, sensor.unit = reading.tags, data.unit
        engine.moved(sensor)
    return sensor


def _note(outcome: Outcome, changes: Iterable[Change]) -> None:
    """Take in what the last row led to."""
    row = outcome.row
    for change in changes:
        fact, alert = change.fact, change.alert
        outcome.facts.append((row, fact))
        what = ALERT_FACTS.get(fact.type)
        if alert is None or what is None:
            continue
        if what in {"raised", "escalated"}:
            reason = str(fact.data.get("finding", alert.reason))
            entry = AlertEntry(alert.id, alert.kind, alert.sensor_id, alert.severity, what, fact.time_ns, row, reason)
            outcome.alerts.append(entry)
            outcome.open_alerts.setdefault(alert.id, []).append(entry)
        elif what == "cleared":
            for entry in outcome.open_alerts.pop(alert.id, []):
                entry.cleared_ns, entry.cleared_row = fact.time_ns, row


def run_config(
    history: Iterable[Recorded | DomainEvent],
    config: Config,
    learning: int | None = None,
    *,
    watch: bool = True,
    until_ns: int | None = None,
) -> Outcome:
    """Judge a history by the rules of a configuration.

    A learning period of `learning` readings replaces both of its own: the readings, and the time.
    """

    def rules(sensor: Sensor) -> Rules:
        own = rules_for(config, sensor.published_id, sensor.tags)
        return own if learning is None else replace(own, learning_readings=learning, learning_ns=0)

    clocks = Clocks(config.detection.clock_tolerance // 1000, config.detection.lateness // 1000)
    return run(history, rules, clocks, watch=watch, until_ns=until_ns)
