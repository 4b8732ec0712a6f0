"""Passwords as they are kept: argon2id, or scrypt where there is no argon2 for the machine (32-bit ARM).

A hash says which of them it is, and with which costs, so that either can be verified wherever its library is.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode

try:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError
except ImportError:  # there is no wheel for 32-bit ARM
    HAS_ARGON2 = False
else:
    HAS_ARGON2 = True

SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 200
"""Characters. What is longer costs us more than it costs a guesser."""

_MEMORY_KIB, _PASSES, _LANES = 19_456, 2, 1
"""Of argon2id: what OWASP's cheat sheet on password storage gives as its least, since a device may have 512 MB."""

_LOG_N, _BLOCK, _PARALLEL = 15, 8, 3
"""Of scrypt, from the same sheet: 32 MiB, three times."""


def hash_password(password: str, *, kind: str = "") -> str:
    """Return what is kept of a password; `kind` is argon2id or scrypt, by itself the best there is here."""
    if HAS_ARGON2 and kind != "scrypt":
        hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=_LANES)
        return hasher.hash(password)
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _LOG_N, _PARALLEL)
    return f"$scrypt$ln={_LOG_N},r={_BLOCK},p={_PARALLEL}${_encode(salt)}${_encode(digest)}"


def verify(hashed: str, password: str) -> bool:
    """Return whether a password is the one that was hashed. Takes some 30 ms, on purpose."""
    if len(password) > LONGEST_PASSWORD:
        return False
    if hashed.startswith("$scrypt$"):
        _, _, costs, salt, digest = hashed.split("$")
        log_n, _, parallel = (int(part.partition("=")[2]) for part in costs.split(","))
        return hmac.compare_digest(_encode(_scrypt(password, _decode(salt), log_n, parallel)), digest)
    if not HAS_ARGON2:
        return False
    try:
        return PasswordHasher().verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def is_verifiable(hashed: str) -> bool:
    """Return whether passwords can be compared with this hash on this machine."""
    return HAS_ARGON2 or hashed.startswith("$scrypt$")


def _scrypt(password: str, salt: bytes, log_n: int, parallel: int) -> bytes:
    cost = 1 << log_n
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=_BLOCK, p=parallel, dklen=32, maxmem=2 * 128 * cost * _BLOCK
    )


def _encode(content: bytes) -> str:
    return b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4))
