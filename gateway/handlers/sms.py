"""Tells people by SMS, through Twilio's API or one of the same form."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from gateway.api import Context, DeliveryError
from gateway.config import Section
from gateway.config.values import is_loopback
from gateway.domain.notification.model import Notification
from gateway.handlers.http import replies
from gateway.handlers.http.address_guard import is_bad_certificate
from gateway.handlers.recipients import Outcome, Receipts, conclude
from gateway.handlers.text import wording
from gateway.handlers.text.gsm7 import LONGEST, to_gsm7
from gateway.handlers.text.templates import Template, TemplateText
from gateway.handlers.text.wording import answer

PATIENCE = 60.0  # seconds for each step; the handler's `timeout`, which the gateway minds, is usually shorter
LAST_PORT = 65535
SHORTEST_PIECE = 20  # characters; less of a sentence says nothing

_PHONE_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")  # E.164


def _base_url(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if not url.host or url.userinfo or url.query or url.fragment or (url.port or 0) > LAST_PORT:
        raise ValueError("must be an address such as https://api.twilio.com")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(url.host)):
        raise ValueError("must begin with https://, or anybody on the way reads auth_token (http only on this machine)")
    return text.rstrip("/")


def _phone_number(text: str) -> str:
    if not _PHONE_NUMBER.fullmatch(text):
        raise ValueError("must be a phone number with its country, such as +46700000000")
    return text


PhoneNumber = Annotated[str, AfterValidator(_phone_number)]


class SmsSettings(Section):
    """A table `[handlers.NAME]` with `type = "sms"`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.twilio.com"
    account_sid: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    auth_token: Annotated[SecretStr, Field(min_length=1)]
    from_: Annotated[str, Field(alias="from", pattern=r"^[+A-Za-z0-9 ]{1,40}$")]  # a number, or a registered name
    to: Annotated[list[PhoneNumber], Field(min_length=1)]
    text: TemplateText | None = None  # instead of what `compose` finds most important


class SmsHandler:
    """Sends one message to each recipient, all at the same time."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._settings = SmsSettings.model_validate(settings)
        self._trusted = httpx.create_ssl_context()  # once: it takes 25 ms, in which nothing else would happen
        self._recipients = list(dict.fromkeys(self._settings.to))
        self._receipts = Receipts()
        self._context = Context()

    def attach(self, context: Context) -> None:
        """Take the time zone."""
        self._context = context

    async def send(self, notification: Notification) -> str:
        """Return the message's id and state for each recipient; those refused for good are named as well.

        Raises DeliveryError: `retry` if somebody may be reached later (no connection, 429, 5xx), none if everybody is
        refused for good; `delivered_maybe` if a request got no answer.
        """
        body = (await self.preview(notification))["text"]
        async with self._client() as client:
            outcomes = await asyncio.gather(*(self._tell(client, notification, to, body) for to in self._recipients))
        return conclude(outcomes)

    async def preview(self, notification: Notification) -> dict[str, str]:
        """Return the text of the message."""
        return {"text": compose(notification, self._context.timezone, self._settings.text)}

    def _client(self) -> httpx.AsyncClient:
        settings = self._settings
        return httpx.AsyncClient(
            auth=(settings.account_sid, settings.auth_token.get_secret_value()),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},  # so that its size is what we count
            follow_redirects=False,
            timeout=PATIENCE,
            verify=self._trusted,
            # a plant's way out is often a proxy from the environment; plain http must not leave this machine by one
            trust_env=settings.base_url.startswith("https:"),
        )

    async def _tell(self, client: httpx.AsyncClient, notification: Notification, to: str, body: str) -> Outcome:
        known = self._receipts.find(notification.id, to)
        if known is not None:
            return known
        outcome = await self._post(client, {"From": self._settings.from_, "To": to, "Body": body})
        if isinstance(outcome, str):
            self._receipts.keep(notification.id, to, outcome)
        return outcome

    async def _post(self, client: httpx.AsyncClient, form: dict[str, str]) -> Outcome:
        """Return the receipt or what went wrong: returned, not raised, to cut it off from what httpx raised."""
        url = f"{self._settings.base_url}/2010-04-01/Accounts/{self._settings.account_sid}/Messages.json"
        try:
            async with client.stream("POST", url, data=form) as response:
                reply = await replies.read_json(response)
        except httpx.HTTPError as error:
            said = self._said(f"{form['To']}: {error or type(error).__name__}")
            return DeliveryError(
                said, retry=not is_bad_certificate(error), delivered_maybe=not isinstance(error, replies.NOT_SENT)
            )
        if response.is_success:
            words = [str(reply[key]) for key in ("sid", "status") if reply.get(key)]
            return self._said(f"{form['To']}: {' '.join(words) or response.status_code}")
        words = [str(reply[key]) for key in ("code", "message") if reply.get(key)]
        return DeliveryError(
            self._said(f"{form['To']}: HTTP {response.status_code} {' '.join(words)}"),
            retry=replies.may_pass(response.status_code),
            retry_after=replies.retry_after(response),
        )

    def _said(self, text: str) -> str:
        token = self._settings.auth_token.get_secret_value()
        credentials = base64.b64encode(f"{self._settings.account_sid}:{token}".encode()).decode()
        return answer(text, [token, credentials])


def compose(notification: Notification, zone: tzinfo, template: Template | None = None) -> str:
    """Return the message in the basic alphabet of GSM 03.38, one SMS long, with what matters most in front.

    The link is whole or left out. Details follow for as long as there is room; the last one is cut at a word.
    """
    own = "" if template is None else wording.one_line(template.render(wording.fields(notification, zone)))
    if own:
        return to_gsm7(own)[:LONGEST]
    text = to_gsm7(wording.summary(notification, zone))[:LONGEST]
    link = wording.link(notification)
    ending = f" {link}" if link and to_gsm7(link) == link and len(text) + len(link) < LONGEST else ""
    for detail in map(to_gsm7, [*wording.items(notification, zone), *wording.details(notification)]):
        room = LONGEST - len(text) - len(ending) - len(". ")
        if len(detail) > room:
            piece = detail[: max(room - len("..."), 0)].rpartition(" ")[0].rstrip(",;:")
            return text + (f". {piece}..." if len(piece) >= SHORTEST_PIECE else "") + ending
        text += f". {detail}"
    return text + ending
