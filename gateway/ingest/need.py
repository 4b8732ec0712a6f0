"""When messages that have been judged must be committed, so that they can be acknowledged.

Each commit writes whole pages, however little is in it: waiting a moment is what an SD card survives. But a broker
sends only so many messages before it waits for an acknowledgement, and nothing in MQTT says how many that are: ours
(`mqtt.receive_maximum`), unless it has a limit of its own, such as EMQX's 32 or the 20 of a broker for MQTT 3.1.1.
Where it shows one, half of that is waited for.
"""

from __future__ import annotations

_PROMPT = 0.02
"""Seconds after an acknowledgement. A message that is there by then has waited for it, or there are very many."""
_CERTAIN = 4
"""Commits in a row that tell the same."""
_SILENT, _MANY = 0.05, 10
"""Seconds without a message after so many: as likely as not the broker waits for us."""


class Need:
    """Counts what is under way: taken and not acknowledged. Times are seconds of one clock that never goes back."""

    def __init__(self, within: float, allowed: int) -> None:
        self._within = within
        self._allowed = self._found = allowed
        self._generation = 0
        self._count = self._last = self._times = self._idle = 0
        self._since = self._newest = 0.0
        self._acknowledged_at, self._was_at_limit, self._was_silent = float("-inf"), False, False

    @property
    def due_at(self) -> float | None:
        """When to commit if nothing comes any more; None while there is nothing to commit."""
        if not self._count:
            return None
        latest = self._since + self._within
        return min(latest, self._newest + _SILENT) if self._count >= _MANY else latest

    def take(self, count: int, generation: int, now: float) -> None:
        """Take note of messages that have come, by a connection of this generation."""
        if generation != self._generation:
            self._generation, self._found, self._times, self._last = generation, self._allowed, 0, 0
        elif self._was_at_limit or self._was_silent:
            self._learn(prompt=now - self._acknowledged_at < _PROMPT)
        self._was_at_limit = self._was_silent = False
        if not self._count:
            self._since = now
        self._count += count
        self._newest = now
        if self._count > self._found:
            self._found = self._allowed

    def is_due(self, now: float) -> bool:
        """Tell whether to commit now: half of what the broker allows is under way, or it is time."""
        due_at = self.due_at
        return due_at is not None and (self._is_at_limit() or now >= due_at)

    def committed(self, now: float) -> None:
        """Take note that everything has been acknowledged."""
        self._was_at_limit = self._found < self._allowed and self._is_at_limit()
        self._was_silent = bool(self._count) and not self._was_at_limit and self._is_silent(now)
        if self._was_silent:
            self._times = self._times + 1 if self._count == self._last else 1
            self._last = self._count
        self._count, self._acknowledged_at = 0, now

    def _learn(self, *, prompt: bool) -> None:
        """Conclude from how soon the next message came after an acknowledgement."""
        if self._was_at_limit:
            self._idle = 0 if prompt else self._idle + 1
            if self._idle >= _CERTAIN:  # it was not waiting
                self._found, self._idle = self._allowed, 0
        elif not prompt:
            self._times = 0
        elif self._times >= _CERTAIN:
            self._found = min(self._last, self._allowed)

    def _is_at_limit(self) -> bool:
        return 2 * self._count >= self._found

    def _is_silent(self, now: float) -> bool:
        return now - self._newest >= min(_SILENT, self._within) / 2
