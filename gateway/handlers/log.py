"""Tells the log: one readable line for each notification, in the gateway's own log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from pydantic import ConfigDict

from gateway.api import Context
from gateway.config import Section
from gateway.domain.notification.model import Notification
from gateway.handlers.text import wording
from gateway.handlers.text.templates import Template, TemplateText

_log = structlog.get_logger("gateway.handlers.log")


class LogSettings(Section):
    """A table `[handlers.NAME]` with `type = "log"`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    text: TemplateText = Template("{summary}. {details}")


class LogHandler:
    """Writes a line at level `warning` or `critical`, whichever the alert's severity is."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._text = LogSettings.model_validate(settings).text
        self._context = Context()

    def attach(self, context: Context) -> None:
        """Take the time zone."""
        self._context = context

    async def send(self, notification: Notification) -> str:
        """Write the line."""
        write = _log.critical if notification.severity == "critical" else _log.warning
        write((await self.preview(notification))["text"], alert=wording.one_line(notification.alert_id))
        return "logged"

    async def preview(self, notification: Notification) -> dict[str, str]:
        """Return the line."""
        return {"text": wording.one_line(self._text.render(wording.fields(notification, self._context.timezone)))}
