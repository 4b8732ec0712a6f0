"""What a machine does over time: running, idling, stopped; its speed and load, and how warm it is."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, cycle
from math import exp, inf

import numpy as np

from simulator.features import Samples

JITTER = 0.1  # of the length of a phase, either way
WARMING = 1800.0  # s, the time constant of a machine's temperature
IDLE_HEAT = 0.4  # of the warmth at full load that speed alone makes
NEVER_STARTED = -1e9  # s, of a machine that was running before the simulation


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One part of the cycle that a machine goes through; speed and load are shares of the rated ones."""

    state: str
    lasts: float  # s
    speed: float
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A step at its place in time (s). `warmth` is 0 at ambient temperature and 1 after long at full load."""

    step: Step
    begin: float
    end: float
    started: float
    warmth: float

    def warmth_at(self, elapsed: float) -> float:
        """Approach what the step's speed and load make of it."""
        goal = _goal(self.step)
        return goal + (self.warmth - goal) * exp(-(elapsed - self.begin) / WARMING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What the machine does at each of some moments. `since_start` is in s; `shift` a factor of every level."""

    states: list[str]
    speed: Samples
    load: Samples
    warmth: Samples
    since_start: Samples
    shift: Samples


def _goal(step: Step) -> float:
    return step.speed * (IDLE_HEAT + (1 - IDLE_HEAT) * step.load)


def phases(steps: Sequence[Step], random: np.random.Generator) -> Iterator[Phase]:
    """Repeat the steps without end, each longer or shorter by up to JITTER; the machine is warm at the beginning."""
    if len(steps) == 1:
        steps = [replace(steps[0], lasts=inf)]
    begin, started, warmth = 0.0, NEVER_STARTED, _goal(steps[0])
    running = True
    for step in cycle(steps):
        if step.speed and not running:
            started = begin
        running = step.speed > 0
        lasts = step.lasts * random.uniform(1 - JITTER, 1 + JITTER)
        phase = Phase(step=step, begin=begin, end=begin + lasts, started=started, warmth=warmth)
        yield phase
        if phase.end == inf:
            return
        begin, warmth = phase.end, phase.warmth_at(phase.end)


@dataclass(slots=True)
class Profile:
    """The phases of one machine, worked out as far as anybody has asked for.

    Each of `shifts`, (s, factor), takes effect at the machine's first start after its time, as when a machine is put
    together a little differently; it stays.
    """

    steps: Sequence[Step]
    random: np.random.Generator
    shifts: Sequence[tuple[float, float]] = ()
    _known: list[Phase] = field(default_factory=list)
    _begins: list[float] = field(default_factory=list)
    _coming: Iterator[Phase] | None = None

    def phase(self, elapsed: float) -> Phase:
        """Return the phase that `elapsed` seconds fall into."""
        while not self._known or self._known[-1].end <= elapsed:
            self._extend()
        return self._known[bisect_right(self._begins, elapsed) - 1]

    def _extend(self) -> None:
        if self._coming is None:
            self._coming = phases(self.steps, self.random)
        phase = next(self._coming)
        self._known.append(phase)
        self._begins.append(phase.begin)

    def changes(self) -> Iterator[Phase]:
        """Yield every phase; without end, unless the last one lasts for ever."""
        for number in count():
            while len(self._known) <= number:
                if self._known and self._known[-1].end == inf:
                    return
                self._extend()
            yield self._known[number]

    def running_from(self, elapsed: float) -> float:
        """Return the first moment from `elapsed` on at which the machine turns; inf if it never does."""
        phase = self.phase(elapsed)
        for _ in range(len(self.steps) + 1):
            if phase.step.speed:
                return max(elapsed, phase.begin)
            if phase.end == inf:
                break
            phase = self.phase(phase.end)
        return inf

    def at(self, elapsed: Samples) -> Operation:
        """Return what the machine does at each of the moments, which do not decrease."""
        found = [self.phase(float(moment)) for moment in elapsed]
        moments = elapsed.tolist()
        return Operation(
            states=[phase.step.state for phase in found],
            speed=np.array([phase.step.speed for phase in found]),
            load=np.array([phase.step.load for phase in found]),
            warmth=np.array([phase.warmth_at(moment) for phase, moment in zip(found, moments, strict=True)]),
            since_start=np.array([moment - phase.started for phase, moment in zip(found, moments, strict=True)]),
            shift=np.array([self._shift(phase) for phase in found]),
        )

    def _shift(self, phase: Phase) -> float:
        factor = 1.0
        for after, to in self.shifts:
            if phase.started >= after:
                factor *= to
        return factor

    def shifted_from(self, after: float) -> float:
        """Return the first start at or after this time; inf for a machine that never starts again."""
        phase = self.phase(after)
        while phase.started < after:
            if phase.end == inf or not any(step.speed == 0 for step in self.steps):
                return inf
            phase = self.phase(phase.end)
        return phase.started
