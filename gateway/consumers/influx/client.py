"""The database: influxdb-client writes the requests, and the one client for what goes out sends them.

The library's own way to send would read an answer to its end, and as UTF-8; ours has its bounds.

Its import goes without numpy, which it imports wherever that is installed, to recognise its numbers; we hand over
finished lines. Beside a simulator that would cost the gateway 12 MB, and its start a tenth of a second.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from gateway.config import InfluxSection
from gateway.config.values import is_loopback
from gateway.outgoing.client import Answer, Client, trusted


@contextmanager
def _without_numpy() -> Iterator[None]:
    """Let numpy look as if it were not installed, unless somebody has imported it already."""
    hidden = "numpy" not in sys.modules
    if hidden:
        sys.modules["numpy"] = None  # type: ignore[assignment] # what makes an import fail
    try:
        yield
    finally:
        if hidden:
            del sys.modules["numpy"]


with _without_numpy():
    from influxdb_client.client.influxdb_client import InfluxDBClient
    from influxdb_client.client.write_api import SYNCHRONOUS

__all__ = ["SYNCHRONOUS", "Database", "Draft", "InfluxDBClient"]


class Draft(Struct, frozen=True):
    """A request as influxdb-client would have sent it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


class _Drafted(Exception):  # noqa: N818 - no error: the way out of the library
    def __init__(self, draft: Draft) -> None:
        self.draft = draft


class _Drafts:
    """Takes the place of the library's connections: it keeps what would be sent."""

    def request(self, method: str, url: str, *, body: bytes, headers: Mapping[str, str], **_options: Any) -> None:
        raise _Drafted(Draft(method, url, dict(headers), body))

    def clear(self) -> None:
        """Do nothing: there is no connection."""


class Database:
    """A bucket. Nothing is connected before the first write."""

    def __init__(self, section: InfluxSection) -> None:
        self._section = section
        self._trust = trusted(section.ca)
        self.uses_gzip = not is_loopback(section.url.host or "")  # a seventh of the bytes, for 2 µs a point
        self._library = InfluxDBClient(
            url=str(section.url).rstrip("/"),
            token=section.token.get_secret_value(),
            org=section.org,
            enable_gzip=self.uses_gzip,
        )
        self._library.api_client.rest_client.pool_manager = _Drafts()  # type: ignore[assignment] # all it does is request()
        self._api = self._library.write_api(write_options=SYNCHRONOUS)
        self.open()

    def open(self) -> None:
        """Begin with new connections."""
        proxy = self._section.proxy
        self._client = Client("influxdb", self._trust, proxy=None if proxy is None else str(proxy))

    async def close(self) -> None:
        """Cut the connections."""
        await self._client.close()

    def draft(self, lines: list[bytes]) -> Draft:
        """Return the request that writes lines, whose times are in ns. It may compress, so it belongs in a thread."""
        try:
            self._api.write(self._section.bucket, self._section.org, b"\n".join(lines))
        except _Drafted as drafted:
            return drafted.draft
        raise AssertionError("influxdb-client sends by other means than its pool_manager")

    async def send(self, draft: Draft) -> Answer:
        """Return the answer. Raises NoAnswerError."""
        return await self._client.ask(draft.method, draft.url, draft.body, draft.headers)
