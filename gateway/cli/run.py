"""run and backup."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import structlog

from gateway import __version__
from gateway.app import run as app
from gateway.cli import logs
from gateway.cli.output import config_option, journal_path
from gateway.config import Config, load
from gateway.errors import ConfigError, GatewayError
from gateway.journal import copy
from gateway.plugins.registry import Plugins, build_plugins
from gateway.telemetry.service_manager import notify


@click.command()
@config_option
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True)
def run(config_path: Path, log_level: str) -> None:
    """Run the gateway until it is told to stop (SIGTERM or Ctrl-C; a second one stops it at once).

    SIGHUP reads the configuration again; one with a mistake, or that cannot be started with, changes nothing.
    """
    serve(config_path, log_level)


def serve(config_path: Path, log_level: str) -> None:
    """Run it until it is told to stop. Raises ConfigError, GatewayError."""
    share_memory()
    config, plugins = read_configuration(config_path)
    logs.set_up(config.secrets, log_level)
    asyncio.run(run_and_reload(config_path, config, plugins, log_level))


_M_ARENA_MAX = -8  # of glibc's malloc.h
SETTLING = 5.0
"""Seconds after which a start has made what it makes, the page included."""


def share_memory() -> None:
    """Have all threads share the C library's memory, as far as it is glibc.

    By itself it keeps a pool for each thread, up to eight for each processor, and every one of them keeps the most that
    it ever needed: 114 MB instead of 104 after three minutes of load. The interpreter lets one thread run at a time.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def read_configuration(config_path: Path) -> tuple[Config, Plugins]:
    """Read a configuration and make everything that can fail for it. Raises ConfigError with every problem."""
    config = load(config_path)
    try:
        return config, build_plugins(config)
    except ConfigError as error:
        raise ConfigError([f"{config_path}: {problem}" for problem in error.problems]) from error


async def run_and_reload(config_path: Path, config: Config, plugins: Plugins, log_level: str) -> None:
    """Run the gateway; on SIGHUP stop it in order and start it with the new configuration.

    Nothing is lost in between: the broker keeps what comes. What can fail about a configuration is tried before the
    running gateway is touched; should the start fail all the same, as with a port that is taken, the old one is back.
    """
    signals = Signals()
    log = structlog.get_logger(__name__)
    old: Config | None = None
    while True:
        started = asyncio.Event()
        running = asyncio.ensure_future(app.run(config, _announce(config, started), plugins, log_level))
        reloaded = await _next_configuration(config_path, config.gateway.state_dir, signals, running)
        if reloaded is None:
            failure = _failure(running)
            if old is None or started.is_set() or failure is None:
                if failure is None:
                    log.info("stopping")
                await _ended(running)
                log.info("stopped")
                return
            details = None if isinstance(failure, GatewayError) else failure
            log.error(
                "the new configuration cannot be used; the old one comes back", error=str(failure), exc_info=details
            )
            config, plugins, old = old, build_plugins(old), None
            del running, failure, details  # the error knows where it happened, and with that all that was there
            await _clear_away()
            logs.set_up(config.secrets, log_level)
            continue
        await _ended(running)
        del running
        await _clear_away()
        old, (config, plugins) = config, reloaded
        logs.set_up(config.secrets, log_level)


async def _next_configuration(
    config_path: Path, state_dir: Path, signals: Signals, running: asyncio.Future[None]
) -> tuple[Config, Plugins] | None:
    """Wait for a SIGHUP with a configuration that is right; return None when the gateway is to end or has ended."""
    log = structlog.get_logger(__name__)
    while await signals.next_or(running) == signal.SIGHUP:
        try:
            loaded = read_configuration(config_path)
        except ConfigError as error:
            log.error("the configuration has mistakes; the old one stays", problems=error.problems)  # noqa: TRY400 - they say it all
            continue
        if loaded[0].gateway.state_dir != state_dir:
            log.error(
                "gateway.state_dir is another one; the old configuration stays, since baselines and alerts would begin"
                " anew: move the folder while the gateway is stopped, then start it",
                running=str(state_dir),
                configured=str(loaded[0].gateway.state_dir),
            )
            continue
        log.info("starting anew with the configuration as it is now", config=str(config_path))
        return loaded
    return None


async def _clear_away() -> None:
    """Collect what has ended. It refers to itself, with all its sensors, and two at once need twice the memory."""
    await asyncio.sleep(0)  # until then the loop holds the task that it has just woken us from
    gc.unfreeze()
    gc.collect()


def _failure(running: asyncio.Future[None]) -> BaseException | None:
    """Return what ended the gateway, or None if it still runs."""
    return running.exception() if running.done() and not running.cancelled() else None


async def _ended(running: asyncio.Future[None]) -> None:
    """Cancel what still runs and wait for its end; raise what it raised."""
    cancelled = running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        if not cancelled:
            raise


class Signals:
    """SIGTERM, SIGINT and SIGHUP, one after the other. After the first that stops, the next one ends the process."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[int] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._take, number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # one that came during the start comes now

    async def next_or(self, running: asyncio.Future[None]) -> int | None:
        """Return the next signal, or None when `running` has ended."""
        waiting = asyncio.ensure_future(self._queue.get())
        both: list[asyncio.Future[Any]] = [waiting, running]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        return None

    def _take(self, number: int) -> None:
        self._queue.put_nowait(number)
        if number == signal.SIGHUP:
            return
        for stopping in (signal.SIGTERM, signal.SIGINT):
            self._loop.remove_signal_handler(stopping)
            signal.signal(stopping, signal.SIG_DFL)


def _announce(config: Config, started: asyncio.Event) -> Callable[[str | None], None]:
    def announce(page_url: str | None) -> None:
        started.set()
        notify("READY=1")
        asyncio.get_running_loop().call_later(SETTLING, spare_what_stays)
        structlog.get_logger(__name__).info(
            "the gateway is running", gateway=config.gateway.id, version=__version__, page=page_url
        )

    return announce


def spare_what_stays() -> None:
    """Have what is there once the gateway has started looked through for garbage no more.

    It is nearly all that there is, and while it is looked through nothing else happens.
    """
    gc.collect()
    gc.freeze()


@click.command()
@config_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(config_path: Path, file: Path) -> None:
    """Copy the journal into FILE, consistently, while the gateway runs or not."""
    count = copy(journal_path(load(config_path)), file)
    click.echo(f"{file}: {count} readings, {file.stat().st_size / 1e6:.1f} MB, checked")
