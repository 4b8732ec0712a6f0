"""What was found of what was wrong: a run's ground truth against the alerts of a gateway or a backtest."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from simulator.times import parse_time

ON_READINGS = 3  # readings that a level has to stay beyond its limit, at the least
PATIENCE = timedelta(hours=1)  # in which a fault that shows is to be found, beyond that
AFTERMATH = timedelta(hours=1)  # after the end of a fault, in which an alert still belongs to it
CHATTERING = timedelta(hours=1)  # an alert that is raised again within this time of its end chatters
SHIFT_TOLD = timedelta(days=1)  # in which an alert about a shift of all levels belongs to the shift
MOST_FALSE = 0.5  # alarms in 1,000 sensor-hours
NAMES = {  # kind of a sensor's fault: words of which one is in a reason that names it
    "dropout": ("silent", "no reading", "nothing for"),
    "stuck": ("stuck", "the same value", "unchanged"),
    "floor": ("floor",),
    "clock": ("clock",),
    "drift": ("drift", "sensitivity"),
    "spike": ("spike", "outlier"),
}
NAMED = frozenset({"dropout", "stuck", "floor", "clock"})
"""Faults of a sensor that can be known for what they are. A drift looks like a machine that grows quieter, and a spike
is to be passed over in silence."""


class BadFileError(Exception):
    """A file that is no truth, or that holds no alerts; the message says what is missing."""


class _Watched(msgspec.Struct, rename="camel"):
    sensor_id: str
    interval: float


class _Fault(msgspec.Struct, rename="camel"):
    scope: str
    kind: str
    sensor_id: str
    growing: bool
    from_: str = msgspec.field(name="from")
    to: str | None = None
    leaves_band: str | None = None


class _Truth(msgspec.Struct, rename="camel"):
    start: str
    end: str | None
    sensors: list[_Watched]
    faults: list[_Fault]


class _Alert(msgspec.Struct, rename="camel"):
    kind: str
    sensor_id: str
    severity: str
    opened_at: str
    cleared_at: str | None = None
    reason: str = ""


class Fault(msgspec.Struct, frozen=True):
    """Something that was wrong with one sensor; `shows` is when its level left the normal band, if it did."""

    scope: str
    kind: str
    sensor: str
    growing: bool
    begin: datetime
    end: datetime
    shows: datetime | None


class Alert(msgspec.Struct, frozen=True):
    """An alert from its raising to its clearing; `end` is None while it is open, `worse` when it has escalated."""

    kind: str
    sensor: str
    begin: datetime
    end: datetime | None
    reason: str
    worse: list[datetime] = []


class Truth(msgspec.Struct, frozen=True):
    """A run; `intervals` is sensor -> the time between two of its readings."""

    start: datetime
    end: datetime
    intervals: dict[str, timedelta]
    faults: list[Fault]


def read_truth(content: bytes) -> Truth:
    """Read a truth file; BadFileError if it is none, or of a run that has not ended."""
    try:
        read = msgspec.json.decode(content, type=_Truth)
        if read.end is None:
            raise BadFileError("the run of this truth has not ended")
        end = parse_time(read.end)
        faults = [_fault(each, end) for each in read.faults if each.sensor_id]
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadFileError(f"not a truth file: {error}") from error
    intervals = {each.sensor_id: timedelta(seconds=each.interval) for each in read.sensors}
    return Truth(parse_time(read.start), end, intervals, faults)


def _fault(read: _Fault, end: datetime) -> Fault:
    shows = parse_time(read.leaves_band) if read.leaves_band else None
    until = parse_time(read.to) if read.to else end
    return Fault(read.scope, read.kind, read.sensor_id, read.growing, parse_time(read.from_), until, shows)


def read_alerts(content: bytes) -> list[Alert]:
    """Read the output of `alerts list --all -o json` or of `backtest -o json`; BadFileError if it is neither."""
    try:
        read = msgspec.json.decode(content)
        entries = msgspec.convert(read.get("alerts") if isinstance(read, dict) else read, list[_Alert])
        alerts = [_alert(each) for each in entries if each.kind != "gateway"]
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadFileError(f"neither `alerts list` nor `backtest` as JSON: {error}") from error
    return _with_escalations(alerts)


def _alert(read: _Alert) -> Alert:
    end = parse_time(read.cleared_at) if read.cleared_at else None
    return Alert(read.kind, read.sensor_id, parse_time(read.opened_at), end, read.reason)


def _with_escalations(alerts: Iterable[Alert]) -> list[Alert]:
    """Put the entries that lie within an earlier one of the same sensor and kind to that: it had become worse."""
    kept: dict[tuple[str, str], list[Alert]] = defaultdict(list)
    for alert in sorted(alerts, key=lambda each: each.begin):
        own = kept[alert.sensor, alert.kind]
        if not own or (own[-1].end is not None and own[-1].end <= alert.begin):
            own.append(alert)
        else:
            own[-1] = replace(own[-1], worse=[*own[-1].worse, alert.begin])
    return [alert for own in kept.values() for alert in own]


class Found(msgspec.Struct, frozen=True):
    """What came of a fault: the alerts that belong to it, in the order of time.

    `open` are alerts that had been raised before it, and became worse while it was there.
    """

    fault: Fault
    alerts: list[Alert]
    open: list[Alert]

    @property
    def right(self) -> list[Alert]:
        """The alerts of the right kind: about the machine for its fault, about the sensor for its own."""
        return [alert for alert in self.alerts if self.fault.scope in {alert.kind, "benign"}]

    @property
    def first(self) -> datetime | None:
        """When it was first told: raised, or as an escalation of what was open."""
        told = [alert.begin for alert in self.right]
        told += [moment for alert in self.open for moment in alert.worse if _is_within(moment, self.fault)]
        return min(told, default=None)

    @property
    def delay(self) -> timedelta | None:
        """From the moment when it shows to the first alert of the right kind; below zero if that came before."""
        return None if self.first is None or self.fault.shows is None else self.first - self.fault.shows

    @property
    def named(self) -> bool:
        """Whether a sensor's fault was called by its name."""
        return any(word in alert.reason.casefold() for alert in self.right for word in NAMES.get(self.fault.kind, ()))

    @property
    def chattered(self) -> int:
        """How often an alert was raised again soon after its end."""
        pairs = zip(self.alerts, self.alerts[1:], strict=False)
        return sum(first.end is not None and later.begin - first.end < CHATTERING for first, later in pairs)


