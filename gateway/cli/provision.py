"""provision: for each of many devices a folder with its configuration and credentials, and what the broker needs."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import re
import secrets
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path

import click

from gateway.errors import GatewayError

_FIELD = re.compile(r"\{\{ *([A-Za-z_]\w*) *\}\}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FORBIDDEN = re.compile(r"[\"'\\\x00-\x1f\x7f]")
"""A value stands within quotation marks of the template: nothing in it can end them."""

_ROUNDS, _SALT, _HASH = 1000, 12, 64
"""As mosquitto_passwd makes them: PBKDF2 with SHA-512. The password is random, so that no number of rounds matters."""

_PASSWORD = "mqtt-password"  # noqa: S105 - the name of a file


@click.command()
@click.argument("devices", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-c", "--template", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A gateway.toml with {{column}} where the devices differ.",
)  # fmt: skip
@click.option(
    "--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The broker's authority, which goes into each folder.",
)  # fmt: skip
@click.option("--out", default="bundles", show_default=True, type=click.Path(file_okay=False, path_type=Path))
def provision(devices: Path, template: Path, ca: Path | None, out: Path) -> None:
    """Make a folder for each row of DEVICES, a CSV file with a column `id` and those that the template asks for.

    In each: gateway.toml, the account's password at the broker, the page's token, the key of links. Beside them
    gateways.passwd and gateways.acl for the broker. What a device has already stays as it is; its configuration is
    written anew.
    """
    text = template.read_text(encoding="utf-8")
    rows = _rows(devices, set(_FIELD.findall(text)))
    configurations = {row["id"]: _filled(text, row, template) for row in rows}
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    accounts = {id_: _bundle(out / id_, configuration, ca) for id_, configuration in configurations.items()}
    _write(out / "gateways.passwd", "".join(f"{id_}:{_hashed(password)}\n" for id_, password in accounts.items()))
    _write(out / "gateways.acl", "\n".join(map(_rights, accounts)))
    click.echo(f"{len(accounts)} devices in {out}; gateways.passwd and gateways.acl are the broker's")


def _rows(devices: Path, wanted: set[str]) -> list[dict[str, str]]:
    """Return the rows. Raises GatewayError, with the line, for what cannot be a device."""
    with devices.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        missing = sorted({"id", *wanted} - set(reader.fieldnames or ()))
        if missing:
            raise GatewayError(f"{devices}: there is no column {', no column '.join(missing)}")
        rows: list[dict[str, str]] = []
        for row in reader:
            where = f"{devices}: line {reader.line_num}"
            if not _ID.fullmatch(row["id"] or ""):
                raise GatewayError(
                    f"{where}: {row['id']!r} cannot be the id of a gateway: letters, digits, . _ and - only"
                )
            if any(each["id"].lower() == row["id"].lower() for each in rows):
                raise GatewayError(f"{where}: {row['id']} is there twice")
            for name in wanted:
                if row[name] is None or _FORBIDDEN.search(row[name]):
                    raise GatewayError(
                        f"{where}: {name} is missing, or has a quotation mark, a backslash or a control character"
                    )
            rows.append(row)
    return rows


def _filled(text: str, row: Mapping[str, str], template: Path) -> str:
    """Return a device's configuration. Raises GatewayError unless it is TOML with the device's id."""
    filled = _FIELD.sub(lambda found: row[found[1]], text)
    try:
        tables = tomllib.loads(filled)
    except tomllib.TOMLDecodeError as error:
        raise GatewayError(f"{template}: with the values of {row['id']} it is not TOML: {error}") from error
    gateway = tables.get("gateway")
    if not isinstance(gateway, dict) or gateway.get("id") != row["id"]:
        raise GatewayError(f'{template}: [gateway] needs id = "{{{{id}}}}", or all devices would be the same one')
    return filled


def _bundle(folder: Path, configuration: str, ca: Path | None) -> str:
    """Write a device's folder, but for what it has already; return its password at the broker."""
    folder.mkdir(mode=0o700, exist_ok=True)
    _write(folder / "gateway.toml", configuration)
    for name in (_PASSWORD, "http-token", "link-key"):
        if not (folder / name).exists():
            _write(folder / name, secrets.token_urlsafe(32))
    if ca is not None:
        shutil.copyfile(ca, folder / "ca.crt")
    return (folder / _PASSWORD).read_text(encoding="ascii").strip()


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    with open(new, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    new.replace(path)


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(_SALT)
    found = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS, _HASH)
    return f"$7${_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(found).decode()}"


def _rights(id_: str) -> str:
    """Return what a gateway may do at the broker, as config/mosquitto/gateway.acl has it, and nothing of another's."""
    return (
        f"user {id_}\n"
        "topic read vibration/#\n"
        "topic read $SYS/broker/publish/messages/dropped\n"
        "topic readwrite vibration/alerts/#\n"
        f"topic readwrite vibration/gateway/{id_}/#\n"
        f"topic write vibration/fleet/{id_}/facts\n"
        f"topic write vibration/fleet/{id_}/health\n"
        f"topic write vibration/fleet/{id_}/answers\n"
    )
