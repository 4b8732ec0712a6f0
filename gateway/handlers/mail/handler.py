"""Tells people by mail: one message to all of `to`, over SMTP."""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Annotated, Any, Literal, NamedTuple, Self

import aiosmtplib
import structlog
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gateway.api import Context, DeliveryError
from gateway.config import Duration, Section
from gateway.config.values import Authorities, is_loopback
from gateway.domain.model.alert_kinds import ALERT_KINDS
from gateway.domain.notification.model import Notification
from gateway.errors import GatewayError
from gateway.handlers.mail import chart
from gateway.handlers.mail.message import compose, header
from gateway.handlers.mail.page import Page, Picture
from gateway.handlers.recipients import Outcome, Receipts, conclude
from gateway.handlers.text import wording
from gateway.handlers.text.templates import Template, TemplateText
from gateway.handlers.text.wording import answer
from gateway.outgoing.addresses import is_bad_certificate

log = structlog.get_logger(__name__)

PATIENCE = 60.0  # seconds for each reply; the handler's `timeout`, which the gateway minds, is usually shorter
QUIT_TIMEOUT = 2.0  # seconds, for a courtesy: the message is the server's already
_LACKS_STARTTLS = "STARTTLS"
CHART_WITHIN = 5.0  # seconds; a mail without its picture is better than none

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
_MAILBOX = re.compile(rf"(?P<plain>{_ADDRESS})|(?P<name>[^<>@]*?)\s*<(?P<address>{_ADDRESS})>")


def mailbox(text: object) -> Address:
    """Return a recipient of a configuration. Raises ValueError for what is none."""
    parts = _MAILBOX.fullmatch(text) if isinstance(text, str) and text.isprintable() else None
    if parts is None:
        raise ValueError("must be a mail address in ASCII such as name@example.com or Name <name@example.com>")
    return Address(header(parts["name"] or ""), addr_spec=parts["plain"] or parts["address"])


Mailbox = Annotated[Address, BeforeValidator(mailbox)]