class Score(msgspec.Struct, frozen=True):
    """What was found of each fault, the alerts that belong to none, and the hours in which nothing was wrong."""

    found: list[Found]
    false: list[Alert]
    healthy_hours: float
    longest_interval: timedelta


def score(truth: Truth, alerts: Iterable[Alert]) -> Score:
    """Give each alert to the fault of its sensor that it was raised in, or to none."""
    faults = [fault for fault in truth.faults if fault.scope != "transport"]
    left = alerts = list(alerts)
    found = []
    for fault in sorted(faults, key=lambda each: (each.scope == "benign", each.begin)):
        own = [alert for alert in left if _belongs(alert, fault)]
        left = [alert for alert in left if not _belongs(alert, fault)]
        found.append(Found(fault, sorted(own, key=lambda each: each.begin), _open(alerts, fault)))
    hours = len(truth.intervals) * (truth.end - truth.start) / timedelta(hours=1)
    wrong = sum((fault.end - fault.begin) / timedelta(hours=1) for fault in faults if fault.scope != "benign")
    return Score(found, left, max(hours - wrong, 0.0), max(truth.intervals.values(), default=timedelta()))


def _belongs(alert: Alert, fault: Fault) -> bool:
    """Tell whether an alert was raised while the fault was there, or right after its end."""
    if alert.sensor != fault.sensor or not _is_within(alert.begin, fault):
        return False
    return fault.scope != "benign" or alert.begin - fault.begin < SHIFT_TOLD


def _is_within(moment: datetime, fault: Fault) -> bool:
    return fault.begin <= moment <= fault.end + AFTERMATH


def _open(alerts: Iterable[Alert], fault: Fault) -> list[Alert]:
    return [
        alert
        for alert in alerts
        if (alert.sensor, alert.kind) == (fault.sensor, fault.scope)
        and alert.begin < fault.begin
        and any(_is_within(moment, fault) for moment in alert.worse)
    ]
