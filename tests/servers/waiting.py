import asyncio
import time
from collections.abc import Callable

INTERVAL = 0.005


def until(condition: Callable[[], object], timeout: float, what: str) -> None:
    """Poll until the condition holds; raise AssertionError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(INTERVAL)


async def until_async(condition: Callable[[], object], timeout: float, what: str) -> None:  # noqa: ASYNC109 - polls, cancels nothing
    """Do the same as `until` and let the event loop run in between."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        await asyncio.sleep(INTERVAL)
