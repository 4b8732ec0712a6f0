"""Who may do what over HTTP: the people and the tokens of the file."""

from __future__ import annotations

import re
from datetime import date
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from gateway.config.section import Section

Role = Literal["viewer", "operator", "admin"]
"""What each may, the next may as well: look; deal with alerts, baselines and silences; all else."""

_PASSWORD_HASH = re.compile(
    r"\$argon2id\$v=19\$m=\d{4,7},t=\d{1,3},p=\d{1,3}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"
    r"|\$scrypt\$ln=1[4-8],r=8,p=[1-8]\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}"
)
_TOKEN_HASH = re.compile(r"[0-9a-f]{64}")


def _hash(value: SecretStr) -> SecretStr:
    if not _PASSWORD_HASH.fullmatch(value.get_secret_value()):
        raise ValueError("must be what 'vibration-gateway users add' prints, never a password")
    return value


def _token_hash(value: SecretStr) -> SecretStr:
    if not _TOKEN_HASH.fullmatch(value.get_secret_value()):
        raise ValueError("must be what 'vibration-gateway tokens create' writes, never a token")
    return value


Account = Annotated[str, Field(pattern=r"^[^\W_][\w.@ -]{0,98}[\w.]$|^[^\W_]$")]
"""The name of somebody: letters of any language, digits, and . @ _ - and blanks within it."""

Network = IPv4Network | IPv6Network


class UserSection(Section):
    """Somebody who signs in. Without `password` only by a trusted proxy."""

    name: Account
    role: Role
    password: Annotated[SecretStr, AfterValidator(_hash)] | None = None


class TokenSection(Section):
    """What a program signs in with, until a day (the last one, in UTC)."""

    name: Account
    role: Role
    sha256: Annotated[SecretStr, AfterValidator(_token_hash)]
    until: date
