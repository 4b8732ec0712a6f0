"""Which operating state a machine is in, as a reading tells, and what is known of the sensor in each of them."""

from __future__ import annotations

from math import exp, log, log1p
from typing import Protocol

from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.state import Known, SensorState
from gateway.errors import NotFoundError

MAX_STATES = 32
"""States that a sensor has baselines for: 250 bytes each once learned. All further ones share one, named `OTHER`."""

MAX_NAME = 64
"""Characters of a state's name that count."""

OTHER = "any other state"

STANDSTILL_RPM = 1.0
"""Slower than one turn a minute is standing still; the slowest large machines turn at about ten."""

IDLE_LOAD = 0.01
"""Below this a load is none, whether it is given in per cent or as a share of one."""

MOST = 1e12
"""Of a larger number nothing is known but that it is wrong."""

ZERO = frozenset({"0", "0.0"})
"""A running bit that says no."""

KEEP = 0.75
"""A band is left at three quarters of a step from its middle, not at one half: jitter at its edge is no change."""


class StateRules(Protocol):
    """What of the rules decides about states."""

    @property
    def stopped_states(self) -> frozenset[str]:
        """States, casefolded, in which the machine stands still."""

    @property
    def unknown_states(self) -> frozenset[str]:
        """States, casefolded, that say nothing."""

    @property
    def states(self) -> frozenset[str] | None:
        """The only words, casefolded, that are states of the machine; None if any may be."""

    @property
    def rpm_step(self) -> float:
        """Width of a band of speed, as a share of the speed."""

    @property
    def load_step(self) -> float:
        """Width of a band of load, as a share of the load."""


def state_of(
    state: SensorState, said: str | None, rpm: float | None, load: float | None, rules: StateRules
) -> str | None:
    """Return the operating state that a reading was taken in, empty if nothing says it, or None if the machine stands.

    What the event (or the machine's own topic) says comes first, then bands of speed and load. A state that is the
    number 0, as a running bit gives it, is a standstill.
    """
    if said is not None:
        name = word_of(said, rules)
        if name in rules.stopped_states or name in ZERO:
            return None
        if name:
            return name[:MAX_NAME]
    if rpm is None and load is None:
        return ""
    if rpm is not None and abs(rpm) < STANDSTILL_RPM:
        return None
    bands = (
        None if rpm is None else _band(abs(rpm), rules.rpm_step, state.rpm_band),
        None if load is None else _band(max(abs(load), IDLE_LOAD), rules.load_step, state.load_band),
    )
    if bands != (state.rpm_band, state.load_band):
        state.rpm_band, state.load_band = bands
        state.band = _name(*bands, rules)
    return state.band


def word_of(said: str, rules: StateRules) -> str:
    """Return what is said of a state, casefolded; nothing if that says nothing, or is none of the machine's states."""
    name = said.strip().casefold()
    is_one = name not in rules.unknown_states and (rules.states is None or name in rules.states)
    return name if is_one else ""


def _name(rpm_band: int | None, load_band: int | None, rules: StateRules) -> str:
    words = [] if rpm_band is None else [f"{_range(rpm_band, rules.rpm_step)} rpm"]
    words += [] if load_band is None else [f"load {_range(load_band, rules.load_step)}"]
    return ", ".join(words)


def enter(state: SensorState, name: str) -> bool:
    """Put aside what is known in the state so far, take up what is known in the one named; tell whether it is another.

    A state that nothing is known in leaves nothing behind.
    """
    others = state.others or {}
    if name not in others and len(others) >= MAX_STATES:
        name = OTHER
    if name == state.operating_state:
        return False
    if state.learned is not None or state.learning is not None:
        others[state.operating_state] = Known(state.learned, state.learning, state.smooth)
    known = others.pop(name, None) or Known()
    state.operating_state, state.others = name, others or None
    state.learned, state.learning, state.smooth = known.learned, known.learning, known.smooth
    state.limits = state.rise_ns = None
    return True


def known_baselines(state: SensorState) -> list[Baseline]:
    """Return the baselines of all states, in the order of the states' names."""
    known = {**(state.others or {}), state.operating_state: Known(state.learned)}
    return [baseline for _, each in sorted(known.items()) if (baseline := each.learned) is not None]


def name_of_known(state: SensorState, name: str) -> str:
    """Return a state's name as it is kept. Raises NotFoundError if nothing is known of the sensor in it."""
    wanted = name.strip().casefold()
    known = {state.operating_state, *(state.others or {})}
    if wanted not in known:
        raise NotFoundError(f"no reading was in the state {wanted!r}; states are {', '.join(map(repr, sorted(known)))}")
    return wanted


def put_baseline(state: SensorState, baseline: Baseline) -> None:
    """Let a baseline hold in the state that it names; what was being learned there is dropped."""
    state.versions = max(state.versions, baseline.version)
    if baseline.state == state.operating_state:
        state.learned, state.learning, state.limits = baseline, None, None
    else:
        state.others = {**(state.others or {}), baseline.state: Known(baseline)}


def forget_baselines(state: SensorState, name: str | None) -> None:
    """Learn anew in the named operating state, or in all. An open alert ends when the level is normal again by then.

    After all states it may end in any of them: the one it was raised in may never come back.
    """
    state.versions = max([state.versions, *(baseline.version for baseline in known_baselines(state))])
    if name is None or name == state.operating_state:
        state.learned, state.learning, state.limits = None, None, None
    if name is None:
        state.alert_state, state.units = "", None
    if state.others:
        kept = {other: known for other, known in state.others.items() if name is not None and other != name}
        state.others = kept or None


def _band(value: float, step: float, last: int | None) -> int | None:
    if step == 0:
        return None
    position = log(min(value, MOST)) / log1p(step)
    return last if last is not None and abs(position - last) < KEEP else round(position)


def _range(band: int, step: float) -> str:
    low, high = (exp((band + side) * log1p(step)) for side in (-0.5, 0.5))
    return f"{low:.4g} to {high:.4g}"
