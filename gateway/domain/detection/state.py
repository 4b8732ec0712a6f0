"""The sensor registry's entries, and when a reading belongs: in order, late, or from a clock nobody can believe."""

from __future__ import annotations

from array import array
from statistics import median

from msgspec import Struct, field

from gateway.domain.detection.baseline import Baseline, Learning
from gateway.domain.detection.indicator import IndicatorState
from gateway.domain.detection.limits import Limits
from gateway.domain.detection.rules import Rules
from gateway.domain.model.events import SeverityRank
from gateway.domain.model.reading import Measured, ReadingData, with_quantities

GAPS = 8
"""Pauses between messages that are remembered: half of them may be outages without the median noticing."""

VISIT_NS = 10_000_000_000
"""What comes within ten seconds of each other comes at once: closer, nobody need know how often a sensor publishes."""

FEWEST_GAPS = 3

HISTORY = 10
"""Readings from which on a sensor is known well enough to have a say about our own clock."""

INTERVALS = 5
"""A sensor is silent when so many expected intervals have passed without it."""

UNKNOWN_NS = 86_400_000_000_000
"""For so long a sensor may be silent as long as nobody knows how often it publishes."""


@with_quantities("key")
class Waiting(Measured):
    """A reading that waits for the watermark, with all that judging it needs. Ordered by time, then id."""

    event_us: int
    event_id: str
    correlation_id: str
    level: float | None
    unit: str
    event_baseline: float | None = None
    operating_state: str | None = None
    sensor_unit: str | None = None

    def __lt__(self, other: Waiting) -> bool:
        return (self.event_us, self.event_id) < (other.event_us, other.event_id)


class Known(Struct):
    """What is known of a sensor in one operating state, put aside while its machine is in another."""

    learned: Baseline | None = None
    learning: Learning | None = None
    smooth: float | None = None


class Doubt(Struct):
    """Readings in a row, received from `since_ns` to `latest_ns`, whose level is beyond everything known of the sensor.

    Nobody has been told of them. `reason` says why the last one was not judged.
    """

    since_ns: int
    latest_ns: int
    readings: int
    reason: str
    level: float


class LateRun(Struct):
    """Late readings in a row that are in order among themselves; `first_*` and `last_us` are their own times."""

    first_us: int
    first_received_ns: int
    last_us: int
    readings: int = 1


def _whole_numbers() -> array:  # type: ignore[type-arg] # not generic before 3.12
    return array("q")


class SensorState(Struct, gc=False, omit_defaults=True):
    """Everything the gateway must remember of a sensor to judge its next reading. It is what a snapshot keeps.

    `newest_us` is the newest believable time, `seen_us` the newest of all: beyond it nothing can be a duplicate.
    `severity` is that of the open alert, `alert_state` the operating state it was raised in, `tallies` the indicators
    that are not at rest. `waiting` are the readings that are not judged yet, as a heap, `released_us` the time of the
    last one that was.

    `learned` and `learning` are those of `operating_state`, which the machine was in last; `others` keeps them for the
    other states. `versions` counts the baselines, `band` is the name of the bands of speed and load that it is in.
    Until `unsettled_ns` plus the settling time nothing is judged: it is the time of the last reading before the machine
    went into its state. `low` counts readings in a row that are those
    of a machine standing still, `smooth` is the smoothed level, `rise_from` what it was up to a `rise_window` ago, and
    at `rise_ns`, half a window later. `spikes` is the share of readings that jump beyond the limit and
    back, `fresh` counts the readings down for which the machine has just been started.

    `gaps` are the last pauses between its messages in ns, `heard_ns` and `heard_time_ns` when the last one came and
    what time it bore. `offline` is its last will's word, until it says or measures something; `status` is what it said
    last. `forgotten` is one that nobody waits for, until it measures something; it is `offline` too.

    `faults` are the bits of `health`, `odd` says that the next reading is to be looked at closely. `run` counts
    repetitions of `last_level`, `longest` is the longest run before, `changes` how often it has changed. `floor` counts
    readings near zero of a machine that runs, `clock` times that could not be believed, each since the time beside it.
    `unit` is that of what is known (of the configured baseline `unit_of`, if there is one), and `other_unit` counts the
    readings in another; `units` keeps what is known in those, by the operating state. `gives_level` says that there was
    ever a level in its readings.

    `fall_ns` is since when the smoothed level has been far below what is normal, `fallen` what was normal before it
    fell for good, `returned` the readings in a row that are as before; `still_ns` is since when it has been that
    of standing still, `shifted` how it and the others of its machine have shifted together, in words.

    `not_judged` counts the readings that were not judged, by the reason; `doubt` are those of them that cannot be so.
    `late` are its last readings, if they are late; `ids_again_ns` is when it was said last that its ids begin again.
    `own_readings` are the readings in a row, at most `OWN_CONSTANT`, with the same baseline of their own.
    """

    newest_us: int | None = None
    at_newest: int = 0
    seen_us: int | None = None
    replaced_ns: int = 0
    severity: SeverityRank = SeverityRank.NONE
    tallies: dict[str, IndicatorState] | None = None
    learning: Learning | None = None
    learned: Baseline | None = None
    event_baseline: float | None = None
    own_readings: int = 0
    limits: Limits | None = field(default=None, name="bounds")
    waiting: list[Waiting] = []
    released_us: int | None = None
    operating_state: str = ""
    others: dict[str, Known] | None = None
    versions: int = 0
    rpm_band: int | None = None
    load_band: int | None = None
    band: str = ""
    judged_ns: int | None = None
    unsettled_ns: int | None = None
    low: int = 0
    fresh: int = 0
    smooth: float | None = None
    alert_state: str = ""
    spikes: float = 0.0
    rise_ns: int | None = None
    rise_from: tuple[float, float] = (0.0, 0.0)
    gaps: array = field(default_factory=_whole_numbers)  # type: ignore[type-arg]
    heard_ns: int = 0
    heard_time_ns: int = 0
    offline: bool = False
    forgotten: bool = False
    status: str = ""
    faults: int = 0
    last_level: float | None = None
    odd: bool = True
    changes: int = 0
    longest: int = 0
    run: int = 0
    run_ns: int = 0
    floor: int = 0
    floor_ns: int = 0
    clock: int = 0
    clock_ns: int = 0
    unit: str = ""
    unit_of: float | None = None
    other_unit: int = 0
    units: dict[str, dict[str, Known]] | None = None
    gives_level: bool = False
    not_judged: dict[str, int] | None = None
    doubt: Doubt | None = None
    fall_ns: int = 0
    fallen: Baseline | None = None
    returned: int = 0
    still_ns: int = 0
    shifted: str = ""
    late: LateRun | None = None
    ids_again_ns: int = 0


