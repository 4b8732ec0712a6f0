"""audit: whether what was noted of who did what is still as it was noted."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import FAILED
from gateway.cli.output import config_option
from gateway.cli.tables import inert
from gateway.config import load_state_dir
from gateway.security.audit import FILE_NAME, verify


@click.group()
def audit() -> None:
    """Look after the audit of changes over HTTP."""


@audit.command("verify")
@config_option
def verify_command(config_path: Path) -> None:
    """Say whether the chain is whole, with the number and SHA-256 of its last line: note them where nobody reaches."""
    folder = load_state_dir(config_path)
    problems, seq, digest = verify(folder)
    for problem in problems:
        click.echo(inert(problem), err=True)
    if problems:
        sys.exit(FAILED)
    click.echo(f"{folder / FILE_NAME}: whole, up to number {seq}, {digest}")
