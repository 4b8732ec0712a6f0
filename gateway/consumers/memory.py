"""Keeps rows in memory: for tests, and as the simplest consumer that keeps the whole contract."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.api import ConsumerContext, DeliveryError, EventRecord, Refused, StoredReading, Taken, Wants
from gateway.config import Section

KEPT = 1000  # readings, and as many facts


class MemorySettings(Section):
    """There is nothing to set."""


class MemoryConsumer:
    """Keeps the last 1000 readings and facts. While `failure` is set, it raises that; it does not take `poison`."""

    wants = Wants()

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        MemorySettings.model_validate(settings)
        self.name = name
        self.readings: deque[StoredReading] = deque(maxlen=KEPT)
        self.facts: deque[EventRecord] = deque(maxlen=KEPT)
        self.poison: set[int] = set()
        self.failure: DeliveryError | None = None
        self.context: ConsumerContext | None = None

    async def start(self, context: ConsumerContext) -> None:
        """Keep what the gateway offers."""
        self.context = context

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Taken:
        """Keep everything but the poison. Raises `failure`, if there is one."""
        if self.failure is not None:
            raise self.failure
        self.readings += [one for one in readings if one.seq not in self.poison]
        self.facts += [one for one in entries if one.seq not in self.poison]
        numbers = [one.seq for one in readings] + [one.seq for one in entries]
        return Taken([Refused(seq, "poison") for seq in numbers if seq in self.poison])

    async def close(self) -> None:
        """Let the gateway's offers go; what was kept stays."""
        self.context = None
