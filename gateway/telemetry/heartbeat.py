"""The heartbeat: an address is called for as long as the gateway does its job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from gateway.config import HeartbeatSection
from gateway.outgoing.client import Client, NoAnswerError, trusted

log = structlog.get_logger(__name__)

_SECOND_NS = 10**9


async def beat(section: HeartbeatSection, problems: Callable[[], Sequence[str]]) -> None:
    """Call the address for ever, but not while the gateway has problems: who waits for the call raises the alarm."""
    failed = False
    async with Client("heartbeat", trusted()) as client:
        while True:
            if not problems():
                failed = await _call(client, section, failed_before=failed)
            await asyncio.sleep(section.every / _SECOND_NS)


async def _call(client: Client, section: HeartbeatSection, *, failed_before: bool) -> bool:
    """Call once; say so in the log when it begins to fail and when it works again. The address may be a secret."""
    try:
        answer = await client.ask(section.method, str(section.url))
        problem = "" if answer.is_success else f"it answers {answer.status}"
    except NoAnswerError as error:
        problem = str(error)
    if problem and not failed_before:
        log.warning("the heartbeat does not get through; trying again", problem=problem)
    elif failed_before and not problem:
        log.info("the heartbeat gets through again")
    return bool(problem)
