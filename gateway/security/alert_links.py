"""Short links to the page of one alert, on which one person may act: signed, and small enough for an SMS.

One is 26 characters after the public address. It holds the beginning of the alert's id and the day of its end; the
severity and the person are only signed along, so a link fits no later severity, and nobody who is not told any more.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable

from msgspec import Struct

from gateway.domain.model.events import SEVERITIES

PATH = "/s/"
DAY_NS = 86_400_000_000_000
VALID_DAYS = 4
"""The day on which it is sent counts, so it is three at the least: over a weekend."""

_DOMAIN = b"vibration-gateway alert 1\n"
_ID, _DAY, _SIGNATURE = 6, 2, 9  # bytes; nobody guesses 72 bits, least of all through a slow door
_LENGTH = -(-(_ID + _DAY + _SIGNATURE) * 4 // 3)


class AlertLink(Struct, frozen=True):
    """Who may act on which alert while it has this severity. `alert_id` is the beginning of one; the end in ns."""

    alert_id: str
    severity: str
    person: str
    until_ns: int


def sign(alert_id: str, severity: str, person: str, now_ns: int, key: bytes) -> str:
    """Return the path of the page, or nothing for an alert whose id is none of ours."""
    try:
        head = bytes.fromhex(alert_id.replace("-", ""))[:_ID]
    except ValueError:
        return ""
    if len(head) < _ID:
        return ""
    head += (now_ns // DAY_NS + VALID_DAYS).to_bytes(_DAY)
    return PATH + urlsafe_b64encode(head + _signature(head, severity, person, key)).rstrip(b"=").decode()


def verify(code: str, people: Iterable[str], key: bytes) -> AlertLink | None:
    """Return what a code was made for, if that person is among those who are told today; its end is not looked at."""
    if not key or len(code) != _LENGTH:
        return None
    try:
        content = urlsafe_b64decode(code.encode("ascii") + b"=" * (-len(code) % 4))
    except ValueError:
        return None
    head, offered = content[: _ID + _DAY], content[_ID + _DAY :]
    found = None
    for person in people:  # all of them, however soon it is found
        for severity in SEVERITIES:
            if hmac.compare_digest(offered, _signature(head, severity, person, key)):
                found = AlertLink(_beginning(head[:_ID]), severity, person, int.from_bytes(head[_ID:]) * DAY_NS)
    return found


def _signature(head: bytes, severity: str, person: str, key: bytes) -> bytes:
    return hmac.digest(key, _DOMAIN + head + f"{severity}\n{person}".encode(), "sha256")[:_SIGNATURE]


def _beginning(head: bytes) -> str:
    text = head.hex()
    return f"{text[:8]}-{text[8:]}"
