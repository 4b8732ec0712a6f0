"""The command line: `vibration-simulator run | replay | load`."""

import asyncio
import functools
import json
import math
import os
import random
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, TextIO, TypeVar

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from simulator import load as loading
from simulator import replay as replaying
from simulator import run as running
from simulator.fleet import Fleet, FleetError, demo_fleet, load_fleet
from simulator.publishing import Broker, Publisher, RefusedError
from simulator.times import parse_duration, parse_time
from simulator.wire import ProtocolError

BAD_FILE = 3
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


def _topic_level(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    return _require_topic_level(value)


def _require_topic_level(value: str) -> str:
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


output_option = click.option("-o", "--output", default="table", show_default=True, type=click.Choice(["table", "json"]))
quiet_option = click.option("--quiet", is_flag=True, help="Print no table and no progress.")


def _say(text: str) -> None:
    STDERR.print(text, markup=False)


def _report(result: Mapping[str, object], output: str, *, quiet: bool = False) -> None:
    if output == "json":
        click.echo(json.dumps(result, ensure_ascii=False))
    elif not quiet:
        table = Table("", "", show_header=False)
        for name, value in result.items():
            table.add_row(name.replace("_", " "), f"{value}")
        Console().print(table)


def _stop_on_signal() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    return stop


def _complete(work: Coroutine[None, None, T]) -> T:
    """Run to the end, with the errors that a user can do something about as messages."""
    try:
        return asyncio.run(work)
    except replaying.MissingColumnError as error:
        raise click.UsageError(str(error)) from error
    except (RefusedError, replaying.UnreadableError, ProtocolError, OSError) as error:
        raise click.ClickException(str(error)) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="vibration-gateway")
def main() -> None:
    """Publish simulated vibration sensors, recorded measurements or load over MQTT."""


@main.command()
@connection_options
@click.option("--fleet", "fleet_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML file.")
@click.option("--seed", type=int, help="Repeats a run exactly; left out, a new one is chosen.")
@click.option("--start", type=TIME, help="The first time stamp, RFC 3339; left out, now.")
@click.option("--duration", type=DURATION, help="In real time, such as 60s; left out, until interrupted.")
@click.option("--speed", default=1.0, show_default=True, type=SPEED, help="Simulated seconds a second.")
@quiet_option
@output_option
def run(fleet_file: Path | None, seed: int | None, output: str, *, quiet: bool, **options: Any) -> None:
    """Publish the readings of a fleet of machines; without --fleet a small one, in which a pump's bearing fails."""
    try:
        fleet = load_fleet(fleet_file) if fleet_file else demo_fleet()
    except FleetError as error:
        _say(str(error))
        sys.exit(BAD_FILE)
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    publisher, stopped = _complete(_publish_fleet(fleet, seed, **options))
    counts = {"published": publisher.published, "acknowledged": publisher.acknowledged, "dropped": publisher.dropped}
    _report(counts | {"seed": seed}, output, quiet=quiet)
    _exit_unless_acknowledged(publisher, stopped=stopped)


async def _publish_fleet(
    fleet: Fleet, seed: int, *, broker: Broker, start: datetime | None, duration: float | None, speed: float
) -> tuple[Publisher, bool]:
    stop, start = _stop_on_signal(), start or datetime.now(UTC)
    publisher = Publisher(broker, say=_say, announcements=running.first_states(fleet, start))
    due = running.messages(fleet, seed=seed, start=start, speed=speed)
    await running.publish_fleet(publisher, due, running.statuses(fleet, "offline"), duration=duration, stop=stop)
    return publisher, stop.is_set()


def _exit_unless_acknowledged(publisher: Publisher, *, stopped: bool) -> None:
    missing = publisher.published - publisher.acknowledged
    if missing and not stopped:
        raise click.ClickException(f"{missing} of {publisher.published} readings were not acknowledged by the broker")


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--time", "time_column", metavar="COLUMN", help="Holds RFC 3339, naive (UTC) or epoch s or ms.")
@click.option("--interval", type=DURATION, help="Between rows of a file without times, such as 10s.")
@click.option("--value", "values", multiple=True, required=True, metavar="COLUMN=SENSOR", help="Repeatable.")
@click.option("--feature", "features", multiple=True, metavar="COLUMN=SENSOR:FEATURE", help="Repeatable.")
@click.option("--state", metavar="COLUMN", help="Holds the machine's operating state.")
@click.option("--unit", default="m/s²", show_default=True, help="Of the values.")
@click.option("--speed", default=60.0, show_default=True, type=click.FloatRange(min=0), help="0: as fast as possible.")
@click.option("--keep-time", is_flag=True, help="Send the file's times instead of the moments of sending.")
@click.option("--site", default="replay", show_default=True, callback=_topic_level)
@click.option("--area", default="replay", show_default=True, callback=_topic_level)
@click.option("--machine", default="machine-1", show_default=True, callback=_topic_level)
@connection_options
@quiet_option
@output_option
def replay(file: Path, broker: Broker, output: str, *, quiet: bool, **options: Any) -> None:
    """Publish the rows of a CSV file (.csv or .csv.gz) as readings."""
    columns = _columns(options)
    place = replaying.Place(**{level: options[level] for level in ("site", "area", "machine")})
    pace = {"speed": options["speed"], "keep_time": options["keep_time"]}
    bar = Progress(console=STDERR, disable=quiet or not STDERR.is_terminal)
    with bar:
        publisher, problems, stopped = _complete(_publish_file(file, columns, place, broker, bar, **pace))
    for problem in problems.first if not quiet else ():
        _say(f"{file.name} {problem}")
    counts = {"published": publisher.published, "acknowledged": publisher.acknowledged}
    _report(counts | {"bad_rows": problems.bad_rows}, output, quiet=quiet)
    _exit_unless_acknowledged(publisher, stopped=stopped)
    if not publisher.published and not stopped:
        raise click.ClickException(f"{file}: no row could be used")


