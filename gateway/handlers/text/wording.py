"""The words that all handlers share. A notification's texts come from sensors: here they become inert single lines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from urllib.parse import urlsplit

from gateway.api import Item, NotificationKind
from gateway.domain.detection.comparison import number
from gateway.domain.model.alert_kinds import ALERT_KINDS
from gateway.domain.model.timefmt import moment, short_moment
from gateway.domain.notification.model import MOST_NAMED, Notification
from gateway.security.redact import redact

LONGEST_NAME = 32  # characters of a machine or sensor in a summary
LONGEST_REASON = 1000
LONGEST_ANSWER = 200
LONGEST_FIGURE = 120
MOST_DETAILS = 3  # alerts of several that a short message names, as far as they fit

FIELDS = frozenset(
    {
        "alert", "area", "baseline", "details", "figure", "gateway", "kind", "label", "lead", "level", "link",
        "location", "machine", "place", "ratio", "reason", "sensor", "severity", "since", "site", "subject", "summary",
        "time", "unit",
    }
)  # fmt: skip
"""What a template can name; `fields` gives the values."""

OPEN = frozenset({"raised", "escalated", "reminder", "escalation"})
"""Kinds that tell of an alert somebody can acknowledge."""

_OCCURRED = {"escalated": "Escalated", "cleared": "Cleared", "test": "Sent"}
_REMARKS = {"escalated": "escalated", "reminder": "still active", "escalation": "not acknowledged"}
_LEADS: dict[NotificationKind, str] = {
    "raised": "New alert, since {opened}.",
    "escalated": "An alert that is open since {opened} has become worse.",
    "cleared": "The alert of {opened} is over.",
    "reminder": "Still active since {opened}, and nobody has acknowledged it.",
    "escalation": "Active since {opened}; nobody has acknowledged it, so you are told.",
    "digest": "{count} alerts in one message.",
    "notice": "A notice about what is not told at present.",
    "test": "This is a TEST. No machine is affected and there is nothing to do.",
}

Subject = Notification | Item
"""What is told of one alert: a message of its own, or an item of one."""


def one_line(text: str, limit: int = LONGEST_REASON) -> str:
    """Return `text` without control characters, lone surrogates and line breaks, cut to `limit` characters."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def answer(text: str, secrets: Iterable[str]) -> str:
    """Return what the other side said, in one short line that does not give our credentials away."""
    return one_line(redact(text, secrets), LONGEST_ANSWER)


def summary(notification: Notification, zone: tzinfo) -> str:
    """Return what everybody must know, the essential first.

    `CRITICAL: P-101 VB-42345 at 3.1 × baseline, since 18:30 CEST`, or what else is beyond which limit.
    """
    if notification.kind == "test":
        return f"TEST: {_gateway(notification)}, nothing is wrong"
    if notification.kind == "notice":
        return f"NOTICE: {one_line(notification.reason, 120) or _gateway(notification)}"
    if notification.grouped:
        what = one_line(notification.reason, 120) or f"{notification.count} alerts"
        return ": ".join(
            filter(None, [notification.severity.upper(), one_line(notification.machine, LONGEST_NAME), what])
        )
    return f"{label(notification)}: {_what(notification, notification.occurred_ns, zone)}"


def items(notification: Notification, zone: tzinfo) -> list[str]:
    """Return a line for each alert of a message about several, the worst first, and how many more there are."""
    shown = notification.grouped[:MOST_NAMED]
    more = notification.count - len(shown)
    lines = [f"{item.severity.upper()}: {_what(item, notification.occurred_ns, zone)}{_state(item)}" for item in shown]
    return [*lines, *([f"and {more} more"] if shown and more > 0 else [])]


def label(notification: Notification) -> str:
    """Return the first word of every message: the severity, or the kind of what is no alert."""
    if notification.kind in {"cleared", "notice", "test"}:
        return notification.kind.upper()
    remark = f"{notification.count} alerts" if notification.grouped else _REMARKS.get(notification.kind, "")
    return notification.severity.upper() + (f" ({remark})" if remark else "")


def subject(told: Subject) -> str:
    """Return what it is about: machine and sensor, or the gateway, of which the reason says what."""
    if isinstance(told, Notification):
        if told.kind in {"notice", "test"} or not ALERT_KINDS[told.alert_kind].is_of_sensor:
            return _gateway(told)
        if told.grouped:
            return one_line(told.machine, LONGEST_NAME) or _gateway(told)
    machine = "" if told.sensor_id.endswith(f" ({told.machine})") else told.machine  # the name says it already
    names = (one_line(name, LONGEST_NAME) for name in (machine, told.sensor_id))
    return " ".join(filter(None, names)) or "unknown"


def place(notification: Notification) -> str:
    """Return where the sensor is, as the sensor says, or else by site and area."""
    return one_line(notification.location, 120) or one_line(_site(notification), 120)


def lead(notification: Notification, zone: tzinfo) -> str:
    """Return the sentence that opens a longer message."""
    opened = moment(notification.opened_ns, zone)
    return _LEADS[notification.kind].format(opened=opened, count=notification.count)


