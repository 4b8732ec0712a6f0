"""What the gateway wants retained at the broker, and where the broker is found to have something else."""

from __future__ import annotations

from typing import NamedTuple

MAX_TOPICS = 10_000
"""Topics that are watched over; of more, the ones that were published first are not any more."""
_PATIENCE = 2.0
"""Seconds that the broker has to hand back what it was given, and at first to repeat what it has retained."""
_LONGEST_PAUSE = 600.0
_FORGIVEN_AFTER = 3600.0
"""Seconds without a difference after which the next one is put right at once again."""
SUSPICIOUS = 2
"""Attempts in vain, or undone by somebody, after which it is told."""


class Wanted(NamedTuple):
    """What a topic is to have; `may_go` if anybody may delete it, as it says that nothing is open any more."""

    payload: bytes
    may_go: bool


class Difference(NamedTuple):
    """How often a topic was put right lately, and when it is next."""

    attempts: int
    due: float


class Retained:
    """What is wanted by topic. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._wanted: dict[str, Wanted] = {}
        self._differs: dict[str, Difference] = {}
        self._mended: dict[str, Difference] = {}

    def want(self, topic: str, payload: bytes, now: float, *, may_go: bool = False) -> None:
        """Let this be what the broker should have; it is thought to differ until it is heard."""
        self._wanted.pop(topic, None)
        self._wanted[topic] = Wanted(payload, may_go)
        if len(self._wanted) > MAX_TOPICS:
            self.forget(next(iter(self._wanted)))
        self._differ(topic, now)

    def doubt(self, now: float) -> None:
        """Think nothing to be there until it is heard: the broker may be another one, or have lost what it had."""
        for topic in self._wanted:
            self._differ(topic, now)

    def believe(self, topic: str) -> None:
        """Take what was published on a topic for being there: the broker does not let us read it."""
        self._differs.pop(topic, None)

    def forget(self, topic: str) -> None:
        """Watch over a topic no more."""
        self._wanted.pop(topic, None)
        self._differs.pop(topic, None)
        self._mended.pop(topic, None)

    def hear(self, topic: str, payload: bytes, now: float) -> bool:
        """Take what the broker has on a topic; tell whether somebody else has overwritten what was right."""
        wanted = self._wanted.get(topic)
        if wanted is None:
            return False
        if payload == wanted.payload:
            found = self._differs.pop(topic, None)
            if found is not None and found.attempts:
                self._mended[topic] = found
            return False
        if not payload and wanted.may_go:
            self.forget(topic)
            return False
        was_right = topic not in self._differs
        self._differ(topic, now)
        return was_right

    def due(self, now: float) -> list[tuple[str, bytes, int]]:
        """Return what is to be published again, and how often it has been already: each time later than before."""
        late = [(topic, found.attempts) for topic, found in self._differs.items() if now >= found.due]
        for topic, attempts in late:
            pause = min(_PATIENCE * 2.0 ** min(attempts + 1, 16), _LONGEST_PAUSE)
            self._differs[topic] = Difference(attempts + 1, now + pause)
        return [(topic, self._wanted[topic].payload, attempts) for topic, attempts in late]

    def _differ(self, topic: str, now: float) -> None:
        if topic in self._differs:
            return
        before = self._mended.pop(topic, None)
        if before is None or now - before.due > _FORGIVEN_AFTER:
            self._differs[topic] = Difference(0, now + _PATIENCE)
        else:
            self._differs[topic] = Difference(before.attempts, max(now + _PATIENCE, before.due))
