"""Tells over one of the 130 channels of Apprise: chat rooms, push services, pagers. It needs the extra of that name."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field, SecretStr

from gateway.api import Context, DeliveryError
from gateway.config import Section
from gateway.domain.notification.model import Notification
from gateway.handlers.recipients import Outcome, Receipts, conclude
from gateway.handlers.text import wording
from gateway.handlers.text.templates import Template, TemplateText
from gateway.handlers.text.wording import answer, one_line

_KINDS = {"cleared": "success", "notice": "info", "test": "info"}


class AppriseSettings(Section):
    """A table `[handlers.NAME]` with `type = "apprise"`. Every address holds a secret, so none is ever shown."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    urls: Annotated[list[SecretStr], Field(min_length=1)]
    title: TemplateText = Template("{summary}")
    body: TemplateText = Template("{details}\n{lead}\n{link}")


class AppriseHandler:
    """Hands every notification to each address. Apprise tells only whether that worked, so every failure is retried."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._settings = AppriseSettings.model_validate(settings)
        self._channels = [_channel(number, url) for number, url in enumerate(self._settings.urls)]
        self._receipts = Receipts()
        self._context = Context()

    def attach(self, context: Context) -> None:
        """Take the time zone."""
        self._context = context

    async def send(self, notification: Notification) -> str:
        """Hand it over and return which channels took it. Raises DeliveryError if one of them did not."""
        outcomes = [await self._tell(notification, number) for number in range(len(self._channels))]
        return conclude(outcomes)

    async def preview(self, notification: Notification) -> dict[str, str]:
        """Return what would be sent."""
        values = wording.fields(notification, self._context.timezone)
        lines = [*self._settings.body.render(values).splitlines(), *wording.items(notification, self._context.timezone)]
        body = "\n".join(filter(None, map(one_line, lines)))
        return {"title": one_line(self._settings.title.render(values)), "text": body or values["summary"]}

    async def _tell(self, notification: Notification, number: int) -> Outcome:
        known = self._receipts.find(notification.id, str(number))
        if known is not None:
            return known
        texts, channel = await self.preview(notification), self._channels[number]
        kind = _KINDS.get(notification.kind) or ("failure" if notification.severity == "critical" else "warning")
        result = await channel.async_notify(
            body=texts["text"], title=texts["title"], notify_type=kind, body_format="text", log_level=logging.WARNING
        )
        name = f"urls.{number} ({channel[0].service_name})"
        if not result:
            said = "; ".join(entry.message for entry in result.logs())
            return DeliveryError(self._said(f"{name}: {said or 'failed'}"))
        self._receipts.keep(notification.id, str(number), f"{name}: taken")
        return f"{name}: taken"

    def _said(self, text: str) -> str:
        """Return a text without what is secret in an address: every part of one may be."""
        urls = [url.get_secret_value() for url in self._settings.urls]
        return answer(text, [part for url in urls for part in (url, *re.split(r"[/:@?&=]+", url)[1:])])


def _channel(number: int, url: SecretStr) -> Any:
    """Return what Apprise makes of an address. Raises ValueError if it knows no such address."""
    import apprise  # noqa: PLC0415 - 19 MB, only for those who have it

    logging.getLogger("apprise").propagate = False  # what it says belongs to one message, and may hold addresses
    channel = apprise.Apprise()
    if not channel.add(url.get_secret_value()):
        raise ValueError(f"urls.{number} is not an address that Apprise knows")
    return channel
