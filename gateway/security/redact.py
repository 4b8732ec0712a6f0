"""Text without the secrets that may have got into it."""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST_SECRET = 4  # anything shorter is in every text by chance


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every secret that it quotes replaced, the longest first."""
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text
