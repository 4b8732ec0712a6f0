"""What is wrong with a sensor itself, as its readings show it: (state, reading) -> (state, faults).

Stuck, at its floor, a clock that cannot be believed, another unit, levels that nothing comes of. Silence is found
elsewhere: no reading shows it. A spike is passed over in silence, since the on-delay is there for it, and a drift looks
like a machine that grows quieter: neither can be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Final

from gateway.domain.detection import plausibility
from gateway.domain.detection.comparison import level_in_words
from gateway.domain.detection.detector import current_limits
from gateway.domain.detection.lasting import fall_in_words, has_fallen, is_learned_here, still_in_words
from gateway.domain.detection.operating_state import STANDSTILL_RPM, ZERO, forget_baselines, known_baselines, word_of
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.sample import Sample
from gateway.domain.detection.state import Doubt, SensorState
from gateway.domain.detection.units import change_unit, is_settled
from gateway.domain.model.timefmt import in_words

STUCK: Final = 1
FLOOR: Final = 2
CLOCK: Final = 4
UNIT: Final = 8
UNJUDGED: Final = 16
FALLEN: Final = 32
STILL: Final = 64
SHIFTED: Final = 128
NAMES = {
    STUCK: "stuck", FLOOR: "floor", CLOCK: "clock", UNIT: "unit", UNJUDGED: "unjudged", FALLEN: "fallen",
    STILL: "still", SHIFTED: "shifted",
}  # fmt: skip
"""Bit in `SensorState.faults` -> name of the fault."""

BLINDING = frozenset({"silent", "stuck", "floor", "unit"})
"""With one of these a sensor says nothing of its machine: an alert about that is stale."""


LEAST_RUN = 30
LONGEST_RUNS = 4
"""Equal readings in a row, at the least, that make a sensor stuck, and that in its longest runs so far: where the
resolution is coarse, values repeat by chance. If the longest of n runs is as long as is to be expected, one of four
times that has a probability of 1 / n^4."""

FEWEST_CHANGES = 30
"""So often the value must have changed before anybody can tell that it does not."""

OWN_CONSTANT = 10
"""The event's own baseline, the same in so many readings in a row, counts for those too that give none."""

UNUSUAL_RUNS = 2
"""A run of so many times the longest one so far is none of chance. It says nothing more of the machine, and it is too
short to call the sensor stuck: another value decides, or `LEAST_RUN`."""

LEAST_LOW = 10
LEAST_WRONG = 10
FEWEST_OTHER_UNIT = 3
SHORTEST_NS = 600 * 10**9
"""A fault lasts for ten minutes before it is told, however many readings come."""

_GOOD_COUNTS = 4
_ANY: Final = Rules()

Faults = Mapping[str, str] | None
"""All faults that there are, name -> in words; None if they are the same as before."""


def examine(state: SensorState, sample: Sample, rules: Rules, *, replaced: bool) -> Mapping[str, str] | None:
    """Take in a reading in order; return all faults there are now, name -> in words, or None if they are the same.

    `replaced` says that its time was not believable. It need not be called for a reading where neither that nor `odd`
    holds, and that has another value than the last one and the unit of the state: then only `last_level` changes.
    """
    limit, faults, level = state.limits, state.faults, sample.level
    if level is None:
        return examine_clock(state, sample, replaced=replaced)
    if level == state.last_level:
        faults = _repeated(state, level, sample, rules, faults)
    else:
        faults = _changed(state, level, faults)
    faults = _low(state, sample, rules, faults, low=limit is not None and level < limit.stopped)
    faults = _clock(state, sample.time_ns, faults, replaced=replaced)
    faults = _unit(state, sample, rules, faults)
    faults = _lasting(state, sample, rules, faults, low=limit is not None and level < limit.stopped)
    counts = (
        state.run
        or state.floor
        or state.clock
        or state.other_unit
        or faults & UNIT
        or _own_baseline_is_new(state, sample)
        or state.fall_ns
        or state.still_ns
        or faults & (FALLEN | SHIFTED)
    )
    state.odd = bool(counts or state.changes < FEWEST_CHANGES)
    if faults == state.faults:
        return None
    state.faults = faults
    return _in_words(state, sample, rules)


def examine_clock(state: SensorState, sample: Sample, *, replaced: bool) -> Mapping[str, str] | None:
    """Take in the time of a reading without a level, which says nothing of the other faults. Returns as `examine`."""
    faults = _clock(state, sample.time_ns, state.faults, replaced=replaced)
    if faults == state.faults:
        return None
    state.faults = faults
    return _in_words(state, sample)


