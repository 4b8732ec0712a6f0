"""Tells another program: JSON over HTTP, signed as standardwebhooks.com describes, so that it can be believed."""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections.abc import Mapping
from datetime import tzinfo
from hashlib import sha256
from typing import Annotated, Any

import httpx
import msgspec
from pydantic import AfterValidator, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from gateway.api import Context, DeliveryError
from gateway.config import Section
from gateway.config.values import Authorities
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.model import Notification
from gateway.handlers.text import wording
from gateway.handlers.text.wording import answer, one_line
from gateway.outgoing.client import Answer, Client, NoAnswerError, trusted

LAST_PORT = 65535
LONGEST_TEXT = 300  # characters; a digest has up to a thousand items
SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes, as the standard has it

_OURS = {"host", "content-type", "content-length", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature"}
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _url(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    unusable = not url.host or url.userinfo or url.fragment or (url.port or 0) > LAST_PORT
    if unusable or url.scheme not in {"http", "https"}:
        raise ValueError("must be an address such as https://example.com/hook, without a user and a #")
    return text


def _key(secret: SecretStr) -> SecretStr:
    try:
        length = len(_decoded(secret))
    except ValueError:
        length = 0
    if not SHORTEST_KEY <= length <= LONGEST_KEY:
        raise ValueError(
            'must be 24 to 64 random bytes in base64; make one with: echo "whsec_$(openssl rand -base64 32)"'
        )
    return secret


def _decoded(secret: SecretStr) -> bytes:
    return base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)


class WebhookSettings(Section):
    """A table `[handlers.NAME]` with `type = "webhook"`. With `ca`, only certificates that it signed are trusted."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    allow_private: bool = False
    url: Annotated[str, AfterValidator(_url)]
    secret: Annotated[SecretStr, AfterValidator(_key)]
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    ca: Authorities | None = None

    @field_validator("url")
    @classmethod
    def _nothing_readable_on_the_way(cls, url: str, info: ValidationInfo) -> str:
        if url.startswith("http:") and not info.data.get("allow_private"):
            raise ValueError("must begin with https:// (http only with allow_private, for an address in the plant)")
        return url

    @field_validator("headers")
    @classmethod
    def _sendable(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            text = value.get_secret_value()
            if not _HEADER.fullmatch(name) or name.lower() in _OURS or not (text.isascii() and text.isprintable()):
                raise ValueError(
                    f"{name[:64]!r} cannot be sent: letters, digits and dashes, not one of our own, in ASCII"
                )
        return headers


class WebhookHandler:
    """Posts each notification to one address, which is looked up once and checked before it is connected to."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._settings = WebhookSettings.model_validate(settings)
        self._trust = trusted(self._settings.ca)
        self._context = Context()

    def attach(self, context: Context) -> None:
        """Take the time zone."""
        self._context = context

    async def send(self, notification: Notification) -> str:
        """Post the message and return what the other side said.

        Raises DeliveryError: `retry` for no connection, 408, 425, 429 and 5xx, none for every other refusal, for a
        redirection (it is not followed) and for an address that is not allowed; `delivered_maybe` without an answer.
        """
        body = payload(notification, self._context.timezone)
        url, only_public = self._settings.url, not self._settings.allow_private
        try:
            # no proxy from the environment: it would look the name up again, and reach what this device must not
            async with Client("webhook", self._trust, use_environment=False) as client:
                reply = await client.ask("POST", url, body, self._headers(notification, body), only_public=only_public)
        except NoAnswerError as error:
            lasts = error.is_untrusted
            raise DeliveryError(self._said(str(error)), delivered_maybe=error.sent, needs_person=lasts) from None
        return self._receipt(reply)

    async def preview(self, notification: Notification) -> dict[str, str]:
        """Return the body that would be posted."""
        pretty = msgspec.json.format(payload(notification, self._context.timezone), indent=2)
        return {"text": pretty.decode()}

    def _headers(self, notification: Notification, body: bytes) -> dict[str, str]:
        id_ = notification.id if _ID.fullmatch(notification.id) else _digest(notification.id)
        now = str(int(time.time()))
        return {
            **{name: value.get_secret_value() for name, value in self._settings.headers.items()},
            "Content-Type": "application/json",
            "Webhook-Id": id_,
            "Webhook-Timestamp": now,
            "Webhook-Signature": f"v1,{signature(_decoded(self._settings.secret), id_, now, body)}",
        }

    def _receipt(self, reply: Answer) -> str:
        """Return what the other side said. Raises DeliveryError."""
        text = self._said(f"HTTP {reply.status} {reply.text}".strip())
        if reply.is_success:
            return text
        if reply.is_redirect:
            text = f"HTTP {reply.status}: redirections are not followed; put the last address into url"
        raise DeliveryError(text, retry=reply.may_pass, retry_after=reply.retry_after)

    def _said(self, text: str) -> str:
        settings = self._settings
        return answer(text, [secret.get_secret_value() for secret in (settings.secret, *settings.headers.values())])


def payload(notification: Notification, zone: tzinfo) -> bytes:
    """Return the body: what it is about, a summary, and every field; texts are single lines of bounded length."""
    fields = _plain(msgspec.to_builtins(notification))
    event = {
        "type": f"alert.{notification.kind}",
        "timestamp": rfc3339(notification.occurred_ns),
        "data": {"summary": wording.summary(notification, zone), **fields},
    }
    return msgspec.json.encode(event)


def signature(key: bytes, id_: str, timestamp: str, body: bytes) -> str:
    """Return the HMAC-SHA256 of id, timestamp and body with dots between them, in base64."""
    return base64.b64encode(hmac.digest(key, f"{id_}.{timestamp}.".encode() + body, "sha256")).decode()


def _plain(value: Any) -> Any:
    """Return a part of a notification with inert texts, and with times as other interfaces write them."""
    if isinstance(value, str):
        return one_line(value, LONGEST_TEXT)
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        times = {f"{name[:-2]}At": rfc3339(part) for name, part in value.items() if name in {"occurredNs", "openedNs"}}
        said = {name: part for name, part in value.items() if name != "publishedId" or part}  # else it is the name
        return times | {name: _plain(part) for name, part in said.items() if not name.endswith("Ns")}
    return value


def _digest(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()[:32]
