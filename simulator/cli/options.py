"""What the commands have in common: the connection, durations, output, and how a run ends."""

import asyncio
import functools
import json
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
from rich.console import Console
from rich.table import Table

from simulator import replay as replaying
from simulator.formats import FORMATS
from simulator.publishing import Broker, Publisher, RefusedError
from simulator.times import parse_duration, parse_time
from simulator.wire import ProtocolError

STDERR = Console(stderr=True, soft_wrap=True, highlight=False)


class _Parsed(click.ParamType[Any]):
    """An option whose text a function of `times` understands."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


T = TypeVar("T")
DURATION = _Parsed("duration", parse_duration)
TIME = _Parsed("time", parse_time)
SPEED = click.FloatRange(min=0, min_open=True)


def topic_level(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """Check an option that is one level of a topic."""
    return require_topic_level(value)


def require_topic_level(value: str) -> str:
    """Return the value, or end with wrong usage if it cannot be a level of a topic."""
    if not value or any(character in "/+#\0" or character.isspace() for character in value):
        raise click.BadParameter(f"{value!r} is no level of a topic: it is empty, or holds /, +, # or a space")
    return value


def connection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of the connection; the command gets one `broker` for them all."""

    @click.option("--host", default="localhost", show_default=True, help="The broker.")
    @click.option("--port", default=1883, show_default=True, type=click.IntRange(1, 65535))
    @click.option("--protocol", default="5", show_default=True, type=click.Choice(["5", "3.1.1"]), help="MQTT version.")
    @click.option("--username")
    @click.option("--password-file", type=click.File(), help="Or set VIBRATION_SIMULATOR_PASSWORD.")
    @click.option("--ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Use TLS, trust this CA.")
    @functools.wraps(command)
    def with_broker(**options: Any) -> None:
        connection = {name: options.pop(name) for name in ("host", "port", "protocol", "username", "ca")}
        password = _password(options.pop("password_file"), connection["username"])
        command(broker=Broker(**connection, password=password), **options)

    return with_broker


def _password(file: TextIO | None, username: str | None) -> str | None:
    if file is not None and username is None:
        raise click.UsageError("--password-file needs --username")
    if file is not None:
        return file.readline().rstrip("\r\n")
    return os.environ.get("VIBRATION_SIMULATOR_PASSWORD") if username is not None else None


format_option = click.option(
    "--format",
    "format_name",
    metavar="FORMAT",
    default="event",
    show_default=True,
    type=click.Choice(list(FORMATS)),
    help=f"Publish as such devices do: {', '.join(FORMATS)}.",
)
output_option = click.option("-o", "--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
quiet_option = click.option("--quiet", is_flag=True, help="Print no table and no progress.")


def say(text: str) -> None:
    """Tell the user something that is no result."""
    STDERR.print(text, markup=False)


def report(result: Mapping[str, object], output: str, *, quiet: bool = False) -> None:
    """Print the result, as asked for."""
    if output == "json":
        click.echo(json.dumps(result, ensure_ascii=False))
    elif not quiet:
        table = Table("", "", show_header=False)
        for name, value in result.items():
            table.add_row(name.replace("_", " "), f"{value}")
        Console().print(table)


def stop_on_signal() -> asyncio.Event:
    """Return what is set by Ctrl-C and by SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    return stop


def complete(work: Coroutine[None, None, T]) -> T:
    """Run to the end, with the errors that a user can do something about as messages."""
    try:
        return asyncio.run(work)
    except replaying.MissingColumnError as error:
        raise click.UsageError(str(error)) from error
    except (RefusedError, replaying.UnreadableError, ProtocolError, OSError) as error:
        raise click.ClickException(str(error)) from error


def exit_unless_acknowledged(publisher: Publisher, *, stopped: bool) -> None:
    """End with code 1 if the broker has not acknowledged everything, and nobody has stopped us."""
    missing = publisher.published - publisher.acknowledged
    if missing and not stopped:
        raise click.ClickException(f"{missing} of {publisher.published} readings were not acknowledged by the broker")