def pass_over(
    state: SensorState, sample: Sample, rules: Rules, reason: str, received_ns: int, *, found: Faults
) -> Faults:
    """Take in a reading that is not judged, by its reason in `plausibility.REASONS`.

    Returns as `examine`; `found` is what that returned for the reading.
    """
    level = None if state.faults & STUCK else sample.level  # that is told already
    plausibility.pass_over(state, reason, level, rules, received_ns)
    return _doubtful(state, sample, rules, found)


def judge_in_doubt(state: SensorState, sample: Sample, rules: Rules, found: Faults) -> Faults:
    """Take in a reading that was judged while there is a doubt. Takes and returns what `pass_over` does."""
    if sample.level is not None:
        plausibility.judged(state, sample.level, current_limits(state, rules).level.critical)
    return _doubtful(state, sample, rules, found)


def _doubtful(state: SensorState, sample: Sample, rules: Rules, found: Faults) -> Faults:
    """Tell what is in doubt once it is over due, until it is no more."""
    faults = state.faults
    if state.doubt is None:
        faults &= ~UNJUDGED
    elif plausibility.is_over_due(state, rules):
        faults |= UNJUDGED
    if faults == state.faults:
        return found
    state.faults = faults
    return _in_words(state, sample)


def trust(state: SensorState, faults: Iterable[str]) -> None:
    """Let the faults be those of an open alert: after a replay with new rules, that is the fact."""
    state.faults = sum(bit for bit, name in NAMES.items() if name in faults)
    state.odd = True
    if state.faults & UNJUDGED and state.doubt is None:
        state.doubt = Doubt(state.heard_ns, state.heard_ns, 1, "", state.last_level or 0.0)


def is_repeating(state: SensorState, rules: Rules) -> bool:
    """Tell whether the last readings are one measurement, sent again and again: no further evidence of anything.

    As many as raise an alert always count: a level that jumps and stays is told, whatever its sensor does later.
    """
    return state.run >= max(rules.on_readings, UNUSUAL_RUNS * state.longest + 1) and state.changes >= FEWEST_CHANGES


def _changed(state: SensorState, level: float, faults: int) -> int:
    """Take in a value that is another one than before."""
    if not faults & STUCK:
        state.longest = max(state.longest, state.run)
    state.last_level = level
    state.changes = min(state.changes + 1, FEWEST_CHANGES)
    state.run = 0
    return faults & ~STUCK


def _repeated(state: SensorState, level: float, sample: Sample, rules: Rules, faults: int) -> int:
    """Take in a value that is the same as the one before. What a machine that stands still repeats does not count."""
    if faults & STUCK:
        return faults
    if _stands_still(state, level, sample, rules):
        state.run = 0
        return faults
    if state.run == 0:
        state.run_ns = sample.time_ns
    state.run += 1
    lasts = sample.time_ns - state.run_ns >= SHORTEST_NS
    enough = state.run >= max(LEAST_RUN, LONGEST_RUNS * state.longest)
    return faults | STUCK if enough and lasts and state.changes >= FEWEST_CHANGES else faults


def _stands_still(state: SensorState, level: float, sample: Sample, rules: Rules) -> bool:
    """Tell whether the machine stands still: by the level where that can be compared, and by what is said."""
    limit = state.limits
    if limit is not None and limit.baseline is not None:
        return level < limit.stopped and not _runs(sample, rules)
    return _runs(sample, rules) is False


def _low(state: SensorState, sample: Sample, rules: Rules, faults: int, *, low: bool) -> int:
    """Count levels as of a machine that stands still while it is said to run: the sensor is dead.

    A sensor's own noise varies. One value above zero that only repeats may as well be one from before the start.
    """
    if not low or not _runs(sample, rules):
        state.floor = 0
        return faults & ~FLOOR
    if state.floor == 0:
        state.floor_ns = sample.time_ns
    state.floor += 1
    lasts = sample.time_ns - state.floor_ns >= SHORTEST_NS
    varies = sample.level == 0 or not (faults & STUCK or is_repeating(state, rules))
    return faults | FLOOR if state.floor >= LEAST_LOW and lasts and varies else faults


def _lasting(state: SensorState, sample: Sample, rules: Rules, faults: int, *, low: bool) -> int:
    """Follow what changes for good: a level that has fallen, stands still, or has shifted with others."""
    if not low:
        faults = faults | FALLEN if has_fallen(state, sample, rules) else faults & ~FALLEN
    if not low or not rules.still_after_ns or _runs(sample, rules) is not None:
        state.still_ns, faults = 0, faults & ~STILL
    else:
        state.still_ns = state.still_ns or sample.time_ns
        if sample.time_ns - state.still_ns >= rules.still_after_ns and not faults & STUCK:
            faults |= STILL
    if state.shifted and is_learned_here(state):  # what is normal has been learned anew, or said
        state.shifted = ""
    return faults | SHIFTED if state.shifted else faults & ~SHIFTED


