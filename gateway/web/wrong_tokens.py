"""Who tries tokens: slowed down, each address by itself, and told of in the log."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address, ip_network

import structlog
from msgspec import Struct

log = structlog.get_logger(__name__)

FREE = 3
"""Wrong tokens of an address that cost nothing: somebody who mistypes one."""

FIRST_DELAY, LONGEST_DELAY = 0.25, 5.0
MOST_WAITING = 4
"""Answers of one address that may be held back at once; others are refused unread, or no delay would be a limit."""

FORGOTTEN_AFTER = 900.0
MOST_ADDRESSES = 1024
_NETWORK_BITS = 64
"""What an IPv6 user has for himself: any number of addresses, all with the same beginning."""


class _Tries(Struct):
    failures: int = 0
    last: float = 0.0
    waiting: int = 0


class WrongTokens:
    """Counts the wrong tokens of each address; bounded, the address that has been quiet for longest goes first."""

    def __init__(
        self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sleep = sleep
        self._clock = clock
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def is_refused(self, address: str) -> bool:
        """Return whether a token from there is not even looked at now."""
        tries = self._tries.get(_place(address))
        return tries is not None and tries.waiting >= MOST_WAITING

    async def failed(self, address: str) -> None:
        """Take note of a wrong token, and wait before it is said to be one: the longer, the more there were."""
        tries = self._noted(_place(address))
        if tries.failures.bit_count() == 1:  # 1, 2, 4, 8, …: no number of tries fills the log
            log.warning("a wrong token was tried over HTTP", address=address, times=tries.failures)
        if tries.failures <= FREE:
            return
        tries.waiting += 1
        try:
            await self._sleep(min(FIRST_DELAY * 2.0 ** min(tries.failures - FREE - 1, 16), LONGEST_DELAY))
        finally:
            tries.waiting -= 1

    def _noted(self, place: str) -> _Tries:
        now = self._clock()
        tries = self._tries.pop(place, None)
        if tries is None or now - tries.last > FORGOTTEN_AFTER:
            tries = _Tries()
        tries.failures += 1
        tries.last = now
        self._tries[place] = tries
        if len(self._tries) > MOST_ADDRESSES:
            self._tries.popitem(last=False)
        return tries


def _place(address: str) -> str:
    """Return what stands for everybody who can choose this address as well as another one."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return address
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is None:
        return str(ip_network((ip, _NETWORK_BITS), strict=False))
    return str(ip)
