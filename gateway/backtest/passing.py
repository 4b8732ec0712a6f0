"""What follows from time, and from what machines and people said, beside the readings of a history."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.alerting.liveness import SENSOR_FORGOTTEN, TIME_PASSED, Reception
from gateway.domain.alerting.open_alerts import Change
from gateway.domain.detection.baseline_events import BASELINE_RELEARN, BASELINE_SET
from gateway.domain.detection.state import Sensor
from gateway.domain.engine.engine import Engine
from gateway.domain.model.assets import MACHINE_STATE, SENSOR_STATUS
from gateway.domain.model.events import DomainEvent

HAPPENS = (TIME_PASSED, MACHINE_STATE, SENSOR_STATUS, BASELINE_SET, BASELINE_RELEARN, SENSOR_FORGOTTEN)
"""Types of the facts that follow from no reading."""

_NEVER = 2**63


class Clock:
    """Lets time pass between readings, from the first one on: who falls silent is noticed then, not with the next one.

    It looks at the sensors when the first of them is due, and never later than one that was just heard can be.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._since_ns: int | None = None
        self._next_ns = _NEVER

    def advance(self, now_ns: int) -> Sequence[Change]:
        """Return what follows from the time up to now alone; it never goes back."""
        changes: list[Change] = []
        if self._since_ns is None:
            self._since_ns = now_ns
        while self._next_ns <= now_ns:
            changes += self._look(self._next_ns, self._since_ns)
        self._engine.stopwatch_ns = now_ns
        return changes

    def heard(self, sensor: Sensor) -> None:
        """Take note that a reading of a sensor has come in now."""
        shortest_ns = self._engine.rules_of(sensor).silent_after_ns
        self._next_ns = min(self._next_ns, self._engine.stopwatch_ns + shortest_ns + 1)

    def _look(self, at_ns: int, since_ns: int) -> list[Change]:
        changes = []
        for fact in self._engine.overdue(at_ns, Reception(at_ns, since_ns)):
            changes += [Change(fact), *self._engine.time_passed(fact)]
        due_ns = self._engine.watch.silence_due(since_ns)
        self._next_ns = _NEVER if due_ns is None else due_ns + 1
        return changes


def happen(engine: Engine, fact: DomainEvent) -> Sequence[Change]:
    """Return what follows from a fact of the history: that time has passed, or what somebody or something said."""
    if fact.type == TIME_PASSED:
        return [Change(fact), *engine.time_passed(fact)]
    if fact.type == SENSOR_FORGOTTEN:
        return [Change(fact), *engine.watch.forget(fact)]
    engine.replay(fact)
    return [Change(fact)]
