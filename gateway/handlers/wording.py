"""The words that all handlers share. A notification's texts come from sensors: here they become inert single lines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from gateway.api import Notification, NotificationKind
from gateway.domain.detection import number

LONGEST_NAME = 40  # characters of a machine or sensor in a summary
LONGEST_REASON = 1000
LONGEST_ANSWER = 200
SHORTEST_SECRET = 4  # anything shorter is in every text by chance

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OCCURRED = {"escalated": "Escalated", "cleared": "Cleared", "test": "Sent"}


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
_STILL = {"reminder": "still active", "escalation": "nobody has acknowledged"}


def one_line(text: str, limit: int = LONGEST_REASON) -> str:
    """Return `text` without control characters, lone surrogates and line breaks, cut to `limit` characters."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every secret that it quotes replaced, the longest first."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def answer(text: str, secrets: Iterable[str]) -> str:
    """Return what the other side said, in one short line that does not give our credentials away."""
    return one_line(redact(text, secrets), LONGEST_ANSWER)


def summary(notification: Notification) -> str:
    """Return what everybody must know, the essential first: `CRITICAL: P-101 VB-42345 at 3.1 × baseline`."""
    if notification.kind == "test":
        return f"TEST: {_gateway(notification)}, nothing is wrong"
    return f"{label(notification)}: {subject(notification)}{_measure(notification)}"


def label(notification: Notification) -> str:
    """Return the first word of every message."""
    match notification.kind:
        case "raised":
            return notification.severity.upper()
        case "escalated":
            return f"{notification.severity.upper()} (escalated)"
        case "cleared" | "test" | "notice":
            return notification.kind.upper()
        case "reminder" | "escalation":
            return f"{notification.severity.upper()} ({_STILL[notification.kind]})"
        case "digest":
            return f"{notification.severity.upper()} ({notification.count} alerts)"


def subject(notification: Notification) -> str:
    """Return what the notification is about: machine and sensor, or the gateway."""
    if notification.kind == "test" or notification.alert_kind == "gateway":
        return _gateway(notification)
    names = (one_line(name, LONGEST_NAME) for name in (notification.machine, notification.sensor_id))
    return " ".join(filter(None, names)) or _gateway(notification)


def place(notification: Notification) -> str:
    """Return where the sensor is, as the sensor says, or else by site and area."""
    site = ", ".join(filter(None, (one_line(notification.site), one_line(notification.area))))
    return one_line(notification.location, 120) or one_line(site, 120)


def lead(notification: Notification) -> str:
    """Return the sentence that opens a longer message."""
    return _LEADS[notification.kind].format(opened=moment(notification.opened_ns), count=notification.count)


def ratio(notification: Notification) -> str:
    """Return the level in units of its baseline, or nothing for what is not about a level."""
    if notification.ratio is None or not _is_about_level(notification):
        return ""
    return f"{notification.ratio:.1f} × baseline" if notification.ratio < 1000 else "over 1000 × baseline"  # noqa: PLR2004 - beyond, it is a fault of the sensor


def level(notification: Notification) -> str:
    """Return the level with its unit, or nothing for what is not about a level."""
    return _quantity(notification.level, notification) if _is_about_level(notification) else ""


def baseline(notification: Notification) -> str:
    """Return the baseline with its unit, or nothing for what is not about a level."""
    return _quantity(notification.baseline, notification) if _is_about_level(notification) else ""


def facts(notification: Notification) -> list[tuple[str, str]]:
    """Return what is known, as (name, value), the most important first; what is not known is left out."""
    site = ", ".join(filter(None, (notification.site, notification.area)))
    test = notification.kind == "test"
    known = [
        ("Machine", one_line(notification.machine)),
        ("Sensor", one_line(notification.sensor_id)),
        ("Location", one_line(notification.location)),
        ("Site", one_line(site)),
        ("Level", level(notification)),
        ("Baseline", baseline(notification)),
        ("Ratio", ratio(notification)),
        ("Since", "" if test else moment(notification.opened_ns)),
        (_OCCURRED.get(notification.kind, ""), moment(notification.occurred_ns)),
        ("Reason", one_line(notification.reason)),
        ("Gateway", one_line(notification.gateway_id)),
        ("Alert", "" if test else one_line(notification.alert_id)),
    ]
    return [(name, value) for name, value in known if name and value]


def link(notification: Notification) -> str:
    """Return the address of the alert's page if it is one that may be offered for clicking."""
    url = notification.page_url
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    usable = parts.scheme in {"http", "https"} and parts.netloc and url.isprintable() and " " not in url
    return url if usable else ""


def moment(ns: int) -> str:
    """Return a time as people read it, to the minute: `2023-09-29 16:30 UTC`."""
    return f"{_EPOCH + timedelta(microseconds=ns // 1000):%Y-%m-%d %H:%M} UTC"


def _gateway(notification: Notification) -> str:
    return f"Gateway {one_line(notification.gateway_id, LONGEST_NAME)}"


def _is_about_level(notification: Notification) -> bool:
    return notification.alert_kind == "machine" and notification.kind != "test"


def _quantity(value: float | None, notification: Notification) -> str:
    return "" if value is None else f"{number(value)} {one_line(notification.unit, 20)}".rstrip()


def _measure(notification: Notification) -> str:
    known = ratio(notification) or level(notification)
    if known:
        return f" at {known}"
    return f": {one_line(notification.reason, 80)}" if notification.reason else ""
