"""Is this a load of alerts that people can bear? The figures of ISA-18.2 and EEMUA 191, from a list of alert events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import le, lt
from statistics import median

from msgspec import Struct

from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.model.events import SEVERITIES, DomainEvent

SECOND_NS = 10**9
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

FLOOD_FROM, FLOOD_UNTIL = 10, 5
"""A flood begins with more than ten announcements in ten minutes, and is over with fewer than five."""

CHATTERING = 3
"""A sensor chatters that raises so many alerts within a minute."""

STALE_NS = DAY_NS
TOP = 10
ENOUGH_FOR_SHARES = 200
"""Below this, ten different alerts are more than 5 % of all by arithmetic alone."""


class AlertEvent(Struct, frozen=True):
    """What happened to an alert, and when the people who look after it could know."""

    time_ns: int
    change: str
    alert_id: str
    subject: str
    severity: str


class TopEntry(Struct, frozen=True, rename="camel"):
    """A sensor, and its share of all announcements."""

    sensor_id: str
    alerts: int
    share: float


class Kpis(Struct, frozen=True, rename="camel"):
    """The figures of one span of time, for one operator. An announcement is an alert raised, or an escalation of one.

    Shares are fractions of one; a figure that nothing can be said about is None. `most10_minutes` is the worst ten
    minutes, `flood_share` the fraction of the time in flood, `stale` counts the alerts that became older than a day.
    """

    hours: float
    announcements: int
    alerts: int
    escalations: int
    per_hour: float
    per10_minutes: float
    most10_minutes: int
    flood_share: float
    floods: int
    top_share: float | None
    top: list[TopEntry]
    chattering: list[str]
    stale: int
    stale_per_day: float
    acknowledged: int
    unacknowledged: int
    seconds_to_acknowledge: float | None
    warning_share: float | None
    critical_share: float | None


class Assessment(Struct, frozen=True, rename="camel"):
    """A figure beside what is recommended; `met` is None where too little has happened to say."""

    name: str
    value: float | None
    recommended: str
    met: bool | None


def alert_event(fact: DomainEvent, time_ns: int | None = None) -> AlertEvent | None:
    """Return what a fact says of an alert, or None if it is about something else.

    `time_ns` is when it became known; left out, that is when it happened.
    """
    change = ALERT_FACTS.get(fact.type)
    if change is None:
        return None
    data = fact.data
    at_ns = fact.time_ns if time_ns is None else time_ns
    return AlertEvent(at_ns, change, str(data["id"]), fact.subject, str(data["severity"]))


def kpis(events: Iterable[AlertEvent], since_ns: int, until_ns: int) -> Kpis:
    """Return the figures of since <= time < until. Earlier events may be among them: they say what is still open."""
    known = sorted((event for event in events if event.time_ns < until_ns), key=lambda event: event.time_ns)
    announced = [event for event in known if event.change in {"raised", "escalated"} and event.time_ns >= since_ns]
    raised = [event for event in announced if event.change == "raised"]
    span_ns = max(until_ns - since_ns, 1)
    flood_ns, floods, most = _flood([event.time_ns for event in announced], until_ns)
    top = _top(announced)
    delays, waiting = _acknowledgements(known, since_ns)
    stale = _stale(known, since_ns, until_ns)
    count = len(announced)
    shares = {severity: sum(event.severity == severity for event in announced) for severity in SEVERITIES}
    return Kpis(
        hours=span_ns / HOUR_NS,
        announcements=count,
        alerts=len(raised),
        escalations=count - len(raised),
        per_hour=count * HOUR_NS / span_ns,
        per10_minutes=count * 10 * MINUTE_NS / span_ns,
        most10_minutes=most,
        flood_share=flood_ns / span_ns,
        floods=floods,
        top_share=sum(entry.share for entry in top) if top else None,
        top=top,
        chattering=_chattering(raised),
        stale=stale,
        stale_per_day=stale * DAY_NS / span_ns,
        acknowledged=len(delays),
        unacknowledged=waiting,
        seconds_to_acknowledge=median(delays) / SECOND_NS if delays else None,
        warning_share=shares["warning"] / count if count else None,
        critical_share=shares["critical"] / count if count else None,
    )


_RECOMMENDED: tuple[tuple[str, Callable[[Kpis], float | None], str, Callable[[float, float], bool], float], ...] = (
    ("announcements an hour", lambda found: found.per_hour, "about 6, at most 12", le, 12),
    ("announcements in 10 minutes", lambda found: found.per10_minutes, "about 1, at most 2", le, 2),
    ("worst 10 minutes", lambda found: found.most10_minutes, "at most 10", le, FLOOD_FROM),
    ("time in flood, %", lambda found: 100 * found.flood_share, "below 1", lt, 1),
    ("share of the ten worst, %", lambda found: _percent(found, found.top_share), "at most 5", le, 5),
    ("chattering sensors", lambda found: len(found.chattering), "none", le, 0),
    ("stale alerts a day", lambda found: found.stale_per_day, "fewer than 5", lt, 5),
    ("critical, %", lambda found: _percent(found, found.critical_share), "about 20 at most", le, 20),
)


def assess(found: Kpis) -> list[Assessment]:
    """Return the figures that ISA-18.2 and EEMUA 191 recommend something for, beside that.

    They are meant for at least 30 days. Priorities are recommended as about 80, 15 and 5 %; with two severities the
    worse one is what is not in the first 80.
    """
    return [
        Assessment(name, value, words, None if value is None else holds(value, limit))
        for name, figure, words, holds, limit in _RECOMMENDED
        for value in [figure(found)]
    ]


def _percent(found: Kpis, share: float | None) -> float | None:
    """Return a share of the announcements in percent, or None if there are too few of them to say anything."""
    return None if share is None or found.announcements < ENOUGH_FOR_SHARES else 100 * share


def _flood(times: Sequence[int], until_ns: int) -> tuple[int, int, int]:
    """Return the time in flood in ns, the number of floods, and the most announcements in any ten minutes."""
    steps = sorted([(time, 1) for time in times] + [(time + 10 * MINUTE_NS, -1) for time in times])
    count = most = floods = flood_ns = 0
    began_ns: int | None = None
    for time, change in steps:
        count += change
        most = max(most, count)
        if began_ns is None and count > FLOOD_FROM:
            began_ns, floods = time, floods + 1
        elif began_ns is not None and count < FLOOD_UNTIL:
            flood_ns += min(time, until_ns) - began_ns
            began_ns = None
    return flood_ns, floods, most


def _top(announced: Sequence[AlertEvent]) -> list[TopEntry]:
    counted = Counter(event.subject for event in announced)
    ranked = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:TOP]
    return [TopEntry(subject, count, count / len(announced)) for subject, count in ranked]


def _chattering(raised: Sequence[AlertEvent]) -> list[str]:
    """Return the subjects with three alerts within a minute."""
    times: dict[str, list[int]] = {}
    for event in raised:
        times.setdefault(event.subject, []).append(event.time_ns)
    return sorted(
        subject
        for subject, own in times.items()
        if any(third - first < MINUTE_NS for first, third in zip(own, own[CHATTERING - 1 :], strict=False))
    )


def _acknowledgements(known: Sequence[AlertEvent], since_ns: int) -> tuple[list[int], int]:
    """Return how long it took until each alert raised in the span was acknowledged, and how many never were."""
    raised = {event.alert_id: event.time_ns for event in known if event.change == "raised"}
    acknowledged: dict[str, int] = {}
    for event in known:
        if event.change == "acknowledged" and event.alert_id in raised:
            acknowledged.setdefault(event.alert_id, event.time_ns - raised[event.alert_id])
    own = [alert for alert, time in raised.items() if time >= since_ns]
    return [acknowledged[alert] for alert in own if alert in acknowledged], sum(a not in acknowledged for a in own)


def _stale(known: Sequence[AlertEvent], since_ns: int, until_ns: int) -> int:
    """Count the alerts that became older than a day within the span, and were still open then."""
    raised = {event.alert_id: event.time_ns for event in known if event.change == "raised"}
    cleared = {event.alert_id: event.time_ns for event in known if event.change == "cleared"}
    return sum(
        since_ns <= time + STALE_NS < min(until_ns, cleared.get(alert, until_ns)) for alert, time in raised.items()
    )
