"""demo: a plant in a box. A broker, simulated machines, the gateway and its page, on a machine that has nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

from gateway.app import run as app
from gateway.cli import logs
from gateway.cli.tables import inert
from gateway.config import Config
from gateway.domain.notification.model import Notification
from gateway.errors import GatewayError
from gateway.plugins.registry import Plugins

_PREFERRED_PORT = 8080
_HOST = "127.0.0.1"
_MARKS = {"raised": "ALERT", "escalated": "WORSE"}
_COLOURS = {"warning": "yellow", "critical": "red"}

_MOSQUITTO = """\
listener {port} {host}
allow_anonymous true
set_tcp_nodelay true
"""
_EMBEDDED = """\
listeners:
  default:
    type: tcp
    bind: {host}:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""


class Terminal:
    """A handler that tells whoever is watching the demo."""

    async def send(self, notification: Notification) -> str:
        """Print the notification as a technician would want to read it."""
        place = " / ".join(filter(None, (notification.site, notification.area, notification.machine)))
        heading = f"{_MARKS.get(notification.kind, notification.kind)}  {notification.severity.upper()}"
        click.secho(
            f"\n  {heading}  {inert(place)}  {inert(notification.sensor_id)}",
            fg=_COLOURS[notification.severity],
            bold=True,
        )
        click.echo(f"  {inert(notification.reason)}\n  {inert(notification.location)}\n")
        return "printed"


@click.command()
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), expose_value=False, help="Not used: the demo brings its own."
)
@click.option("--seconds", type=click.FloatRange(0), default=0, help="Stop after so long; 0 runs until Ctrl-C.")
@click.option("--port", type=click.IntRange(0, 65535), help=f"Of the page; {_PREFERRED_PORT}, or a free one.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the simulated machines.")
def demo(seconds: float, port: int | None, seed: int) -> None:
    """Watch a simulated machine get worse and an alert go out. Needs no broker, no database and no configuration."""
    logs.set_up(frozenset(), "warning")
    with contextlib.ExitStack() as stack:
        until_told = _UntilTold(stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vibration-demo-")))
        broker_port = _free_port()
        protocol = stack.enter_context(_broker(folder, broker_port))
        config = _config(folder, broker_port, protocol, _free_port(_PREFERRED_PORT) if port is None else port)
        stack.enter_context(_process(_simulator(broker_port, protocol, seed)))
        until_told.run(_run(config, seconds))
    click.echo("\nThe demo has ended, and nothing is left of it. Next: docs/getting-started.md, for your own sensors.")


class _UntilTold:
    """What the signals do: the first ends the gateway in order, the next ends the demo at once.

    Either way `stack`, which holds everything that must not be left behind, is closed. While the demo starts and clears
    up, a signal does not interrupt: it could come between a program's start and its place in the stack.
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._told = self._running = False
        self._cancel: Callable[[], object] | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
                signal.signal(number, self._take)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self._running = True
        try:
            asyncio.run(self._run(work))
        finally:
            self._running = False

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        loop, running = asyncio.get_running_loop(), asyncio.ensure_future(work)
        self._cancel = lambda: loop.call_soon_threadsafe(running.cancel)
        if self._told:
            running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            if not self._told:
                raise
        finally:
            self._cancel = None

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self._told and self._running:
            self._end_at_once(number)
        self._told = True
        if self._cancel is not None:
            self._cancel()

    def _end_at_once(self, number: int) -> None:
        self._running = False
        try:
            self._stack.close()
        finally:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)


async def _run(config: Config, seconds: float) -> None:
    plugins = Plugins(handlers={"terminal": Terminal()}, consumers={})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds or None):
            await app.run(config, _welcome, plugins)


def _welcome(page_url: str | None) -> None:
    click.echo(
        f"""
  A small plant is running: 4 machines, 6 sensors, a reading from each every second.
  Watch it:  {page_url}

  In a quarter of a minute the bearing of pump-1 begins to fail. After about 45 seconds a warning is raised,
  after about 75 it is critical. Alerts are printed here, where mail and SMS would go out. Ctrl-C ends it.
"""
    )


def _config(folder: Path, broker_port: int, protocol: str, page_port: int) -> Config:
    return Config.model_validate(
        {
            "gateway": {"id": "demo", "state_dir": folder / "state"},
            "mqtt": {
                "host": _HOST,
                "port": broker_port,
                "protocol": protocol,
                "topics": ["vibration/{site}/{area}/{machine}/{sensor}/reading"],
            },
            "http": {"host": _HOST, "port": page_port},
            "handlers": {"terminal": {"type": "log"}},
            "routes": [{"severity": "warning", "handlers": ["terminal"]}],
        }
    )


@contextlib.contextmanager
def _broker(folder: Path, port: int) -> Iterator[str]:
    """Run Mosquitto if there is one, else the embedded broker; yield the MQTT version that it speaks."""
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    embedded = shutil.which("amqtt", path=str(Path(sys.executable).parent))
    file = folder / "broker.conf"
    if mosquitto:
        file.write_text(_MOSQUITTO.format(host=_HOST, port=port), encoding="utf-8")
        command, protocol = [mosquitto, "-c", str(file)], "5"
    elif embedded:
        file = file.with_suffix(".yaml")
        file.write_text(_EMBEDDED.format(host=_HOST, port=port), encoding="utf-8")
        command, protocol = [embedded, "-c", str(file)], "3.1.1"
    else:
        raise GatewayError(
            "the demo needs a broker: install Mosquitto (Debian: apt-get install mosquitto), or the package's extra"
            " 'demo', which brings one along"
        )
    folder.chmod(0o755)  # Mosquitto gives up root's rights before it reads its file
    with _process(command):
        yield protocol


def _simulator(broker_port: int, protocol: str, seed: int) -> list[str]:
    options = {"--host": _HOST, "--port": broker_port, "--protocol": protocol, "--seed": seed}
    words = [str(word) for option in options.items() for word in option]
    return [sys.executable, "-m", "simulator", "run", *words, "--quiet"]


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator[None]:
    """Run a program for as long as the demo lasts; its complaints are shown only if it ends before that."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield
        finally:
            failed = process.poll() not in {None, 0}
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
            if failed:
                output.seek(0)
                said = inert(output.read().decode(errors="replace")[-2000:])
                click.echo(f"{json.dumps(command[0])} has ended by itself:\n{said}", err=True)


def _free_port(preferred: int = 0) -> int:
    """Return `preferred` if nobody listens there, else a free port."""
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((_HOST, port))
            free: int = probe.getsockname()[1]
            return free
    raise GatewayError(f"there is no free port on {_HOST}")
