"""init: a new journal where another one is missing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from gateway.cli.output import config_option, journal_path
from gateway.config import load
from gateway.errors import GatewayError
from gateway.ingest.subscriptions import begin_on_purpose
from gateway.journal import Journal, StateLock


@click.command()
@config_option
def init(config_path: Path) -> None:
    """Begin a new journal on purpose; the first start of a gateway needs no such step.

    A gateway whose journal is gone stores and acknowledges nothing. This says that it does not come back: what the
    broker has kept meanwhile then goes into a new one. A journal that belongs here is never touched.
    """
    config = load(config_path)
    path = journal_path(config)
    lock = StateLock(config.gateway.state_dir)
    try:
        _begin(path)
    finally:
        lock.release()
    click.echo(f"{path}: a new journal, which takes over what the broker has kept for this gateway")


def _begin(path: Path) -> None:
    was_there = path.exists()
    with closing(Journal(path)) as journal:
        if was_there and journal.missing is None:
            raise GatewayError(
                f"{path} is a journal already; to begin a new one, move it away, and journal.db.mark, too"
            )
        journal.is_found()
        begin_on_purpose(journal)
