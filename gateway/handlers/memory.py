"""Keeps notifications in memory: for tests, for the demo, and as the simplest handler that keeps the contract."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from gateway.api import DeliveryError
from gateway.config import Section
from gateway.domain.notification.model import Notification

KEPT = 1000  # notifications


class MemorySettings(Section):
    """There is nothing to set."""


class MemoryHandler:
    """Keeps the last 1000 notifications in `sent`. While `failure` is set, it raises that instead."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        MemorySettings.model_validate(settings)
        self.name = name
        self.sent: deque[Notification] = deque(maxlen=KEPT)
        self.failure: DeliveryError | None = None

    async def send(self, notification: Notification) -> str:
        """Keep the notification. Raises `failure`, if there is one."""
        if self.failure is not None:
            raise self.failure
        self.sent.append(notification)
        return "kept in memory"