class EmailSettings(Section):
    """A table `[handlers.NAME]` with `type = "email"`. With `ca`, only certificates that it signed are trusted.

    `ehlo` is the name that the server is greeted with; without it that of this machine.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]+$")]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None  # of the kind of security: 25, 587 or 465
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    from_: Mailbox = Field(alias="from")
    to: Annotated[list[Mailbox], Field(min_length=1)]
    subject_prefix: str = ""
    subject: TemplateText | None = None  # without it: the summary, and the place where one is known
    body: TemplateText = Template("{lead}")
    chart: Duration = 6 * 3600 * 10**9  # so long a time is drawn; 0 draws nothing
    ca: Authorities | None = None
    ehlo: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$|^\[[0-9A-Fa-fIPv.:]+\]$", max_length=255)] | None = None

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


class Letter(NamedTuple):
    """One message for some of the recipients. With a link to acknowledge it is for one, whose name is in the link."""

    to: Sequence[Address]
    message: EmailMessage


class EmailHandler:
    """Sends every notification over a connection of its own, as one message, or one for each recipient."""

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name = name
        self._settings = EmailSettings.model_validate(settings)
        self._tls = ssl.create_default_context(cafile=self._settings.ca)
        self._receipts = Receipts()
        self._context = Context()

    def attach(self, context: Context) -> None:
        """Take the time zone, the trend and the links to acknowledge."""
        self._context = context
        if self._settings.chart:
            chart.prepare()

    async def send(self, notification: Notification) -> str:
        """Hand the message to the server and return its reply, with the recipients that it refused.

        Raises DeliveryError: `retry` for what may pass (no connection, codes 4xx), none for what does not (codes 5xx,
        login); `delivered_maybe` if the connection broke after the message was on its way, `needs_person` where there
        is no encryption that can be trusted (certificate, STARTTLS): that is mended at the server, not by waiting.
        """
        client = self._client()
        try:
            picture, _ = await asyncio.gather(self._picture(notification), self._connect(client))
            letters = await asyncio.to_thread(self._letters, notification, picture)
            outcomes = [each for letter in letters for each in await self._deliver(client, notification, letter)]
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.execute_command(b"QUIT", timeout=QUIT_TIMEOUT)
        except (aiosmtplib.SMTPException, OSError) as error:
            outcomes = [self._failure(error)]
        finally:
            _hang_up(client)
        return conclude(outcomes)

    async def preview(self, notification: Notification) -> dict[str, str]:
        """Return what would be sent: subject, plain text, and HTML with its picture in it."""
        picture = await self._picture(notification)
        letters = await asyncio.to_thread(self._letters, notification, picture)
        letter = letters[0]
        texts = {kind: letter.message.get_body([kind]) for kind in ("plain", "html")}
        plain, html = (body.get_content() if isinstance(body, EmailMessage) else "" for body in texts.values())
        if picture is not None:
            html = html.replace(f"cid:{picture.cid}", f"data:image/png;base64,{base64.b64encode(picture.png).decode()}")
        return {"subject": str(letter.message["Subject"]), "text": plain, "html": html}

    def _letters(self, notification: Notification, picture: Picture | None) -> list[Letter]:
        everybody = self._settings.to
        links = [self._link(notification, to) for to in everybody]
        groups = [([to], link) for to, link in zip(everybody, links, strict=True)] if any(links) else [(everybody, "")]
        zone, settings = self._context.timezone, self._settings
        values = wording.fields(notification, zone)
        own = settings.subject.render(values) if settings.subject else _subject(values)
        subject = f"{settings.subject_prefix} {own}"
        pages = [(to, Page(notification, zone, settings.body.render(values), link, picture)) for to, link in groups]
        return [Letter(to, compose(page, subject, settings.from_, to)) for to, page in pages]

    def _link(self, notification: Notification, to: Address) -> str:
        if notification.kind not in wording.OPEN or notification.grouped:
            return ""
        person, context = to.display_name or to.addr_spec, self._context
        own = context.alert_url(notification.alert_id, notification.severity, person)
        return own or context.acknowledge_url(notification.alert_id, person)

    async def _picture(self, notification: Notification) -> Picture | None:
        """Return the chart of the last hours; none if it cannot be had in time."""
        length = self._settings.chart
        several = notification.grouped or notification.kind in {"notice", "test"}
        if not length or several or not ALERT_KINDS[notification.alert_kind].is_of_sensor:
            return None
        until_ns = notification.occurred_ns + 1
        span = chart.Span(
            until_ns - length,
            until_ns,
            notification.opened_ns,
            "" if notification.kind == "cleared" else notification.severity,
            self._context.timezone,
            notification.unit,
        )
        try:
            async with asyncio.timeout(CHART_WITHIN):
                trend = await self._context.trend(notification.sensor_id, span.since_ns, until_ns)
                png = await asyncio.to_thread(chart.draw, trend, span)
            return Picture(png, chart.describe(trend, span)) if png else None
        except (TimeoutError, GatewayError) as error:
            log.warning("a mail goes without its chart", handler=self.name, error=str(error) or "no time")
        except Exception:  # whatever is wrong with a picture, it must not cost the mail
            log.exception("a mail goes without its chart", handler=self.name)
        return None

    async def _connect(self, client: aiosmtplib.SMTP) -> None:
        """Connect step by step: when these fail inside `connect`, it lets go of a connection that is still open."""
        await client.connect()
        if self._settings.security == "starttls":
            await client.starttls()  # fails where the server has none
        if self._settings.username is not None and self._settings.password is not None:
            await client.login(self._settings.username, self._settings.password.get_secret_value())

    async def _deliver(self, client: aiosmtplib.SMTP, notification: Notification, letter: Letter) -> list[Outcome]:
        """Return the replies and what went wrong: not raised, to cut it off from text that may quote the login."""
        told = {to.addr_spec: self._receipts.find(notification.id, to.addr_spec) for to in letter.to}
        known: list[Outcome] = [*dict.fromkeys(receipt for receipt in told.values() if receipt is not None)]
        wanted = [recipient for recipient, receipt in told.items() if receipt is None]
        if not wanted:
            return known
        content = await asyncio.to_thread(letter.message.as_bytes)
        handed_over = False
        try:
            refused = await self._envelope(client, wanted)
            handed_over = True
            reply = await client.data(content)
        except (aiosmtplib.SMTPException, OSError) as error:
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.rset(timeout=QUIT_TIMEOUT)  # for the next one
            return [*known, self._failure(error, handed_over=handed_over)]
        said = self._said(f"{reply.code} {reply.message}")
        for recipient in set(wanted) - {each.recipient for each in refused}:
            self._receipts.keep(notification.id, recipient, said)
        failed = [self._failure(aiosmtplib.SMTPRecipientsRefused(refused))] if refused else []
        return [*known, said, *failed]

    async def _envelope(
        self, client: aiosmtplib.SMTP, recipients: Sequence[str]
    ) -> list[aiosmtplib.SMTPRecipientRefused]:
        """Name sender and recipients, and return those recipients that are refused while others are not."""
        await client.mail(self._settings.from_.addr_spec)
        refused = []
        for recipient in recipients:
            try:
                await client.rcpt(recipient)
            except aiosmtplib.SMTPRecipientRefused as error:
                refused.append(error)
        if len(refused) == len(recipients):
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
            local_hostname=settings.ehlo,
            tls_context=self._tls,
        )

    def _failure(self, error: Exception, *, handed_over: bool = False) -> DeliveryError:
        if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
            retry = any(_may_pass(refused.code) for refused in error.recipients)
            return DeliveryError(self._said("; ".join(map(_refusal, error.recipients))), retry=retry)
        if isinstance(error, aiosmtplib.SMTPResponseException):
            text, retry = f"{error.code} {error.message}", _may_pass(error.code)
            unanswered = error.code == aiosmtplib.SMTPStatus.invalid_response
        else:  # no connection, or a server that lacks what we need: encryption, login
            text, retry = str(error) or type(error).__name__, isinstance(error, OSError)
            unanswered = True
        is_insecure = is_bad_certificate(error) or _LACKS_STARTTLS in text
        return DeliveryError(
            self._said(text),
            retry=retry or is_insecure,
            delivered_maybe=handed_over and unanswered and not is_insecure,
            needs_person=is_insecure,
        )

    def _said(self, text: str) -> str:
        username, password = self._settings.username, self._settings.password
        if username is None or password is None:
            return answer(text, ())
        secret = password.get_secret_value()
        quoted = [base64.b64encode(part.encode()).decode() for part in (secret, f"\0{username}\0{secret}")]
        return answer(text, [secret, *quoted])


def _hang_up(client: aiosmtplib.SMTP) -> None:
    """Cut the connection at once. The client's own ways to close wait for the other side, which may be mute."""
    if isinstance(client.transport, asyncio.WriteTransport):
        client.transport.abort()
    client.close()


def _may_pass(code: int) -> bool:
    """Return whether a refusal with this code may become an acceptance: all but 5xx (RFC 5321, section 4.2.1)."""
    return not 500 <= code <= 599  # noqa: PLR2004 - the RFC's numbers


def _refusal(refused: aiosmtplib.SMTPRecipientRefused) -> str:
    return f"refused {refused.recipient}: {refused.code} {refused.message}"


def _subject(values: Mapping[str, str]) -> str:
    return f"{values['summary']} ({values['place']})" if values["place"] else values["summary"]
