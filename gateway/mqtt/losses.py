"""What the broker had for us and we shall never get: the session that is gone, and what it had to drop."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import msgspec
from msgspec import Struct

from gateway.mqtt.incidents import QUEUE, SESSION, Incidents
from gateway.mqtt.twins import IN, Twins

DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"
"""Mosquitto's count, for all of its clients and since its start; retained, brought up to date every ten seconds."""
_LONGEST = 20  # digits
_UP_TO_DATE_WITHIN = 15.0
"""Seconds after which the broker's count has what was dropped before we came: the first that we hear may be older."""

_WHY_GONE = (
    "it restarted without persistence, the session expired (mqtt.session_expiry), or another client with the client id"
    " {client_id!r} has ended it"
)


class Known(Struct, frozen=True):
    """What is noted in the journal: at which broker there is a session of which client id, and what it had dropped."""

    session: str = ""
    dropped: int | None = None


def recall(note: str | None, session: str) -> Known:
    """Return what was noted of this session; nothing of another one, or by a program that noted something else."""
    with suppress(msgspec.MsgspecError):
        found = msgspec.json.decode(note or "{}", type=Known)
        if found.session == session:
            return found
    return Known()


class Session:
    """Whether the broker has kept our session. `is_known` once it has one; `lasts` if it is to survive a connection.

    `is_older` than the gateway's journal if the broker had one that the journal knows nothing of. It tells `twins` when
    the connection comes and goes.
    """

    def __init__(
        self,
        client_id: str,
        incidents: Incidents,
        *,
        is_known: bool = False,
        lasts: bool = True,
        twins: Twins | None = None,
    ) -> None:
        self._client_id = client_id
        self._incidents = incidents
        self._lasts = lasts
        self.is_known = is_known
        self.is_older = False
        self._was_taken = False
        self._twins = twins or Twins(incidents)

    def connected(self, *, present: bool) -> None:
        """Take note that the broker has accepted the connection, and whether the session was there."""
        self._twins.came(IN)
        self.is_older |= present and not self.is_known
        if self._lasts and self.is_known and not (present or self._was_taken):
            why = _WHY_GONE.format(client_id=self._client_id)
            self._incidents.happened(
                SESSION,
                "critical",
                f"the broker no longer has this gateway's session, and what it had queued for it is lost: {why}",
            )
        self.is_known, self._was_taken = True, False

    def ended(self) -> None:
        """Take note that the connection has ended, and not because we wanted it."""
        self._twins.went(IN)

    def suspect(self, suspicion: str) -> None:
        """Take note that something is wrong with it that has another connection as its likeliest cause."""
        self._incidents.happened(SESSION, "warning", f"the connection to the broker does not last{suspicion}")

    def taken(self) -> None:
        """Take note that the broker has given our session to another connection with our client id."""
        self._was_taken = True
        self._incidents.happened(
            SESSION,
            "critical",
            f"another client with the client id {self._client_id!r} has taken this gateway's session, and what was"
            " queued in it may be lost; see docs/brokers.md for a broker that lets nobody do so",
        )


class Dropped:
    """How many messages the broker has dropped: its `count`, at first the one that an earlier process has noted."""

    def __init__(
        self, incidents: Incidents, count: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._incidents = incidents
        self.count = count
        self._sum = 0
        self._clock = clock
        self._connected_at = clock()

    def connected(self) -> None:
        """Take note that we were away: what has been dropped since the last count may well have been for us."""
        self._connected_at = self._clock()

    def hear(self, payload: bytes) -> None:
        """Take the broker's count; what is no number is none."""
        if not payload.isdigit() or len(payload) > _LONGEST:
            return
        count, last = int(payload), self.count
        self.count = count
        if last is not None and count != last:  # of those before we first listened nobody knows when they were
            away = self._clock() - self._connected_at < _UP_TO_DATE_WITHIN
            self._tell(count - last if count > last else count, away=away)

    def _tell(self, more: int, *, away: bool) -> None:
        if not more:  # the broker has been started anew
            return
        self._sum += more
        count = f"{self._sum} messages since the gateway's start, or while it was away"
        text = f"the broker has dropped {count} ({DROPPED_TOPIC} counts those of all its clients)"
        self._incidents.add(SESSION, text)
        where = "while this gateway was away, so readings are probably lost" if away else "for some client"
        self._incidents.happened(QUEUE, "critical" if away else "warning", f"{text}, the last of them {where}")
