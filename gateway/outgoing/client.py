"""The one client for what goes out over HTTP: no answer costs more time or memory than the table below allows.

The body of an answer is read as bytes, as they come, up to a limit; what follows is left, with its connection. It is
never decoded, so that nothing unfolds. No redirection is followed, no cookie kept, no answer interpreted.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from msgspec import Struct

from gateway.errors import GatewayError
from gateway.outgoing.addresses import allowed_addresses, is_bad_certificate

LARGEST_ANSWER = 65_536
"""Bytes of an answer's body that are read."""

LONGEST_WAIT = 3600.0
"""Seconds that a Retry-After may ask for."""

SECONDS = {"heartbeat": 10.0, "influxdb": 30.0, "otel": 10.0, "sms": 60.0, "webhook": 60.0}
"""Whom we ask -> what one exchange takes at most, from looking up the name to the last byte that is read."""

_LONGEST_REASON = 200
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
_OURS = {"User-Agent": "vibration-gateway", "Accept-Encoding": "identity"}


class NoAnswerError(GatewayError):
    """There was no answer that could be read; the text says why, and quotes no address.

    `sent` says whether the other side may have taken the request; `is_untrusted`, that its certificate is refused,
    which waiting does not mend.
    """

    def __init__(self, reason: str, *, sent: bool = False, is_untrusted: bool = False) -> None:
        super().__init__(reason)
        self.sent = sent
        self.is_untrusted = is_untrusted


class Answer(Struct, frozen=True):
    """What somebody answered. `body` is its beginning, if there is more than we read."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_redirect(self) -> bool:
        """Whether it sends us elsewhere, where we do not go."""
        return HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people: somebody on the way, who wants a login, answers in a program's place."""
        return "text/html" in self.headers.get("Content-Type", "").lower()

    @property
    def may_pass(self) -> bool:
        """Whether a refusal may become an acceptance: busy, or an error of the server's own."""
        return self.status in _PASSING or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def text(self) -> str:
        """The body as text; what is none is replaced."""
        return self.body.decode(errors="replace")

    def json(self) -> dict[str, Any]:
        """Return the JSON object in the body, or nothing if it is something else, or too large."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def retry_after(self) -> float | None:
        """The seconds of a Retry-After header, which has them or a date (RFC 9110, section 10.2.3)."""
        text = self.headers.get("Retry-After", "")
        if text.isdecimal():
            seconds = float(text)
        else:
            try:
                moment = parsedate_to_datetime(text)
            except (ValueError, OverflowError):  # a year, or a zone, of many digits
                return None
            seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        return min(max(seconds, 0.0), LONGEST_WAIT)


def trusted(ca: Path | None = None) -> ssl.SSLContext:
    """Return whom to trust: who signed with a certificate of this file, else the system's."""
    return ssl.create_default_context(cafile=ca)


class Client:
    """Asks one of SECONDS, over connections that its end as a context manager, or `close`, cuts.

    `trust` is what `trusted` returns. `proxy` is the address of a proxy; without one those of the environment count,
    if `use_environment`.
    """

    def __init__(
        self,
        whom: str,
        trust: ssl.SSLContext,
        *,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        use_environment: bool = True,
    ) -> None:
        self._seconds = SECONDS[whom]
        self._http = httpx.AsyncClient(
            headers={**_OURS, **(headers or {})},
            verify=trust,
            proxy=proxy,
            trust_env=use_environment and proxy is None,
            timeout=self._seconds,
            follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cut the connections."""
        await self._http.aclose()

    async def ask(
        self,
        method: str,
        url: str,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        only_public: bool | None = None,
    ) -> Answer:
        """Return the answer, whatever it is. Raises NoAnswerError.

        Where `only_public` is given, the name is looked up once and the address is what is connected to; if it is
        true, only one of the public internet. Raises DeliveryError then, too, as `allowed_addresses` does.
        """
        exchange = _Exchange()
        try:
            async with asyncio.timeout(self._seconds):
                request = self._http.build_request(method, url, content=content or None, headers=headers)
                if only_public is None:
                    return await exchange.run(self._http, request)
                return await self._at_one_address(exchange, request, only_public=only_public)
        except TimeoutError:
            raise NoAnswerError(f"no answer within {self._seconds:g} s", sent=exchange.sent) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            bad = is_bad_certificate(error)
            sent = exchange.sent and not isinstance(error, _NOT_SENT)
            raise NoAnswerError(_reason(error), sent=sent and not bad, is_untrusted=bad) from None

    async def _at_one_address(self, exchange: _Exchange, request: httpx.Request, *, only_public: bool) -> Answer:
        """Try the addresses of a name until one can be connected to, whatever the name stands for a moment later."""
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await allowed_addresses(url.host, port, allow_private=not only_public)
        request.headers["Host"] = url.netloc.decode("ascii")
        request.extensions = {**request.extensions, "sni_hostname": url.host}
        for address in addresses[:-1]:
            request.url = url.copy_with(host=address)
            try:
                return await exchange.run(self._http, request)
            except _NOT_SENT as error:
                if is_bad_certificate(error):
                    raise
        request.url = url.copy_with(host=addresses[-1])
        return await exchange.run(self._http, request)


class _Exchange:
    """One request and its answer; `sent` says whether any of it has been on its way."""

    def __init__(self) -> None:
        self.sent = False

    async def run(self, http: httpx.AsyncClient, request: httpx.Request) -> Answer:
        """Send it, and read the answer up to its limit."""
        request.extensions = {**request.extensions, "trace": self._trace}
        response = await http.send(request, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) >= LARGEST_ANSWER:
                    break
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, bytes(body[:LARGEST_ANSWER]))

    async def _trace(self, event: str, _details: Mapping[str, Any]) -> None:
        self.sent = self.sent or event.endswith("send_request_headers.started")


def _reason(error: Exception) -> str:
    """Return in words why there was no answer, and what to look at."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    said = (str(error) or type(error).__name__)[:_LONGEST_REASON]
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}; is its authority the system's, or in ca?"
    if cause is not None:
        return f"no TLS with it: {said}; does the address belong to https?"
    return next((text for kind, text in _WORDS.items() if isinstance(error, kind)), "no answer") + f": {said}"


_WORDS: dict[type[Exception], str] = {
    httpx.ProxyError: "the proxy does not let us through",
    httpx.ConnectError: "no connection",
    httpx.RemoteProtocolError: "what it answers is not HTTP, or breaks off",
    httpx.NetworkError: "the connection broke",
    httpx.TimeoutException: "no answer in time",
}
