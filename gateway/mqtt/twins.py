"""Whether our two connections end each other, as they do at a broker that gives both one client id."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from gateway.mqtt.incidents import CONNECTIONS, Incidents

IN, OUT = "in", "out"
_AT_ONCE = 0.3
"""Seconds between the beginning of one connection and the end of the other that make it look like the cause. The
shortest pause before another attempt is longer."""
_WITHIN = 60.0
"""Seconds within which that happens twice, once in each direction: the first reconnects, and ends the second."""
STAND_BACK = 600.0
"""Seconds for which the second connection then leaves the first alone."""
_REASON = (
    "the broker ends each of the gateway's two connections when the other one comes: it gives both one client id, as"
    " Mosquitto does with use_username_as_clientid. Give the second one an account of its own (mqtt.publish_username)."
    " Until then alerts and the gateway's status are not published on MQTT"
)


class Twins:
    """When our two connections came and went. It may be told from any thread.

    `problem` is what is wrong, for as long as the second one stands back; it is tried again every ten minutes.
    """

    def __init__(self, incidents: Incidents, clock: Callable[[], float] = time.monotonic) -> None:
        self._incidents = incidents
        self._clock = clock
        self._came: dict[str, float] = {}
        self._went: dict[str, float] = {}
        self._coincidences: deque[float] = deque(maxlen=2)
        self.problem = ""

    def came(self, which: str) -> None:
        """Take note that the broker has accepted a connection."""
        now = self._came[which] = self._clock()
        self._compare(now, self._went.get(_other(which)))

    def went(self, which: str) -> None:
        """Take note that a connection which the broker had accepted has ended, and not because we wanted it."""
        now = self._clock()
        came = self._came.pop(which, None)
        if came is None or now - came < _AT_ONCE:  # one that does not last by itself says nothing of the other
            return
        self._went[which] = now
        self._compare(now, self._came.get(_other(which)))

    def well(self) -> None:
        """Take note that both have lived beside each other for a while."""
        self.problem = ""

    def _compare(self, now: float, then: float | None) -> None:
        if then is None or now - then > _AT_ONCE:
            return
        self._went.clear()
        self._coincidences.append(now)
        first = self._coincidences[0]
        if self.problem or (len(self._coincidences) > 1 and now - first <= _WITHIN):
            self.problem = _REASON
            self._incidents.happened(CONNECTIONS, "critical", _REASON)


def _other(which: str) -> str:
    return OUT if which == IN else IN
