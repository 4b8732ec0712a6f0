"""Tells people by SMS, through Twilio's API or one of the same form."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Annotated, Any
from urllib.parse import urlencode

import httpx
from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from gateway.api import Context, DeliveryError
from gateway.config import Section
from gateway.config.values import is_loopback
from gateway.domain.notification.model import Notification
from gateway.handlers.recipients import Outcome, Receipts, conclude
from gateway.handlers.text import wording
from gateway.handlers.text.gsm7 import LONGEST, to_gsm7
from gateway.handlers.text.templates import Template, TemplateText
from gateway.handlers.text.wording import answer
from gateway.outgoing.client import Answer, Client, NoAnswerError, trusted

LAST_PORT = 65535
SHORTEST_PIECE = 20  # characters; less of a sentence says nothing

_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
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
        self._trust = trusted()  # once: nothing else happens meanwhile
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
        async with self._client() as client:
            outcomes = await asyncio.gather(
                *(self._tell(client, notification, to, self._body(notification, to)) for to in self._recipients)
            )
        return conclude(outcomes)

    async def preview(self, notification: Notification) -> dict[str, str]:
        """Return the text of the message."""
        return {"text": self._body(notification, self._recipients[0])}

    def _body(self, notification: Notification, to: str) -> str:
        link = ""
        if notification.kind in wording.OPEN and not notification.grouped:
            link = self._context.alert_url(notification.alert_id, notification.severity, to)
        return compose(notification, self._context.timezone, self._settings.text, link)

    def _client(self) -> Client:
        # a plant's way out is often a proxy from the environment; plain http must not leave this machine by one
        use_environment = self._settings.base_url.startswith("https:")
        headers = {"Accept": "application/json", "Authorization": f"Basic {self._credentials()}"}
        return Client("sms", self._trust, headers=headers | _FORM, use_environment=use_environment)

    def _credentials(self) -> str:
        token = self._settings.auth_token.get_secret_value()
        return base64.b64encode(f"{self._settings.account_sid}:{token}".encode()).decode()

    async def _tell(self, client: Client, notification: Notification, to: str, body: str) -> Outcome:
        known = self._receipts.find(notification.id, to)
        if known is not None:
            return known
        outcome = await self._post(client, {"From": self._settings.from_, "To": to, "Body": body})
        if isinstance(outcome, str):
            self._receipts.keep(notification.id, to, outcome)
        return outcome

    async def _post(self, client: Client, form: dict[str, str]) -> Outcome:
        """Return the receipt or what went wrong: returned, since the other recipients are told as well."""
        url = f"{self._settings.base_url}/2010-04-01/Accounts/{self._settings.account_sid}/Messages.json"
        try:
            reply = await client.ask("POST", url, urlencode(form).encode())
        except NoAnswerError as error:
            said = self._said(f"{form['To']}: {error}")
            return DeliveryError(said, delivered_maybe=error.sent, needs_person=error.is_untrusted)
        return self._outcome(form["To"], reply)

    def _outcome(self, to: str, reply: Answer) -> Outcome:
        named = ("sid", "status") if reply.is_success else ("code", "message")
        found = reply.json()
        words = " ".join(str(found[key]) for key in named if found.get(key))
        if reply.is_success and reply.is_page:
            return DeliveryError(f"{to}: a web page answers instead of the API at base_url")
        if reply.is_success:
            return self._said(f"{to}: {words or reply.status}")
        said = self._said(f"{to}: HTTP {reply.status} {words}")
        return DeliveryError(said, retry=reply.may_pass, retry_after=reply.retry_after)

    def _said(self, text: str) -> str:
        return answer(text, [self._settings.auth_token.get_secret_value(), self._credentials()])


def compose(notification: Notification, zone: tzinfo, template: Template | None = None, own_link: str = "") -> str:
    """Return the message in the basic alphabet of GSM 03.38, one SMS long, with what matters most in front.

    The link, `own_link` where the recipient has one, is whole or left out.
    Details follow for as long as there is room; the last one is cut at a word.
    """
    link = wording.safe_url(own_link) or wording.link(notification)
    values = {**wording.fields(notification, zone), "link": link}
    own = "" if template is None else wording.one_line(template.render(values))
    if own:
        return to_gsm7(own)[:LONGEST]
    text = to_gsm7(wording.summary(notification, zone))[:LONGEST]
    ending = f" {link}" if link and to_gsm7(link) == link and len(text) + len(link) < LONGEST else ""
    for detail in map(to_gsm7, [*wording.items(notification, zone), *wording.details(notification)]):
        room = LONGEST - len(text) - len(ending) - len(". ")
        if len(detail) > room:
            piece = detail[: max(room - len("..."), 0)].rpartition(" ")[0].rstrip(",;:")
            return text + (f". {piece}..." if len(piece) >= SHORTEST_PIECE else "") + ending
        text += f". {detail}"
    return text + ending
