"""Tells the log: one structured line for each notification, for whoever collects logs already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from gateway.api import Notification
from gateway.config import Section
from gateway.domain.events import rfc3339
from gateway.handlers import wording
from gateway.handlers.wording import one_line

_TEXTS = ("id", "alert_id", "sensor_id", "machine", "site", "area", "location", "unit", "reason", "page_url")
_log = structlog.get_logger("gateway.handlers.log")


class LogSettings(Section):
    """There is nothing to set."""


class LogHandler:
    """Writes a line at level `warning` or `critical`, whichever the alert's severity is."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        LogSettings.model_validate(settings)
        self.name = name

    async def send(self, notification: Notification) -> str:
        """Write the line."""
        write = _log.critical if notification.severity == "critical" else _log.warning
        write(wording.summary(notification), handler=self.name, **_fields(notification))
        return "logged"


def _fields(notification: Notification) -> dict[str, Any]:
    return {
        **{name: one_line(getattr(notification, name)) for name in _TEXTS},
        "kind": notification.kind,
        "since": rfc3339(notification.opened_ns),
        "vibration_level": notification.level,  # `level` is the log's own word
        "baseline": notification.baseline,
        "ratio": notification.ratio,
    }
