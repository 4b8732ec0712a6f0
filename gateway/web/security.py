"""What every answer has in common: the headers that make it harmless, and the names it is given under."""

from __future__ import annotations

from ipaddress import ip_address

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

LARGEST_BODY = 64 * 1024

_LOCAL_SUFFIXES = (".local", ".localhost")
_FOR_MACHINES = ("/-/", "/metrics")


class Guard:
    """ASGI middleware: adds the headers, and refuses host names that are not this gateway's.

    A page of another site can make a name of its own point at this address (DNS rebinding) and would then read
    everything here. It cannot own an address, a name without a dot, or one under .local. Probes and metrics are
    answered under any name.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the headers, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *_RAW_HEADERS]}
            await send(message)

        app: ASGIApp = _Limited(self._app)
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "localhost")
        if not scope["path"].startswith(_FOR_MACHINES) and not self._ours(host):
            app = JSONResponse({"detail": f"not known as {host!r} here: set http.public_url"}, status_code=421)
        await app(scope, receive, send_with_headers)

    def _ours(self, host: str) -> bool:
        name = host_name(host)
        return "." not in name or name.endswith(_LOCAL_SUFFIXES) or name in self._hosts or _is_address(name)


def host_name(host: str) -> str:
    """Return the name or address in a Host header, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class _Limited:
    """Refuses bodies that are larger than any change can be, before they are read into memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; one with too large a body is answered with 413, or cut off."""
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            await JSONResponse({"detail": f"a body has at most {LARGEST_BODY} bytes"}, status_code=413)(
                scope, receive, send
            )
            return
        received = 0

        async def receive_some() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                return {"type": "http.disconnect"}
            return message

        await self._app(scope, receive_some, send)
