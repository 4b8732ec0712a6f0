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
    before = ""
    async with Client("heartbeat", trusted()) as client:
        while True:
            if not problems():
                problem = await call(client, section)
                _tell(problem, before)
                before = problem
            await asyncio.sleep(section.every / _SECOND_NS)


async def call(client: Client, section: HeartbeatSection) -> str:
    """Call once; return why it did not get through, without the address, which may be a secret."""
    try:
        answer = await client.ask(section.method, str(section.url))
    except NoAnswerError as error:
        return str(error)
    return "" if answer.is_success else f"it answers {answer.status}"


def _tell(problem: str, before: str) -> None:
    """Say in the log when it begins to fail, and when it gets through again."""
    if problem and not before:
        log.warning("the heartbeat does not get through; trying again", problem=problem)
    elif before and not problem:
        log.info("the heartbeat gets through again")
