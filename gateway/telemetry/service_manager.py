"""What systemd is told (sd_notify(3)): that the gateway has started, and, as long as ingest turns, that it lives."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)

_SECOND = 1_000_000  # microseconds


def notify(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Send a state, such as READY=1, to the service manager; to nobody where there is none."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        try:
            out.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            log.warning(
                "the service manager cannot be told; it may start the gateway anew", state=state, error=str(error)
            )


def watchdog_seconds(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return within how many seconds the service manager wants to hear of this process; None if it does not."""
    wanted, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not wanted.isdecimal() or int(wanted) == 0 or process not in {"", str(os.getpid())}:
        return None
    return int(wanted) / _SECOND


class Watchdog:
    """Tells the service manager that we live, not more often than it needs to hear it."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        within = watchdog_seconds(environment)
        self._every = None if within is None else within / 4
        self._last = float("-inf")

    def feed(self) -> None:
        """Say that we live; call it where nothing of what matters can hang unseen."""
        now = asyncio.get_running_loop().time()
        if self._every is not None and now - self._last >= self._every:
            self._last = now
            notify("WATCHDOG=1", self._environment)
