"""users, tokens: who may do what over HTTP. They write into the configuration; a reload lets it count."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import sys
import unicodedata
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from gateway.cli.output import config_option
from gateway.config import load
from gateway.config.values import parse_duration
from gateway.errors import ConfigError, GatewayError
from gateway.security.passwords import LONGEST_PASSWORD, SHORTEST_PASSWORD, hash_password

ROLES = ("viewer", "operator", "admin")

role_option = click.option(
    "--role", type=click.Choice(ROLES), required=True, help="viewer looks, operator deals with alerts, admin all."
)


@click.group()
def users() -> None:
    """Say who signs in at the page."""


@click.group()
def tokens() -> None:
    """Say what programs sign in with."""


@users.command("add")
@config_option
@click.argument("name")
@role_option
@click.option("--by-proxy", is_flag=True, help="Without a password: a trusted proxy says who it is.")
def add_user(config_path: Path, name: str, role: str, *, by_proxy: bool) -> None:
    """Add somebody to the configuration; the password is asked for, or read from a pipe.

    The line in the file has its hash only. It counts from the next reload on.
    """
    lines = ["[[users]]", f"name = {_quoted(name)}", f'role = "{role}"']
    if not by_proxy:
        lines.append(f'password = "{hash_password(_password())}"')
    _append(config_path, lines)
    click.echo(f"{config_path}: {name} has the role {role}, once the gateway has been reloaded")


@tokens.command("create")
@config_option
@click.argument("name")
@role_option
@click.option("--for", "span", default="365d", show_default=True, help="For so long it counts.")
def create_token(config_path: Path, name: str, role: str, span: str) -> None:
    """Make a token and print it, this once: the configuration gets its SHA-256 only.

    It counts from the next reload on, until the end of its last day in UTC.
    """
    try:
        last = _last_day(span)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(str(error), param_hint="--for") from error
    token = f"vgt_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(token.encode()).hexdigest()
    _append(
        config_path,
        ["[[tokens]]", f"name = {_quoted(name)}", f'role = "{role}"', f'sha256 = "{digest}"', f"until = {last}"],
    )
    click.echo(f"{config_path}: it counts until {last}, once the gateway has been reloaded", err=True)
    click.echo(token)


def _last_day(span: str) -> date:
    return (datetime.now(UTC) + timedelta(seconds=parse_duration(span) / 10**9)).date()


def _password() -> str:
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline(LONGEST_PASSWORD + 2).rstrip("\r\n")
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise GatewayError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; nothing was changed")
    return str(password)


def _quoted(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    if not name.isprintable() or '"' in name or "\\" in name:
        raise click.BadParameter("a name is letters, digits, and . @ _ - and blanks within it", param_hint="NAME")
    return f'"{name}"'


def _append(path: Path, lines: list[str]) -> None:
    """Append a table, whole or not at all: what comes of it has to be a configuration. Raises ConfigError."""
    path = path.resolve()
    before = path.read_bytes()
    new = path.with_name(f".{path.name}.{os.getpid()}")
    status = path.stat()
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(before + (b"" if before.endswith(b"\n") else b"\n") + "\n".join(["", *lines, ""]).encode())
            stream.flush()
            os.fsync(stream.fileno())
        try:
            load(new)
        except ConfigError as error:
            raise ConfigError([problem.replace(str(new), str(path)) for problem in error.problems]) from error
        new.chmod(stat.S_IMODE(status.st_mode))
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(new, status.st_uid, status.st_gid)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
