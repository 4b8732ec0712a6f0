"""The alert about certificates that are about to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from gateway.config import Config
from gateway.domain.model.events import Severity
from gateway.security.certificates import ending

SUBJECT = "certificates"
_LOOK_EVERY = 6 * 3600.0


async def watch_certificates(
    config: Config, report: Callable[[str, str | None, Severity], Awaitable[None]], look_every: float = _LOOK_EVERY
) -> None:
    """Report which certificates end soon or have ended, for as long as that is so."""
    while True:
        found = await asyncio.to_thread(ending, config, datetime.now(UTC))
        await report(SUBJECT, "; ".join(found) or None, "warning")
        await asyncio.sleep(look_every)
