import asyncio
import email
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import default
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers.certificates import issue
from tests.servers.closing import stop_accepting
from tests.servers.ports import HOST, free_port

ACCEPTED = "250 2.0.0 queued"


@dataclass(frozen=True)
class Received:
    message: EmailMessage
    sender: str  # of the envelope, as are the recipients
    recipients: list[str]
    at: float  # time.monotonic()


class SmtpServer:
    """A mail server that keeps `messages` that it accepts, when they came (`attempts`) and from whom (`greeted`: EHLO).

    `security` is that of the gateway's own configuration; with it, `ca` is the file that clients verify with.
    `script` gives its answers to the next mails (the DATA command), normal ones follow. `hang` is where it falls
    silent for good: at the "greeting", or after the "data".
    """

    host = HOST

    def __init__(
        self,
        tmp_path: Path,
        *,
        security: Literal["none", "starttls", "tls"] = "none",
        username: str | None = None,
        password: str | None = None,
        script: Iterable[str] = (),
        hang: Literal["greeting", "data"] | None = None,
    ) -> None:
        self.port = free_port()
        self.security = security
        self.username = username
        self.password = password
        self.hang = hang
        self.messages: list[Received] = []
        self.attempts: list[float] = []
        self.greeted: list[str | None] = []
        self.ca: Path | None = None
        self.tls_context = None if security == "none" else self._issue(tmp_path / f"smtp-{self.port}")
        self._script: Iterator[str] = iter(script)
        self._transports: list[asyncio.Transport] = []
        self._thread: threading.Thread | None = None

    def fail_next(self, *answers: str) -> None:
        """Answer the next mails so, for example "451 4.3.0 try again later"."""
        self._script = chain(answers, self._script)

    def start(self) -> None:
        assert self._thread is None, "the mail server is running already"
        started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(started),), daemon=True)
        self._thread.start()
        assert started.wait(10), "the mail server did not start"

    def stop(self) -> None:
        """Cut every connection and refuse new ones."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    def _issue(self, folder: Path) -> ssl.SSLContext:
        files = issue(folder)
        self.ca = files.ca
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(files.cert, files.key)
        return context

    async def _serve(self, started: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        implicit_tls = self.tls_context if self.security == "tls" else None
        server = await self._loop.create_server(self._protocol, HOST, self.port, ssl=implicit_tls)
        started.set()
        await self._stopping.wait()
        await stop_accepting(server)
        for transport in self._transports:
            transport.abort()

    def _protocol(self) -> asyncio.Protocol:
        return _Silence(self._transports) if self.hang == "greeting" else _Conversation(self, self._transports)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, _smtp: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.username is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        self.greeted.append(session.host_name)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_DATA(self, _smtp: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - as above
        now = time.monotonic()
        self.attempts.append(now)
        if self.hang == "data":
            await self._stopping.wait()
        answer = next(self._script, ACCEPTED)
        if answer.startswith("2"):
            assert isinstance(envelope.content, bytes)
            # on the wire lines end with CRLF; the mail's text is what its sender wrote
            message = email.message_from_bytes(envelope.content.replace(b"\r\n", b"\n"), policy=default)
            self.messages.append(Received(message, envelope.mail_from or "", list(envelope.rcpt_tos), now))
        return answer

    def authenticate(self, *details: Any) -> AuthResult:
        """Decide on a login; called by aiosmtpd, the offered credentials come last."""
        offered = details[-1]
        assert isinstance(offered, LoginPassword)
        expected = (str(self.username).encode(), str(self.password).encode())
        return AuthResult(success=(offered.login, offered.password) == expected, handled=False)


class _Conversation(SMTP):
    def __init__(self, server: SmtpServer, transports: list[asyncio.Transport]) -> None:
        super().__init__(
            server,
            hostname="localhost",
            enable_SMTPUTF8=True,
            tls_context=server.tls_context if server.security == "starttls" else None,
            require_starttls=server.security == "starttls",
            # aiosmtpd only knows of TLS that STARTTLS began; without an account nobody may log in
            auth_require_tls=server.username is None or server.security == "starttls",
            authenticator=server.authenticate,
        )
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._transports.append(_below_tls(transport))


class _Silence(asyncio.Protocol):
    def __init__(self, transports: list[asyncio.Transport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transports.append(_below_tls(transport))


def _below_tls(transport: asyncio.BaseTransport) -> asyncio.Transport:
    """Return what can be aborted: a TLS transport that was closed twice, as aiosmtpd does, forgets its connection."""
    tls = getattr(transport, "_ssl_protocol", None)
    connection = transport if tls is None else tls._transport  # noqa: SLF001 - asyncio offers no other way to it
    assert isinstance(connection, asyncio.Transport)
    return connection
