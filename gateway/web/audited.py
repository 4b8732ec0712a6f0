"""Notes in the audit what changes something: who asked, for what, from where, and what was answered."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.security.audit import Audit

_LOOKS = {"GET", "HEAD", "OPTIONS"}
_REFUSED, _UNKNOWN = 400, 401
_SIGNING_IN = "/api/v1/session"


class Audited:
    """ASGI middleware. Who is not known and changes nothing is in the log and the metrics, which he cannot fill."""

    def __init__(self, app: ASGIApp, audit: Audit) -> None:
        self._app = app
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note what came of it."""
        if scope["type"] != "http" or scope["method"] in _LOOKS:
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(scope, state.get("identity"), message["status"])
            await send(message)

        await self._app(scope, receive, noted)

    def _note(self, scope: Scope, identity: object, status: int) -> None:
        signed_link = scope["path"].startswith("/ack/")
        tried = status < _REFUSED if signed_link else scope["path"] == _SIGNING_IN and status <= _UNKNOWN
        if identity is None and not tried:  # a forged link, too
            return
        path = "/ack/…" if signed_link else scope["path"]  # the link itself lets its finder in
        who, how = getattr(identity, "name", ""), getattr(identity, "how", "link" if signed_link else "")
        client = scope.get("client")
        self._audit.record(who, how, client[0] if client else "", f"{scope['method']} {path}", status)
