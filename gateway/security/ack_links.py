"""Links that let one person acknowledge one alert for some time: signed, so that nobody can make or change one."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from msgspec import Struct

DAY_NS = 86_400_000_000_000
VALID_NS = 3 * DAY_NS
"""For so long a link can be used: over a weekend."""

LONGEST = 1000  # characters of a signed link
SHORTEST_KEY = 16  # bytes; what is shorter might be guessed from a link that somebody has
_DOMAIN = b"vibration-gateway acknowledge 1\n"
"""Signed along, so that the key can never vouch for anything else."""


class AckLink(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who may acknowledge what, until when (ns since 1970)."""

    alert_id: str
    person: str
    until_ns: int


_DECODER = msgspec.json.Decoder(AckLink)


def sign(link: AckLink, key: bytes) -> str:
    """Return a link as text for an address: its content and an HMAC-SHA256 of it."""
    content = msgspec.json.encode(link)
    return f"{_encode(content)}.{_encode(_signature(content, key))}"


def verify(text: str, key: bytes) -> AckLink | None:
    """Return the link that this text was made from with this key, or None. Whether it has expired is not looked at."""
    content, _, signature = text.partition(".")
    if len(text) > LONGEST:
        return None
    try:
        decoded, offered = _decode(content), _decode(signature)
    except ValueError:
        return None
    if not hmac.compare_digest(offered, _signature(decoded, key)):
        return None
    return _DECODER.decode(decoded)


def _signature(content: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _DOMAIN + content, "sha256")


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    decoded = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if _encode(decoded) != text:  # characters that a lenient decoder passes over
        raise ValueError("not the one spelling of it")
    return decoded
