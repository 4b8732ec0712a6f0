"""Signing in and out at the page, and who is signed in."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.config.access import UserSection
from gateway.config.values import is_loopback
from gateway.security.passwords import LONGEST_PASSWORD, hash_password, verify
from gateway.web.permission import Identity, Permission, address_of
from gateway.web.rights import OF_ROLE, Right
from gateway.web.security import host_name

log = structlog.get_logger(__name__)

MOST_WAITING = 8
"""Passwords that wait to be looked at, one after the other: each takes 20 MB and some 30 ms."""


class Credentials(BaseModel):
    """A name and its password; or the gateway's own token as the password, without a name."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=100)] = ""
    password: Annotated[str, Field(max_length=LONGEST_PASSWORD)]


class _Passwords:
    """Looks at passwords one at a time, apart from the event loop; as long for a name that there is not."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._nobody: str | None = None

    async def is_right(self, user: UserSection | None, password: str) -> bool:
        if self._waiting >= MOST_WAITING:
            raise HTTPException(429, "too many are signing in at once", {"Retry-After": "5"})
        self._waiting += 1
        try:
            async with self._lock:
                return await asyncio.to_thread(self._compare, user, password)
        finally:
            self._waiting -= 1

    def _compare(self, user: UserSection | None, password: str) -> bool:
        if user is not None and user.password is not None:
            return verify(user.password.get_secret_value(), password)
        self._nobody = self._nobody or hash_password("nobody's")
        verify(self._nobody, password)
        return False


def create_signing_in(permission: Permission) -> APIRouter:
    """Return the routes of the session."""
    router = APIRouter(prefix="/api/v1/session")
    access = permission.access
    passwords = _Passwords()
    cookie: dict[str, Any] = {"key": access.cookie, "path": "/", "secure": True, "httponly": True, "samesite": "strict"}

    @router.get("")
    async def show_session(request: Request) -> dict[str, Any]:
        """Return who is signed in and what they may, and whether reading needs that."""
        found = await permission.asker(request)
        return {**_described(found), "readNeedsSignIn": not access.read_open}

    @router.post("", responses={401: {}, 403: {}, 429: {}})
    async def sign_in(request: Request, response: Response, body: Credentials) -> dict[str, Any]:
        """Sign in: the answer's cookie counts until it ends, or until signing out."""
        permission.check_origin(request, required=False)
        permission.refuse_eager(request)
        if request.url.scheme != "https" and not is_loopback(host_name(request.headers.get("Host", ""))):
            raise permission.refusal(request, "clear text", "a password is not sent in the clear: ask over https")
        user = access.users.get(body.name)
        by_token = permission.by_token(body.password) if not body.name else None
        if by_token is not None and by_token.speaks_for_others:
            found, proof = (
                Identity("token", Right.ADMINISTER, "session", speaks_for_others=True),
                permission.proof(None),
            )
        elif user is not None and await passwords.is_right(user, body.password):
            found, proof = Identity(user.name, OF_ROLE[user.role], "session"), permission.proof(user)
        else:
            if user is None:
                await passwords.is_right(None, body.password)
            await permission.failed(request, "" if user is None else user.name)
            raise HTTPException(401, "this name and password do not belong together")
        if before := request.cookies.get(access.cookie):
            access.sessions.end(before)
        begin = partial(access.sessions.begin, found.name, proof, access.session_seconds)
        response.set_cookie(value=await asyncio.to_thread(begin), max_age=round(access.session_seconds), **cookie)
        request.state.identity = found
        log.info("signed in at the page", user=found.name, address=address_of(request))
        return {**_described(found), "readNeedsSignIn": not access.read_open}

    @router.delete("", status_code=204, responses={403: {}})
    async def sign_out(request: Request, response: Response) -> None:
        """Sign out: the cookie counts no more, wherever else it may be."""
        permission.check_origin(request, required=True)
        if text := request.cookies.get(access.cookie):
            await asyncio.to_thread(access.sessions.end, text)
        response.delete_cookie(**cookie)

    return router


def _described(found: Identity | None) -> dict[str, Any]:
    if found is None:
        return {"signedIn": False, "name": None, "role": None, "namesItself": True}
    role = next(name for name, right in OF_ROLE.items() if right is found.right)
    return {"signedIn": True, "name": found.name, "role": role, "namesItself": found.speaks_for_others}
