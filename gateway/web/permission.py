"""Who asks over HTTP, and whether they may: the table of rights, applied before anything is looked at."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

import structlog
from fastapi import HTTPException, Request

from gateway.config.access import Network, TokenSection, UserSection
from gateway.security.audit import Audit
from gateway.security.sessions import Sessions
from gateway.web.rights import OF_ROLE, RIGHTS, Right
from gateway.web.security import host_name
from gateway.web.wrong_tokens import LONGEST_DELAY, WrongTokens

log = structlog.get_logger(__name__)

RETRY_AFTER = str(round(LONGEST_DELAY))
_LOOKS = {"GET", "HEAD"}
_ADDRESS = re.compile(r"[^\s<>\"',;:()]+@[^\s<>\"',;:()]+|\+\d[\d ()/-]{5,}\d")
HIDDEN = "(hidden: sign in)"


@dataclass(frozen=True)
class Identity:
    """Who asks, what they may, and how that is known: `token`, `session` or `proxy`.

    Whoever has the gateway's own token may speak for others: the command line does, for whoever runs it.
    """

    name: str
    right: Right
    how: str
    speaks_for_others: bool = False

    @property
    def by_itself(self) -> bool:
        """Return whether a browser sends along what it is known by, whoever's page asks."""
        return self.how != "token"


@dataclass(frozen=True)
class Access:
    """Who may come in, as the configuration has it. `session_seconds` is how long somebody stays signed in."""

    users: Mapping[str, UserSection] = field(default_factory=dict)
    tokens: Mapping[str, TokenSection] = field(default_factory=dict)
    """By the SHA-256 of the token."""
    sessions: Sessions = field(default_factory=Sessions)
    audit: Audit = field(default_factory=Audit)
    cookie: str = "vibration-gateway"
    read_open: bool = True
    session_seconds: float = 43_200.0
    proxies: tuple[Network, ...] = ()
    user_header: str = ""

    def trusts(self, address: str) -> bool:
        """Return whether this address is that of a proxy whose word counts."""
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return any(ip.version == network.version and ip in network for network in self.proxies)