def ratio(told: Subject) -> str:
    """Return the level in units of its baseline, or nothing for what is not about a level."""
    if told.ratio is None or not _is_about_level(told):
        return ""
    return f"{told.ratio:.1f} × baseline" if told.ratio < 1000 else "over 1000 × baseline"  # noqa: PLR2004 - beyond, it is a fault of the sensor


def figure(told: Subject) -> str:
    """Return what is beyond which limit where that is not the level, or nothing."""
    return one_line(told.figure, LONGEST_FIGURE) if _is_about_level(told) else ""


def level(told: Subject) -> str:
    """Return the level with its unit, or nothing for what is not about a level."""
    return _quantity(told.level, told) if _is_about_level(told) else ""


def baseline(told: Subject) -> str:
    """Return the baseline with its unit, or nothing for what is not about a level."""
    return _quantity(told.baseline, told) if _is_about_level(told) else ""


def details(notification: Notification) -> list[str]:
    """Return what the summary leaves out, the most important first."""
    if notification.kind == "test":
        return ["No action is needed"]
    if notification.grouped:
        return [f"{subject(item)}{_measure(item)}" for item in notification.grouped[:MOST_DETAILS]]
    if notification.kind == "notice":
        return [place(notification)] if place(notification) else []
    other, compared = figure(notification), bool(ratio(notification))
    known = [
        f"{level(notification)}, baseline {baseline(notification)}" if compared and not other else "",
        place(notification),
        one_line(notification.reason).removeprefix(f"{other}, ") if compared or other else "",
    ]
    return [detail for detail in known if detail]


def facts(notification: Notification, zone: tzinfo) -> list[tuple[str, str]]:
    """Return what is known, as (name, value), the most important first; what is not known is left out."""
    values = fields(notification, zone)
    one = notification.kind not in {"notice", "test"} and not notification.grouped
    known = [
        ("Machine", values["machine"]),
        ("Sensor", "" if notification.grouped else values["sensor"]),
        ("Location", "" if notification.grouped else values["location"]),
        ("Site", one_line(_site(notification))),
        ("Measured", values["figure"]),
        ("Level", values["level"]),
        ("Baseline", values["baseline"]),
        ("Ratio", values["ratio"]),
        ("Since", values["since"] if one else ""),
        (_OCCURRED.get(notification.kind, ""), values["time"]),
        ("Reason", values["reason"]),
        ("Gateway", values["gateway"]),
        ("Alert", values["alert"] if one else ""),
    ]
    return [(name, value) for name, value in known if name and value]


def fields(notification: Notification, zone: tzinfo) -> dict[str, str]:
    """Return every field that a template can name; all are inert single lines."""
    texts = {
        "alert": notification.alert_id,
        "area": notification.area,
        "gateway": notification.gateway_id,
        "kind": notification.kind,
        "location": notification.location,
        "machine": notification.machine,
        "reason": notification.reason,
        "sensor": notification.sensor_id,
        "severity": notification.severity,
        "site": notification.site,
        "unit": notification.unit,
    }
    return {name: one_line(text) for name, text in texts.items()} | {
        "baseline": baseline(notification),
        "details": ". ".join(details(notification)),
        "figure": figure(notification),
        "label": label(notification),
        "lead": lead(notification, zone),
        "level": level(notification),
        "link": link(notification),
        "place": place(notification),
        "ratio": ratio(notification),
        "since": moment(notification.opened_ns, zone),
        "subject": subject(notification),
        "summary": summary(notification, zone),
        "time": moment(notification.occurred_ns, zone),
    }


def link(notification: Notification) -> str:
    """Return the address of the alert's page if it is one that may be offered for clicking."""
    return safe_url(notification.page_url)


def safe_url(url: str) -> str:
    """Return an address if it is one that may be offered for clicking, else nothing."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    usable = parts.scheme in {"http", "https"} and parts.netloc and url.isprintable() and " " not in url
    return url if usable else ""


def _what(told: Subject, now_ns: int, zone: tzinfo) -> str:
    """Return what is wrong, how much, and since when."""
    since = "" if told.kind == "cleared" else f", since {short_moment(told.opened_ns, now_ns, zone)}"
    return f"{subject(told)}{_measure(told)}{since}"


def _state(item: Item) -> str:
    return " (over)" if item.over or item.kind == "cleared" else " (escalated)" if item.kind == "escalated" else ""


def _site(told: Subject) -> str:
    return ", ".join(filter(None, (one_line(told.site), one_line(told.area))))


def _gateway(notification: Notification) -> str:
    return f"Gateway {one_line(notification.gateway_id, LONGEST_NAME)}"


def _is_about_level(told: Subject) -> bool:
    several = isinstance(told, Notification) and bool(told.grouped)
    return ALERT_KINDS[told.alert_kind].has_level and told.kind not in {"notice", "test"} and not several


def _quantity(value: float | None, told: Subject) -> str:
    return "" if value is None else f"{number(value)} {one_line(told.unit, 20)}".rstrip()


def _measure(told: Subject) -> str:
    if other := figure(told):
        return f": {other}"
    known = ratio(told) or level(told)
    if known:
        return f" at {known}"
    return f": {one_line(told.reason, 80)}" if told.reason else ""
