"""Asking a thread from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


async def ask(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """Await `work`, done in a thread after everything asked of it before."""

    def run() -> T:
        try:
            return work()
        except StopIteration as error:  # no future takes it: whoever awaits would do so for ever
            raise RuntimeError(f"{work} ended an iteration that is not its own") from error

    return await asyncio.get_running_loop().run_in_executor(thread, run)