def level_without_one(state: SensorState, data: ReadingData) -> float | None:
    """Return what stands for the level of a reading that gives none: the velocity, if its sensor never gave a level.

    One that does sends its velocity by itself: one measurement in several messages.
    """
    return None if state.gives_level else data.velocity_rms


def begin_levels(state: SensorState, rules: Rules) -> None:
    """Take note that a sensor gives a level; a configured baseline was never meant for its velocity."""
    state.gives_level = True
    if rules.baseline is not None:
        state.unit = ""


def has_history(state: SensorState) -> bool:
    """Tell whether a sensor has a say about our own clock: it has a timeline, and some readings in it."""
    return state.newest_us is not None and state.changes + state.run >= HISTORY


def forget(state: SensorState) -> None:
    """Let nobody wait for a sensor any more, nor for the end of what was wrong. What is normal for it stays known."""
    state.offline = state.forgotten = True
    state.severity, state.alert_state, state.tallies, state.faults = SeverityRank.NONE, "", None, 0
    state.doubt = None


def hear(state: SensorState, time_ns: int, received_ns: int) -> None:
    """Learn from a reading in order how far apart a sensor's messages come, if it is `VISIT_NS` after the last time.

    What counts is the longer pause of the two clocks: neither a backlog that comes all at once nor several readings in
    one message make a sensor a faster one.
    """
    gap = received_ns - state.heard_ns
    if 0 <= gap < VISIT_NS:
        return
    gap = max(gap, time_ns - state.heard_time_ns)
    if state.heard_ns and gap > 0:
        state.gaps.append(gap)
        if len(state.gaps) > GAPS:
            del state.gaps[0]
    state.heard_ns, state.heard_time_ns = received_ns, time_ns


def allowance_ns(state: SensorState, interval_ns: int | None, shortest_ns: int) -> int:
    """Return for how long a sensor may be silent: so many expected intervals, but not less than `shortest_ns`.

    The expected interval is the configured one, else the median of its last pauses.
    """
    if interval_ns is not None:
        return max(shortest_ns, INTERVALS * interval_ns)
    gaps: list[int] = state.gaps.tolist()
    if len(gaps) < FEWEST_GAPS:
        return max(shortest_ns, UNKNOWN_NS, *(INTERVALS * gap for gap in gaps))
    return max(shortest_ns, INTERVALS * round(median(gaps)))


class Sensor(Struct, gc=False):
    """An entry of the registry: a sensor, where it is, and what is known of it. `key` is its number in the journal.

    `id` is its name, which no other has; `published` is the id that it publishes, where that is another.
    `last_heard_ns` is by the stopwatch that silence is measured with, `machine_state` the operating state that the
    machine itself reports, `rules` are known once they have been asked for, and `is_changed` says that the next
    snapshot is to save the state. What comes after the state is not in the journal's registry, but `published` is.
    """

    key: int
    id: str
    tags: dict[str, str]
    unit: str
    location: str
    first_seen_ns: int
    state: SensorState
    last_heard_ns: int = 0
    is_silent: bool = False
    machine_state: str | None = None
    rules: Rules | None = None
    is_changed: bool = False
    published: str = ""

    @property
    def published_id(self) -> str:
        """The id that it publishes."""
        return self.published or self.id
