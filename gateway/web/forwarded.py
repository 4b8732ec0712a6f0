"""What a trusted proxy says of a request: for whom it asks, and whether that was over TLS. Nobody else is believed."""

from __future__ import annotations

from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.web.permission import Access


class Forwarded:
    """ASGI middleware: puts the asker in the place of the proxy, the last address that no trusted proxy has.

    What stands before that in X-Forwarded-For whoever asks may have written himself. X-Forwarded-Host is never read.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on as what it is."""
        client = scope.get("client")
        if scope["type"] == "http" and client and self._access.trusts(client[0]):
            said = {b"x-forwarded-for": "", b"x-forwarded-proto": ""}
            for name, value in scope["headers"]:
                if name in said:
                    said[name] += f"{',' if said[name] else ''}{value.decode('latin-1')}"
            scheme = said[b"x-forwarded-proto"].rpartition(",")[2].strip()
            asker = self._asker(said[b"x-forwarded-for"]) or client[0]
            state = {**scope.get("state", {}), "proxied": True}
            scope = {**scope, "client": (asker, client[1]), "state": state}
            if scheme in {"http", "https"}:
                scope["scheme"] = scheme
        await self._app(scope, receive, send)

    def _asker(self, chain: str) -> str:
        for text in reversed(chain.split(",")):
            try:
                address = str(ip_address(text.strip().strip("[]")))
            except ValueError:
                return ""
            if not self._access.trusts(address):
                return address
        return ""
