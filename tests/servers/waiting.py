import asyncio
import time
from collections.abc import Callable

INTERVAL = 0.005
"""Seconds between two looks at least. A look that takes longer is followed by a pause as long: who waits shall not keep
busy what it waits for."""


def until(condition: Callable[[], object], timeout: float, what: str) -> None:
    """Poll until the condition holds; raise AssertionError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    began = time.monotonic()
    while not condition():
        ended = time.monotonic()
        if ended > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(max(INTERVAL, ended - began))
        began = time.monotonic()


async def until_async(condition: Callable[[], object], timeout: float, what: str) -> None:  # noqa: ASYNC109 - polls, cancels nothing
    """Do the same as `until` and let the event loop run in between."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        await asyncio.sleep(INTERVAL)
