"""How long to let messages gather for a commit, when the broker may allow fewer under way than we ask for."""

from __future__ import annotations

_PACE, _LONGEST_PACE = 5e-6, 0.01
"""Seconds between two batches for each message that may be under way, and at most: 10 ms for 2000 of them. A commit
for each message would cost many times what the message does, and wear the disk. At rest nothing waits."""
_LEAST = 10
"""Messages. Brokers allow no fewer, and so few in a batch are more likely all there were."""
_CERTAIN = 4
"""Batches in a row that ended in silence at the same number: the broker waits for our acknowledgement."""


class Window:
    """The number of messages under way at which the broker stops: ours, until it shows that it has one of its own.

    Nothing in MQTT says it: EMQX sends 32 (`mqtt.max_inflight`), whatever we would take. Waiting longer than that many
    messages need would only have the broker wait, too.
    """

    def __init__(self, allowed: int) -> None:
        self._allowed = self._found = allowed
        self._last = self._times = 0

    @property
    def pace(self) -> float:
        """Seconds between two batches."""
        return min(_PACE * self._found, _LONGEST_PACE)

    def take(self, count: int, *, ended_in_silence: bool) -> None:
        """Take note of how many messages a batch has, and whether they had stopped coming by then."""
        if count > self._found:
            self._found = self._allowed
        if not ended_in_silence or count < _LEAST:
            return
        self._times = self._times + 1 if count == self._last else 1
        self._last = count
        if self._times >= _CERTAIN:
            self._found = min(count, self._allowed)
