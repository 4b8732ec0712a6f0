"""run, check and backup."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click

from gateway import __version__
from gateway.cli import DONE, PROBLEMS, logs
from gateway.cli.output import config_option, journal_path
from gateway.config import Config, load
from gateway.errors import ConfigError
from gateway.journal import copy


@click.command()
@config_option
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True)
def run(config_path: Path, log_level: str) -> None:
    """Run the gateway until it is told to stop (SIGTERM or Ctrl-C; a second one stops it at once)."""
    from gateway import app  # noqa: PLC0415 - only who runs the gateway pays for its imports

    config = load(config_path)
    logs.set_up(config.secrets, log_level)
    try:
        until_signalled(app.run(config, _announce(config)))
    except ConfigError as error:
        raise ConfigError([f"{config_path}: {problem}" for problem in error.problems]) from error


def until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`; the first SIGTERM or SIGINT cancels it, the second ends the process."""
    asyncio.run(_cancelled_by_signals(work))


async def _cancelled_by_signals(work: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    stopping = False

    def stop() -> None:
        nonlocal stopping
        stopping = True
        task.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopping:
            raise


def _announce(config: Config) -> Callable[[str | None], None]:
    def announce(page_url: str | None) -> None:
        import structlog  # noqa: PLC0415 - configured by now

        structlog.get_logger(__name__).info(
            "the gateway is running", gateway=config.gateway.id, version=__version__, page=page_url
        )

    return announce


@click.command()
@config_option
def check(config_path: Path) -> None:
    """Check the configuration without connecting to anything; name every problem with its file, key and reason."""
    from gateway import app  # noqa: PLC0415

    try:
        config = load(config_path)
    except ConfigError as error:
        _report(error.problems)
    try:
        app.build_plugins(config)
    except ConfigError as error:
        _report([f"{config_path}: {problem}" for problem in error.problems])
    for warning in _warnings(config):
        click.echo(f"{config_path}: warning: {warning}", err=True)
    click.echo(f"{config_path}: ok: {_summary(config)}")
    raise click.exceptions.Exit(DONE)


def _report(problems: list[str]) -> None:
    for problem in problems:
        click.echo(problem, err=True)
    raise click.exceptions.Exit(PROBLEMS)


def _warnings(config: Config) -> list[str]:
    """Return what is allowed, but probably not meant."""
    routed = {name for route in config.routes for name in route.handlers}
    warnings = [f"handlers.{name}: no route leads to it" for name in config.handlers if name not in routed]
    if not config.routes:
        warnings.append("routes: there are none, so nobody is told of an alert")
    if (
        config.mqtt.password is not None
        and config.mqtt.tls is None
        and config.mqtt.host not in {"localhost", "127.0.0.1"}
    ):
        warnings.append("mqtt.password: it is sent in the clear, since there is no mqtt.tls")
    return warnings


def _summary(config: Config) -> str:
    history = "InfluxDB" if config.influxdb else "the journal"
    page = "with" if config.http else "without"
    return (
        f"{len(config.mqtt.topics)} topic template(s), history in {history}, {len(config.handlers)} handler(s),"
        f" {len(config.routes)} route(s), {page} a live page"
    )


@click.command()
@config_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(config_path: Path, file: Path) -> None:
    """Copy the journal into FILE, consistently, while the gateway runs or not."""
    count = copy(journal_path(load(config_path)), file)
    click.echo(f"{file}: {count} readings, {file.stat().st_size / 1e6:.1f} MB, checked")
