"""Tells people by mail: one message to all of `to`, over SMTP."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

import aiosmtplib
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gateway.api import DeliveryError, Notification
from gateway.config import Section
from gateway.handlers import mail_page, wording
from gateway.handlers.network import is_bad_certificate, is_loopback
from gateway.handlers.wording import answer, one_line

PATIENCE = 60.0  # seconds for each reply; the handler's `timeout`, which the gateway minds, is usually shorter
QUIT_TIMEOUT = 2.0  # seconds, for a courtesy: the message is the server's already
LONGEST_SUBJECT = 180

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
_MAILBOX = re.compile(rf"(?P<plain>{_ADDRESS})|(?P<name>[^<>@]*?)\s*<(?P<address>{_ADDRESS})>")
_ID = re.compile(r"[A-Za-z0-9-]{1,36}")


def _mailbox(text: object) -> Address:
    parts = _MAILBOX.fullmatch(text) if isinstance(text, str) and text.isprintable() else None
    if parts is None:
        raise ValueError("must be a mail address in ASCII such as name@example.com or Name <name@example.com>")
    return Address(_header(parts["name"] or ""), addr_spec=parts["plain"] or parts["address"])


def _authorities(path: FilePath) -> FilePath:
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ValueError("is not a readable file of certificates in PEM") from error
    return path


Mailbox = Annotated[Address, BeforeValidator(_mailbox)]


class EmailSettings(Section):
    """A table `[handlers.NAME]` with `type = "email"`. With `ca`, only certificates that it signed are trusted."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]+$")]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None  # of the kind of security: 25, 587 or 465
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    from_: Mailbox = Field(alias="from")
    to: Annotated[list[Mailbox], Field(min_length=1)]
    subject_prefix: str = ""
    ca: Annotated[FilePath, AfterValidator(_authorities)] | None = None

    @field_validator("username")
    @classmethod
    def _no_password_in_the_clear(cls, username: str | None, info: ValidationInfo) -> str | None:
        plain = info.data.get("security") == "none"
        if username is not None and plain and not is_loopback(info.data.get("host", "")):
            raise ValueError(
                "a login needs an encrypted connection, or anybody on the way reads the password:"
                " set security to starttls or tls (it may be none only for a server on this machine)"
            )
        return username

    @model_validator(mode="after")
    def _login_is_complete(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together: set both or neither")
        return self


class EmailHandler:
    """Sends one message per notification, over a connection of its own."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._settings = EmailSettings.model_validate(settings)
        self._tls = ssl.create_default_context(cafile=self._settings.ca)

    async def send(self, notification: Notification) -> str:
        """Hand the message to the server and return its reply, with the recipients that it refused.

        Raises DeliveryError: `retry` for what may pass (no connection, codes 4xx), none for what does not (codes 5xx,
        login, certificate, no STARTTLS); `delivered_maybe` if the connection broke after the message was on its way.
        """
        message = compose(notification, self._settings).as_bytes()
        client = self._client()
        handed_over = False
        try:
            await self._connect(client)
            refused = await self._envelope(client)
            handed_over = True
            reply = await client.data(message)
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.execute_command(b"QUIT", timeout=QUIT_TIMEOUT)
            return self._said("; ".join([f"{reply.code} {reply.message}", *map(_refusal, refused)]))
        except (aiosmtplib.SMTPException, OSError) as error:
            failure = self._failure(error, handed_over=handed_over)
        finally:
            _hang_up(client)
        raise failure  # out here, so that it is not chained to the server's own text, which may quote the login

    async def _connect(self, client: aiosmtplib.SMTP) -> None:
        """Connect step by step: when these fail inside `connect`, it lets go of a connection that is still open."""
        await client.connect()
        if self._settings.security == "starttls":
            await client.starttls()  # fails where the server has none
        if self._settings.username is not None and self._settings.password is not None:
            await client.login(self._settings.username, self._settings.password.get_secret_value())

    async def _envelope(self, client: aiosmtplib.SMTP) -> list[aiosmtplib.SMTPRecipientRefused]:
        """Name sender and recipients, and return those recipients that are refused while others are not."""
        await client.mail(self._settings.from_.addr_spec)
        refused = []
        for recipient in self._settings.to:
            try:
                await client.rcpt(recipient.addr_spec)
            except aiosmtplib.SMTPRecipientRefused as error:
                refused.append(error)
        if len(refused) == len(self._settings.to):
            raise aiosmtplib.SMTPRecipientsRefused(refused)
        return refused

    def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            timeout=PATIENCE,
            use_tls=settings.security == "tls",
            start_tls=False,  # see _connect
            tls_context=self._tls,
        )

    def _failure(self, error: Exception, *, handed_over: bool) -> DeliveryError:
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
            retry = any(_may_pass(refused.code) for refused in error.recipients)
            return DeliveryError(self._said("; ".join(map(_refusal, error.recipients))), retry=retry)
        if isinstance(error, aiosmtplib.SMTPResponseException):
            text, retry = f"{error.code} {error.message}", _may_pass(error.code)
            unanswered = error.code == aiosmtplib.SMTPStatus.invalid_response
        else:  # no connection, or a server that lacks what we need: encryption, login
            text, retry = str(error) or type(error).__name__, isinstance(error, OSError)
            unanswered = True
        return DeliveryError(
            self._said(text),
            retry=retry and not is_bad_certificate(error),
            delivered_maybe=handed_over and unanswered,
        )

    def _said(self, text: str) -> str:
        username, password = self._settings.username, self._settings.password
        if username is None or password is None:
            return answer(text, ())
        secret = password.get_secret_value()
        quoted = [base64.b64encode(part.encode()).decode() for part in (secret, f"\0{username}\0{secret}")]
        return answer(text, [secret, *quoted])


def compose(notification: Notification, settings: EmailSettings) -> EmailMessage:
    """Return the message: plain text and HTML, pure ASCII on the wire, with ids that are the same at every attempt."""
    message = EmailMessage(policy=SMTP)
    message["From"] = settings.from_
    message["To"] = settings.to
    message["Subject"] = _header(f"{settings.subject_prefix} {_subject(notification)}")
    message["Date"] = localtime()
    message["Message-ID"] = _message_id(notification.id, notification)
    message["Auto-Submitted"] = "auto-generated"
    if notification.kind != "test":
        message["References"] = _message_id(notification.alert_id, notification)
    if notification.kind in {"escalated", "cleared"}:
        message["In-Reply-To"] = message["References"]
    message.set_content(mail_page.plain(notification), cte="quoted-printable")
    message.add_alternative(mail_page.html(notification), subtype="html", cte="quoted-printable")
    return message


def _hang_up(client: aiosmtplib.SMTP) -> None:
    """Cut the connection at once. The client's own ways to close wait for the other side, which may be mute."""
    if isinstance(client.transport, asyncio.WriteTransport):
        client.transport.abort()
    client.close()


def _may_pass(code: int) -> bool:
    """Return whether a refusal with this code may become an acceptance: all but 5xx (RFC 5321, section 4.2.1)."""
    return not 500 <= code <= 599  # noqa: PLR2004


def _refusal(refused: aiosmtplib.SMTPRecipientRefused) -> str:
    return f"refused {refused.recipient}: {refused.code} {refused.message}"


def _subject(notification: Notification) -> str:
    place = wording.place(notification)
    return f"{wording.summary(notification)} ({place})" if place else wording.summary(notification)


def _header(text: str) -> str:
    """Return `text` for a header. `=?` would be read as an encoded word, which can hide line breaks."""
    return one_line(text, LONGEST_SUBJECT).replace("=?", "= ?")


def _message_id(id_: str, notification: Notification) -> str:
    """Return a Message-ID of at most 77 characters: longer ones are broken where headers are folded."""
    local = id_ if _ID.fullmatch(id_) else sha256(id_.encode(errors="replace")).hexdigest()[:32]
    gateway = re.sub(r"[^A-Za-z0-9]+", "-", notification.gateway_id)[:20].strip("-") or "unnamed"
    return f"<{local}@{gateway}.vibration-gateway>"
