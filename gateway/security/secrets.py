"""Secrets that the gateway makes for itself and keeps beside its journal."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gateway.config import Config
from gateway.errors import ConfigError, GatewayError
from gateway.security.ack_links import SHORTEST_KEY

TOKEN_FILE = "http-token"  # noqa: S105 - the name of a file


LINK_KEY_FILE = "link-key"


def http_token(config: Config) -> str:
    """Return the token that changes need: the configured one, else one that is made once and kept in the state_dir.

    Raises ConfigError for a file that cannot be read, and GatewayError if none can be made.
    """
    if config.http is not None and config.http.token is not None:
        return config.http.token.get_secret_value()
    return _kept_secret(config.gateway.state_dir / TOKEN_FILE)


def link_key(config: Config) -> bytes:
    """Return the key that acknowledge links are signed with; it is made once and kept in the state_dir.

    Raises as `http_token`, and ConfigError for a key that is too short.
    """
    path = config.gateway.state_dir / LINK_KEY_FILE
    key = _kept_secret(path).encode()
    if len(key) < SHORTEST_KEY:
        short = f"the key is shorter than {SHORTEST_KEY} bytes; remove the file, and the next start makes a new one"
        raise ConfigError([f"{path}: {short}"])
    return key


def _kept_secret(path: Path) -> str:
    """Return the secret in a file that only its owner can read; a new one if there is none."""
    try:
        if secret := path.read_text(encoding="ascii").strip():
            return secret
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not plain ASCII"
        mend = "run this as the gateway's user, or remove it, and the next start makes a new one"
        raise ConfigError([f"{path}: the secret in it cannot be read: {reason}; {mend}"]) from error
    try:
        return _new_secret(path)
    except OSError as error:
        raise GatewayError(f"{path}: a secret cannot be kept in it: {error.strerror}") from error


def _new_secret(path: Path) -> str:
    secret = secrets.token_urlsafe(32)
    new = path.with_name(f"{path.name}.{os.getpid()}")  # whole or not at all: a crash must not leave an empty one
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w", encoding="ascii") as stream:
        stream.write(f"{secret}\n")
    new.replace(path)
    return secret
