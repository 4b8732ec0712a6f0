"""Who is signed in at the page: sessions that end, on the gateway's side too, and outlast its restart.

What a browser has is a random text; only its SHA-256 is kept, so that the file lets nobody in.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

log = structlog.get_logger(__name__)

MOST_SESSIONS = 1000
MOST_OF_ONE = 20
"""Of one account: the oldest ends when there is another one."""

FILE_NAME = "http-sessions"


class Session(Struct, frozen=True):
    """Who signed in, until when (seconds since 1970), and a mark of what with: another password ends it."""

    name: str
    until: float
    proof: str


_DECODER = msgspec.json.Decoder(dict[str, Session])


class Sessions:
    """The sessions that have not ended, by the SHA-256 of what their browsers have."""

    def __init__(self, path: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._all: dict[str, Session] = self._read()

    def begin(self, name: str, proof: str, seconds: float) -> str:
        """Return what the browser is to have of a new session; never something that it brought."""
        text = secrets.token_urlsafe(32)
        now = self._clock()
        self._all = {key: each for key, each in self._all.items() if each.until > now}
        own = [key for key, each in self._all.items() if each.name == name]
        for keys, most in ((own, MOST_OF_ONE), (list(self._all), MOST_SESSIONS)):
            for key in keys[: max(len(keys) - most + 1, 0)]:  # the oldest first
                self._all.pop(key, None)
        self._all[_key(text)] = Session(name, now + seconds, proof)
        self._write()
        return text

    def find(self, text: str) -> Session | None:
        """Return the session of what a browser sent, or None."""
        found = self._all.get(_key(text))
        return found if found is not None and found.until > self._clock() else None

    def end(self, text: str) -> None:
        """End a session: what the browser has lets nobody in any more."""
        if self._all.pop(_key(text), None) is not None:
            self._write()

    def _read(self) -> dict[str, Session]:
        try:
            return {} if self._path is None else _DECODER.decode(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the file of sessions cannot be read: everybody has to sign in anew", error=str(error))
            return {}

    def _write(self) -> None:
        if self._path is None:
            return
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(file, "wb") as stream:
                stream.write(msgspec.json.encode(self._all))
            new.replace(self._path)
        except OSError as error:
            log.warning("sessions are not kept: a restart will ask for passwords anew", error=str(error))


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
