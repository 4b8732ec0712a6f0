"""Tells people by SMS, through Twilio's API or one of the same form."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Annotated, Any

import httpx
from pydantic import AfterValidator, Field, SecretStr

from gateway.api import DeliveryError, Notification
from gateway.config import Section
from gateway.handlers import wording
from gateway.handlers.gsm7 import LONGEST, to_gsm7
from gateway.handlers.network import is_bad_certificate, is_loopback
from gateway.handlers.wording import answer

PATIENCE = 60.0  # seconds for each step; the handler's `timeout`, which the gateway minds, is usually shorter
LAST_PORT = 65535
LARGEST_REPLY = 65_536  # bytes
LONGEST_WAIT = 3600.0  # seconds; what a Retry-After may ask for
REMEMBERED = 1000  # accepted messages, so that a retry for one recipient does not tell another one twice

_PHONE_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")  # E.164
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


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

    base_url: Annotated[str, AfterValidator(_base_url)] = "https://api.twilio.com"
    account_sid: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    auth_token: Annotated[SecretStr, Field(min_length=1)]
    from_: Annotated[str, Field(alias="from", pattern=r"^[+A-Za-z0-9 ]{1,40}$")]  # a number, or a registered name
    to: Annotated[list[PhoneNumber], Field(min_length=1)]


class SmsHandler:
    """Sends one message to each recipient, all at the same time."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._settings = SmsSettings.model_validate(settings)
        self._trusted = httpx.create_ssl_context()  # once: it takes 25 ms, in which nothing else would happen
        self._recipients = list(dict.fromkeys(self._settings.to))
        self._accepted: dict[tuple[str, str], str] = {}  # (notification, recipient) -> receipt, the oldest first

    async def send(self, notification: Notification) -> str:
        """Return the message's id and state for each recipient; those refused for good are named as well.

        Raises DeliveryError: `retry` if somebody may be reached later (no connection, 429, 5xx), none if everybody is
        refused for good; `delivered_maybe` if a request got no answer.
        """
        body = compose(notification)
        async with self._client() as client:
            outcomes = await asyncio.gather(*(self._tell(client, notification, to, body) for to in self._recipients))
        failures = [outcome for outcome in outcomes if isinstance(outcome, DeliveryError)]
        if any(failure.retry for failure in failures) or len(failures) == len(outcomes):
            raise _together(failures)
        return "; ".join(map(str, outcomes))

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

    async def _tell(
        self, client: httpx.AsyncClient, notification: Notification, to: str, body: str
    ) -> str | DeliveryError:
        known = self._accepted.get((notification.id, to))
        if known is not None:
            return known
        outcome = await self._post(client, {"From": self._settings.from_, "To": to, "Body": body})
        if isinstance(outcome, str):
            self._accepted[notification.id, to] = outcome
            if len(self._accepted) > REMEMBERED:
                del self._accepted[next(iter(self._accepted))]
        return outcome

    async def _post(self, client: httpx.AsyncClient, form: dict[str, str]) -> str | DeliveryError:
        """Return the receipt or what went wrong: returned, not raised, to cut it off from what httpx raised."""
        url = f"{self._settings.base_url}/2010-04-01/Accounts/{self._settings.account_sid}/Messages.json"
        try:
            async with client.stream("POST", url, data=form) as response:
                reply = await _read(response)
        except httpx.HTTPError as error:
            said = self._said(f"{form['To']}: {error or type(error).__name__}")
            return DeliveryError(
                said, retry=not is_bad_certificate(error), delivered_maybe=not isinstance(error, _NOT_SENT)
            )
        if response.is_success:
            words = [str(reply[key]) for key in ("sid", "status") if reply.get(key)]
            return self._said(f"{form['To']}: {' '.join(words) or response.status_code}")
        words = [str(reply[key]) for key in ("code", "message") if reply.get(key)]
        busy = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        return DeliveryError(
            self._said(f"{form['To']}: HTTP {response.status_code} {' '.join(words)}"),
            retry=busy or response.is_server_error,
            retry_after=_retry_after(response.headers.get("Retry-After", "")),
        )

    def _said(self, text: str) -> str:
        token = self._settings.auth_token.get_secret_value()
        credentials = base64.b64encode(f"{self._settings.account_sid}:{token}".encode()).decode()
        return answer(text, [token, credentials])


def compose(notification: Notification) -> str:
    """Return the message in the basic alphabet of GSM 03.38, one SMS long, with what matters most in front.

    The link is whole or left out. Details follow for as long as there is room; the last one is cut at a word.
    """
    text = to_gsm7(wording.summary(notification))[:LONGEST]
    link = wording.link(notification)
    ending = f" {link}" if link and to_gsm7(link) == link and len(text) + len(link) < LONGEST else ""
    for detail in map(to_gsm7, _details(notification)):
        room = LONGEST - len(text) - len(ending) - len(". ")
        if len(detail) > room:
            piece = detail[: max(room - len("..."), 0)].rpartition(" ")[0]
            return text + (f". {piece}..." if piece else "") + ending
        text += f". {detail}"
    return text + ending


def _details(notification: Notification) -> list[str]:
    """Return what the summary leaves out, the most important first."""
    if notification.kind == "test":
        return ["No action is needed"]
    compared = bool(wording.ratio(notification))
    details = [
        f"{wording.level(notification)}, baseline {wording.baseline(notification)}" if compared else "",
        f"Since {wording.moment(notification.opened_ns)}",
        wording.place(notification),
        wording.one_line(notification.reason) if compared else "",
    ]
    return [detail for detail in details if detail]


def _together(failures: list[DeliveryError]) -> DeliveryError:
    waits = [failure.retry_after for failure in failures if failure.retry_after is not None]
    return DeliveryError(
        "; ".join(map(str, failures)),
        retry=any(failure.retry for failure in failures),
        retry_after=max(waits, default=None),
        delivered_maybe=any(failure.delivered_maybe for failure in failures),
    )


async def _read(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object of a reply, or nothing if it is something else or too large."""
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > LARGEST_REPLY:
            return {}
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return reply if isinstance(reply, dict) else {}


def _retry_after(text: str) -> float | None:
    """Return the seconds of a Retry-After header, which has them or a date (RFC 9110, section 10.2.3)."""
    if text.isdecimal():
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT)
