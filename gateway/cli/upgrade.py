"""upgrade: what this version of the program will do to a journal and a configuration, before it does."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import click

from gateway import __version__
from gateway.cli import FAILED
from gateway.cli.output import config_option, journal_path, output_option, print_json
from gateway.cli.run import read_configuration
from gateway.journal import newest_version, version_of

_SPARE = 1.1
"""The copy that is kept takes what the journal takes; a migration's own log comes on top."""


@click.command()
@config_option
@output_option
@click.option("--check", is_flag=True, required=True, help="Only say it; the first start of a new version does it.")
def upgrade(config_path: Path, output: str, *, check: bool) -> None:  # noqa: ARG001 - asked for, so that nobody takes it for the deed
    """Say what this version will change, asked of the new program before it runs for the first time.

    Exit codes: 0 it can start, 1 it could not (the journal is a newer program's, or the disk has no room for the copy
    that is kept), 3 it would refuse the configuration.
    """
    config, _ = read_configuration(config_path)
    path = journal_path(config)
    found = _journal(path) if path.exists() else None
    if output == "json":
        print_json({"version": __version__, "configuration": "ok", "journal": found})
    else:
        click.echo(f"vibration-gateway {__version__}")
        click.echo(f"{config_path}: ok, this version takes it as it is")
        for line in _said(path, found):
            click.echo(line)
    if found is not None and found["problem"] is not None:
        sys.exit(FAILED)


def _journal(path: Path) -> dict[str, Any]:
    version, steps = version_of(path)
    size = sum(part.stat().st_size for part in (path, path.with_name(f"{path.name}-wal")) if part.exists())
    free = shutil.disk_usage(path.parent).free
    known = newest_version()
    problem = None
    if version > known:
        problem = f"a newer program made it (schema {version}, this one knows {known}): take that program, or the copy"
    elif steps and free < size * _SPARE:
        problem = f"the copy that is kept needs {_megabytes(size * _SPARE)}, and {_megabytes(free)} are free"
    return {
        "schema": version,
        "newSchema": known,
        "changes": steps,
        "size": size,
        "free": free,
        "copy": f"{path.name}.version-{version}" if steps else None,
        "problem": problem,
    }


def _said(path: Path, found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return [f"{path}: there is no journal yet; the first start makes one"]
    if found["problem"] is not None:
        return [f"{path}: this version cannot start with it: {found['problem']}"]
    if not found["changes"]:
        return [
            f"{path}: as this version has it (schema {found['schema']}); going back needs nothing but the old program"
        ]
    copy = path.with_name(found["copy"])
    return [
        (
            f"{path}: {_megabytes(found['size'])}, schema {found['schema']}, becomes schema {found['newSchema']}:"
            f" {', '.join(found['changes'])}"
        ),
        f"before that it is copied to {copy} ({_megabytes(found['free'])} are free); the broker keeps what comes then",
        (
            f"the way back: stop the gateway, install the old program, move {path}, {path.name}-wal and {path.name}-shm"
            f" away, rename {copy.name} to {path.name}, start. What came in between is only in the file moved away,"
            " and in InfluxDB"
        ),
    ]


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.0f} kB"  # noqa: PLR2004 - a megabyte
