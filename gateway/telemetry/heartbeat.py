"""The heartbeat: an address is called for as long as the gateway does its job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import httpx
import structlog

from gateway.config import HeartbeatSection

log = structlog.get_logger(__name__)

_TIMEOUT = 10.0
_SECOND_NS = 10**9


async def beat(section: HeartbeatSection, problems: Callable[[], Sequence[str]]) -> None:
    """Call the address for ever, but not while the gateway has problems: who waits for the call raises the alarm."""
    failed = False
    async with httpx.AsyncClient(timeout=_TIMEOUT) as client:
        while True:
            if not problems():
                failed = await _call(client, section, failed_before=failed)
            await asyncio.sleep(section.every / _SECOND_NS)


async def _call(client: httpx.AsyncClient, section: HeartbeatSection, *, failed_before: bool) -> bool:
    """Call once; say so in the log when it begins to fail and when it works again. The address may be a secret."""
    try:
        answer = await client.request(section.method, str(section.url))
        problem = "" if answer.is_success else f"it answers {answer.status_code}"
    except httpx.HTTPError as error:
        problem = type(error).__name__
    if problem and not failed_before:
        log.warning("the heartbeat does not get through; trying again", problem=problem)
    elif failed_before and not problem:
        log.info("the heartbeat gets through again")
    return bool(problem)