def shift(state: SensorState, sample: Sample, text: str, found: Faults) -> Faults:
    """Tell of a shift of all sensors of a machine, until what is normal has been learned anew. Returns as `examine`."""
    state.shifted, state.odd = text, True
    state.faults |= SHIFTED
    return _in_words(state, sample) if found is None else {**found, NAMES[SHIFTED]: text}


def _clock(state: SensorState, time_ns: int, faults: int, *, replaced: bool) -> int:
    """Count times that cannot be believed up, and the others down four times as fast."""
    if not replaced:
        state.clock = max(0, min(state.clock, LEAST_WRONG) - _GOOD_COUNTS)
        return faults if state.clock else faults & ~CLOCK
    if state.clock == 0:
        state.clock_ns = time_ns
    state.clock += 1
    lasts = time_ns - state.clock_ns >= SHORTEST_NS
    return faults | CLOCK if state.clock >= LEAST_WRONG and lasts else faults


def _unit(state: SensorState, sample: Sample, rules: Rules, faults: int) -> int:
    """Follow the unit. What is known of a sensor in one unit says nothing about a level in another.

    Some readings in a row are a change: what is normal is learned in the new unit, beside what is known in the others.
    Where that was more than a first look, it is told until as much is known in the new one. A configured baseline is in
    one unit only.
    """
    if sample.unit == state.unit:
        state.other_unit = 0
        return faults if faults & UNIT and not (rules.baseline or is_settled(state)) else faults & ~UNIT
    if state.unit == "" or not _is_missed(state, rules):
        if state.unit:
            forget_baselines(state, None)
            state.event_baseline = None
        state.unit, state.unit_of, state.other_unit = intern(sample.unit), rules.baseline, 0
        return faults & ~UNIT
    state.other_unit += 1
    if state.other_unit < FEWEST_OTHER_UNIT:
        return faults
    is_told = bool(rules.baseline is not None or is_settled(state) or faults & UNIT)
    is_changed = rules.baseline is None and change_unit(state, sample.unit)
    return faults | UNIT if is_told and not (is_changed and is_settled(state)) else faults & ~UNIT


def _is_missed(state: SensorState, rules: Rules) -> bool:
    """Tell whether anybody would miss what is known in the unit so far."""
    if rules.baseline is not None or state.unit_of is not None:
        return state.unit_of == rules.baseline
    return bool(known_baselines(state) or state.units)


def _own_baseline_is_new(state: SensorState, sample: Sample) -> bool:
    """Count the readings with the same baseline of their own, until it is constant; before, one without it ends it."""
    if state.event_baseline is None or state.own_readings >= OWN_CONSTANT:
        return False
    if sample.event_baseline is None:
        state.event_baseline = state.limits = None
        return False
    state.own_readings += sample.event_baseline == state.event_baseline
    return True


def _runs(sample: Sample, rules: Rules) -> bool | None:
    """Tell whether the machine runs, as far as somebody says so."""
    if sample.operating_state is not None:
        name = word_of(sample.operating_state, rules)
        if name:
            return name not in rules.stopped_states and name not in ZERO
    rpm = sample.quantities.rpm
    return None if rpm is None else abs(rpm) >= STANDSTILL_RPM


def _in_words(state: SensorState, sample: Sample, rules: Rules | None = None) -> dict[str, str]:
    level = level_in_words(state.last_level or 0.0, state.unit, sample.sensor_unit)
    other = "another unit" if sample.level is None else sample.unit
    before = next(reversed(state.units)) if state.units and state.unit == sample.unit else state.unit
    equal, low, wrong = (in_words(sample.time_ns - since) for since in (state.run_ns, state.floor_ns, state.clock_ns))
    words = {
        STUCK: f"Stuck at {level}: {state.run + 1} equal readings in {equal}, more than its resolution explains."
        " Check the sensor; it repeats what it measured once."
        + (" It is near its floor, though the machine runs: it may have come off." if state.floor else ""),
        FLOOR: f"At its floor, {level}, for {state.floor} readings in {low}, though the machine runs."
        " Check whether the sensor has come off, and its cable.",
        CLOCK: f"Its clock cannot be believed: {state.clock} readings in {wrong} count at the time of receipt."
        " Set the sensor's clock.",
        UNIT: f"It measures in {other} instead of {before}, and its readings are not judged"
        f"{'' if before == state.unit else ' until what is normal has been learned in that, too'}."
        " Set it back, or say what is normal now (baselines set, baselines relearn).",
        FALLEN: fall_in_words(state, sample, (rules or _ANY).fall_after_ns),
        STILL: still_in_words(sample.time_ns - state.still_ns),
        SHIFTED: state.shifted,
        UNJUDGED: plausibility.doubt_in_words(state.doubt, sample.unit) if state.doubt else "",
    }
    return {NAMES[bit]: text for bit, text in words.items() if state.faults & bit}
