"""The list of all sensors, encoded once for everybody who asks for it."""

from __future__ import annotations

import asyncio
import time

import msgspec

from gateway.web.encoding import compressed
from gateway.web.ports import LiveState

LONGEST_LIST = 10_000

FEW = 100
"""So many are made anew for everybody who asks, if there is anything new."""

SHARE = 0.1
"""Of the time, at most, the list of more may be made; who asks meanwhile gets the one that there is."""

_SLICE = 50
_KEPT = 4
"""Compressed lists that are kept: there are as many as limits, and the page asks for one."""


class Fleet:
    """The sensors as JSON, the worst first."""

    def __init__(self, live: LiveState) -> None:
        self._live = live
        self._rows: list[bytes] = []
        self._zipped: dict[int, bytes] = {}
        self._version = 0
        self._good_until = 0.0
        self._making = asyncio.Lock()

    async def worst(self, limit: int, *, zipped: bool) -> bytes:
        """Return the `limit` worst sensors as a list in JSON; `zipped` where they are many, as gzip."""
        async with self._making:
            if self._version != self._live.version and time.monotonic() >= self._good_until:
                await self._make()
            rows = self._rows
            if zipped and len(rows) > FEW:
                return await self._compressed(rows, limit)
        return _joined(rows, limit)

    async def _compressed(self, rows: list[bytes], limit: int) -> bytes:
        limit = min(limit, len(rows))
        if limit not in self._zipped:
            if len(self._zipped) == _KEPT:
                self._zipped.clear()
            self._zipped[limit] = await compressed(_joined(rows, limit))
        return self._zipped[limit]

    async def _make(self) -> None:
        """Make the list by slices, so that others have their turn in between."""
        self._version, rows, busy = self._live.version, [], 0.0
        began = time.perf_counter()
        ids = self._live.worst(LONGEST_LIST)
        for first in range(0, len(ids), _SLICE):
            found = map(self._live.sensor, ids[first : first + _SLICE])
            rows += [msgspec.json.encode(each) for each in found if each is not None]  # one may be gone by now
            busy += time.perf_counter() - began
            await asyncio.sleep(0)
            began = time.perf_counter()
        self._rows, self._zipped = rows, {}
        self._good_until = time.monotonic() + (busy / SHARE if len(rows) > FEW else 0.0)


def _joined(rows: list[bytes], limit: int) -> bytes:
    return b"[" + b",".join(rows[:limit]) + b"]"
