"""Text for a plain SMS: the basic alphabet of GSM 03.38, of which 160 characters fit into one message.

The characters of its extension table (^ { } [ ~ ] | € and the backslash) count twice and are replaced like all others.
"""
# ruff: noqa: RUF001 - this file is about characters that look alike

from __future__ import annotations

import unicodedata

LONGEST = 160  # septets, and with the basic alphabet only, characters
BASIC = frozenset(
    "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The alphabet without its two line breaks and its escape character (3GPP TS 23.038, section 6.2.1)."""

_REPLACED = str.maketrans(
    {
        "×": "x", "÷": "/", "°": " deg", "µ": "u", "μ": "u", "σ": "sigma", "±": "+-", "·": ".", "•": "-", "⁄": "/",
        "≤": "<=", "≥": ">=", "≠": "<>", "≈": "=", "→": "->", "←": "<-", "−": "-",
        "–": "-", "—": "-", "‐": "-", "‑": "-", "‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "«": '"',
        "»": '"', "`": "'", "´": "'", "^": "'", "~": "-", "|": "/", "\\": "/", "[": "(", "]": ")", "{": "(", "}": ")",
        "€": "EUR", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i",
        "œ": "oe", "Œ": "OE",
    }
)  # fmt: skip


def to_gsm7(text: str) -> str:
    """Return `text`, of one line, in the basic alphabet: `m/s²` -> `m/s2`, `×` -> `x`, what has no likeness -> `?`."""
    return "".join(map(_fold, unicodedata.normalize("NFC", text).translate(_REPLACED))).replace("  ", " ")


def _fold(character: str) -> str:
    if character in BASIC:
        return character
    parts = unicodedata.normalize("NFKD", character).translate(_REPLACED)
    kept = "".join(part for part in parts if part in BASIC)
    return kept if kept or unicodedata.category(character).startswith("M") else "?"