async def _publish_file(
    file: Path, columns: replaying.Columns, place: replaying.Place, broker: Broker, bar: Progress, **pace: Any
) -> tuple[Publisher, replaying.Problems, bool]:
    stop, problems, publisher = _stop_on_signal(), replaying.Problems(), Publisher(broker, say=_say)
    with replaying.open_csv(file) as (text, raw):
        rows = replaying.read_rows(text, columns, problems)
        shown = _with_progress(rows, bar, raw, file)
        message = functools.partial(place.message, file.name)
        await replaying.publish_rows(publisher, shown, message, stop=stop, **pace)
    return publisher, problems, stop.is_set()


def _with_progress(rows: Iterable[T], bar: Progress, raw: BinaryIO, file: Path) -> Iterator[T]:
    task = bar.add_task(file.name, total=file.stat().st_size)
    for row in rows:
        yield row
        bar.update(task, completed=raw.tell())


def _columns(options: dict[str, Any]) -> replaying.Columns:
    if (options["time_column"] is None) == (options["interval"] is None):
        raise click.UsageError("Give either --time COLUMN or --interval, such as --interval 10s")
    if options["keep_time"] and options["time_column"] is None:
        raise click.UsageError("--keep-time needs --time COLUMN")
    values: dict[str, str] = {}
    for text in options["values"]:
        column, sensor = _pair(text, "--value", "COLUMN=SENSOR")
        if _require_topic_level(sensor) in values:
            raise click.UsageError(f"--value {text}: sensor {sensor} has a value already")
        values[sensor] = column
    return replaying.Columns(
        time=options["time_column"],
        interval=options["interval"] or 0.0,
        values=values,
        features=_features(options["features"], values),
        state=options["state"],
        unit=options["unit"],
    )


def _features(texts: Iterable[str], values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    features: dict[str, dict[str, str]] = {}
    for text in texts:
        column, target = _pair(text, "--feature", "COLUMN=SENSOR:FEATURE")
        sensor, _, name = target.rpartition(":")
        if name not in replaying.FEATURES:
            raise click.UsageError(f"--feature {text}: no feature {name!r}; there are {', '.join(replaying.FEATURES)}")
        if sensor not in values:
            raise click.UsageError(f"--feature {text}: sensor {sensor!r} has no --value")
        features.setdefault(sensor, {})[name] = column
    return features


def _pair(text: str, option: str, shape: str) -> tuple[str, str]:
    column, separator, sensor = text.rpartition("=")
    if not (separator and column and sensor):
        raise click.UsageError(f"{option} {text}: write {shape}")
    return column, sensor


@main.command()
@connection_options
@click.option("--rate", default=5000.0, show_default=True, type=click.FloatRange(min=0), help="0: as fast as possible.")
@click.option("--sensors", default=1000, show_default=True, type=click.IntRange(1, 999_999))
@click.option("--machines", type=click.IntRange(1, 9999), help="The sensors are spread over them.  [default: a tenth]")
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Readings in one message.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many readings.")
@click.option("--duration", type=DURATION, help="Stop after this time.  [default: 60s, without --count]")
@click.option("--alert-every", default=0, type=click.IntRange(0), help="Every Nth sensor exceeds 3 x its baseline.")
@click.option("--seed", default=0, show_default=True, type=int, help="Of the levels.")
@quiet_option
@output_option
def load(broker: Broker, output: str, *, quiet: bool, **options: Any) -> None:
    """Publish many sensors' readings at an even rate and measure how the broker acknowledges them."""
    options["machines"] = options["machines"] or max(1, options["sensors"] // 10)
    options["duration"] = options["duration"] or (math.inf if options["count"] else 60.0)
    options["count"] = options["count"] or math.inf
    result, stopped = _complete(_generate(broker, loading.Load(**options)))
    _report(_measured(result), output, quiet=quiet)
    missing = result.sent - result.acknowledged
    if (missing or result.lost) and not stopped:
        why = "the connection was lost, " * result.lost + f"{result.refused} were refused, " * bool(result.refused)
        raise click.ClickException(f"{why}{missing} of {result.sent} readings were not acknowledged by the broker")


async def _generate(broker: Broker, load: loading.Load) -> tuple[loading.Result, bool]:
    stop = _stop_on_signal()
    return await loading.generate(broker, load, stop), stop.is_set()


def _measured(result: loading.Result) -> dict[str, object]:
    return {
        "sent": result.sent,
        "acknowledged": result.acknowledged,
        "seconds": round(result.seconds, 3),
        "rate": round(result.acknowledged / result.seconds, 1),
        "p50_ms": round(result.percentile(0.5), 2),
        "p99_ms": round(result.percentile(0.99), 2),
    }