class Permission:
    """The check before every answer. A request with a token and without an Origin is a program's, and allowed."""

    def __init__(
        self,
        token: str,
        hosts: frozenset[str],
        refused: Callable[[str], None] = lambda _: None,
        wrong_tokens: WrongTokens | None = None,
        access: Access | None = None,
    ) -> None:
        self.access = access or Access()
        self.wrong_tokens = wrong_tokens or WrongTokens()
        self._token = token
        self._hosts = {host.lower() for host in hosts}
        self._refused = refused
        self._refusals: Counter[str] = Counter()

    async def __call__(self, request: Request) -> None:
        """Raise as `asker` and `check` do."""
        needed = _needed(request)
        if needed is Right.NOTHING:
            return
        identity = request.state.identity = await self.asker(request)
        self.check(request, identity, needed)

    async def asker(self, request: Request) -> Identity | None:
        """Return who asks, as `identify` does: later the more wrong tokens came from there, or 429 at once."""
        offered = request.headers.get("Authorization", "")[:7].lower() == "bearer "
        if offered:
            self.refuse_eager(request)
        try:
            return self.identify(request)
        except HTTPException as error:
            if error.status_code == HTTPStatus.UNAUTHORIZED:
                await self.failed(request)
            raise

    async def failed(self, request: Request, account: str = "") -> None:
        """Count a wrong token or password, and wait, the longer the more came from there, or for this account.

        Who knows the password of an account is never refused for what others try.
        """
        self._refused("wrong token")
        await self.wrong_tokens.failed(address_of(request))
        if account:
            await self.wrong_tokens.failed(f"account {account}")

    def refuse_eager(self, request: Request) -> None:
        """Raise HTTPException 429 if too much that is wrong comes from there to look at more of it."""
        if self.wrong_tokens.is_refused(address_of(request)):
            self._refused("too many wrong tokens")
            raise HTTPException(429, "too many wrong tokens came from this address", {"Retry-After": RETRY_AFTER})

    def check(self, request: Request, identity: Identity | None, needed: Right) -> None:
        """Raise HTTPException 401 for whom we do not know, 403 for who may not, or from another site's page."""
        if identity is None:
            if needed is Right.READ and self.access.read_open:
                return
            self._refused("wrong token")
            raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})
        if request.method not in _LOOKS:
            self.check_origin(request, required=identity.by_itself)
        if identity.right < needed:
            role = next(name for name, right in OF_ROLE.items() if right is needed)
            raise self.refusal(request, "role", f"{identity.name!r} may not do this: it takes the role {role}")

    def identify(self, request: Request) -> Identity | None:
        """Return who asks. Raises HTTPException for a wrong token, and for a name that only a proxy may say."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and (found := self.by_token(token)):
            return found
        if scheme.lower() == "bearer":
            raise HTTPException(401, "the token is missing or wrong", {"WWW-Authenticate": "Bearer"})
        header = self.access.user_header
        if header and header in request.headers:
            return self._by_proxy(request, header)
        return self.by_session(request)

    def still(self, request: Request, identity: Identity | None) -> bool:
        """Tell whether who asked is still whom we took him for: signed in, with a token that has not ended."""
        if identity is None:
            return True
        try:
            return self.identify(request) == identity
        except HTTPException:
            return False

    def by_token(self, token: str) -> Identity | None:
        """Return whose token this is, if it has not ended."""
        if secrets.compare_digest(token.encode(), self._token.encode()):
            return Identity("token", Right.ADMINISTER, "token", speaks_for_others=True)
        found = self.access.tokens.get(hashlib.sha256(token.encode()).hexdigest())
        if found is None:
            return None
        if found.until < datetime.now(UTC).date():
            log.warning("a token was used after its end", token=found.name, ended=found.until.isoformat())
            return None
        return Identity(found.name, OF_ROLE[found.role], "token")

    def by_session(self, request: Request) -> Identity | None:
        """Return who is signed in with what the browser sent along."""
        text = request.cookies.get(self.access.cookie, "")
        session = self.access.sessions.find(text) if text else None
        if session is None:
            return None
        if session.proof == self.proof(None):
            return Identity(session.name, Right.ADMINISTER, "session", speaks_for_others=True)
        user = self.access.users.get(session.name)
        if user is None or session.proof != self.proof(user):
            return None  # removed, or another password since
        return Identity(user.name, OF_ROLE[user.role], "session")

    def proof(self, user: UserSection | None) -> str:
        """Return a mark of what somebody signed in with; None is the gateway's own token."""
        secret = self._token if user is None else user.password.get_secret_value() if user.password else ""
        return hashlib.sha256(f"{'token' if user is None else 'user'}\n{secret}".encode()).hexdigest()

    def check_origin(self, request: Request, *, required: bool) -> None:
        """Raise HTTPException 403 for what a page of another site asks for."""
        origin = request.headers.get("Origin")
        if required if origin is None else not self._is_ours(origin, request.headers.get("Host", "")):
            raise self.refusal(request, "wrong origin", "this change was asked for by a page of another site")

    def refusal(self, request: Request, reason: str, words: str) -> HTTPException:
        """Return a 403, counted by its reason and said in the log, ever more seldom the more there are."""
        self._refused(reason)
        self._refusals[reason] += 1
        if self._refusals[reason].bit_count() == 1:  # 1, 2, 4, 8, …: no number of tries fills the log
            times = self._refusals[reason]
            log.warning(
                "refused over HTTP", reason=reason, address=address_of(request), path=request.url.path, times=times
            )
        return HTTPException(403, words)

    def _by_proxy(self, request: Request, header: str) -> Identity:
        if not getattr(request.state, "proxied", False):
            raise self.refusal(request, "untrusted proxy", f"{header} counts only from the proxies of http.proxies")
        names = request.headers.getlist(header)
        user = self.access.users.get(names[0].encode("latin-1").decode("utf-8", "replace")) if len(names) == 1 else None
        if user is None:
            raise self.refusal(request, "unknown user", "the proxy named somebody who is none of the [[users]]")
        return Identity(user.name, OF_ROLE[user.role], "proxy")

    def _is_ours(self, origin: str, host: str) -> bool:
        netloc = origin.partition("://")[2].lower()  # an Origin has neither a path nor a user
        return netloc != "" and (netloc == host.lower() or host_name(netloc) in self._hosts)


def who(request: Request, by: str | None) -> str:
    """Return in whose name a change is made: who signed in, whatever the body says.

    Raises HTTPException 422 if nobody is named where the gateway's own token may speak for anybody.
    """
    identity: Identity = request.state.identity
    if not identity.speaks_for_others:
        return identity.name
    if by is None:
        raise HTTPException(422, [{"loc": ["body", "by"], "msg": "Field required", "type": "missing"}])
    return by


def shown(request: Request, value: Any) -> Any:
    """Return an answer as this asker may see it: without addresses and numbers of people, if we do not know him."""
    return value if request.state.identity is not None else hidden(value)


def hidden(value: Any) -> Any:
    """Return a value without addresses and numbers of people in its texts."""
    if isinstance(value, str):
        return _ADDRESS.sub(HIDDEN, value)
    if isinstance(value, Mapping):
        return {key: hidden(part) for key, part in value.items()}
    return [hidden(part) for part in value] if isinstance(value, list | tuple) else value


def address_of(request: Request) -> str:
    """Return where a request came from; of a trusted proxy's, for whom it asks."""
    return request.client.host if request.client else ""


def _needed(request: Request) -> Right:
    """Return what a route needs. Raises HTTPException 403 for one without a row in the table."""
    method = "GET" if request.method == "HEAD" else request.method
    path = getattr(request.scope.get("route"), "path", "")
    if (method, path) not in RIGHTS:
        raise HTTPException(403, "nobody has said who may do this")
    return RIGHTS[method, path]
