"""replay: recorded measurements, and recordings of a broker."""

import functools
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click
from rich.progress import Progress

from simulator import recording
from simulator import replay as replaying
from simulator.cli.options import (
    DURATION,
    STDERR,
    complete,
    connection_options,
    exit_unless_acknowledged,
    output_option,
    quiet_option,
    report,
    require_topic_level,
    say,
    stop_on_signal,
    topic_level,
)
from simulator.publishing import Broker, Publisher

T = TypeVar("T")


@click.command(short_help="Publish the rows of a CSV file, or a recording of a broker.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--time", "time_column", metavar="COLUMN", help="Holds RFC 3339, naive (UTC) or epoch s or ms.")
@click.option("--interval", type=DURATION, help="Between rows of a file without times, such as 10s.")
@click.option("--value", "values", multiple=True, metavar="COLUMN=SENSOR", help="Of a CSV file; repeatable.")
@click.option("--feature", "features", multiple=True, metavar="COLUMN=SENSOR:FEATURE", help="Repeatable.")
@click.option("--state", metavar="COLUMN", help="Holds the machine's operating state.")
@click.option("--unit", default="m/s²", show_default=True, help="Of the values.")
@click.option("--speed", type=click.FloatRange(min=0), help="0: as fast as possible.  [default: 60; a recording: 1]")
@click.option("--keep-time", is_flag=True, help="Send the file's times instead of the moments of sending.")
@click.option("--site", default="replay", show_default=True, callback=topic_level)
@click.option("--area", default="replay", show_default=True, callback=topic_level)
@click.option("--machine", default="machine-1", show_default=True, callback=topic_level)
@connection_options
@quiet_option
@output_option
def replay(file: Path, broker: Broker, output: str, *, quiet: bool, **options: Any) -> None:
    """Publish the rows of a CSV file (.csv or .csv.gz) as readings; it needs --value.

    Without --value the file is a recording of a broker, of which each message is published as it was: lines of
    `mosquitto_sub -F '%j'`, or of `-F '%I %t %x'` where payloads are not text. It may be compressed (.gz).
    """
    bar = Progress(console=STDERR, disable=quiet or not STDERR.is_terminal)
    work = _csv(file, broker, bar, options) if options["values"] else _recording(file, broker, bar, options)
    with bar:
        publisher, problems, stopped = complete(work)
    for problem in problems.first if not quiet else ():
        say(f"{file.name} {problem}")
    counts = {"published": publisher.published, "acknowledged": publisher.acknowledged}
    bad = "bad_rows" if options["values"] else "bad_lines"
    report(counts | {bad: problems.bad_rows}, output, quiet=quiet)
    exit_unless_acknowledged(publisher, stopped=stopped)
    if not publisher.published and not stopped:
        raise click.ClickException(f"{file}: no {'row' if options['values'] else 'line'} could be used")


Work = Coroutine[None, None, tuple[Publisher, replaying.Problems, bool]]
OF_CSV = {"time_column": "--time", "interval": "--interval", "features": "--feature", "state": "--state"}


def _recording(file: Path, broker: Broker, bar: Progress, options: Mapping[str, Any]) -> Work:
    given = [option for name, option in (OF_CSV | {"keep_time": "--keep-time"}).items() if options[name]]
    if given or ".csv" in file.suffixes:
        why = f"{', '.join(given)} is for a CSV file" if given else f"{file} is a CSV file"
        raise click.UsageError(f"{why}, which needs --value COLUMN=SENSOR")
    return _publish_recording(file, broker, bar, 1.0 if options["speed"] is None else options["speed"])


async def _publish_recording(
    file: Path, broker: Broker, bar: Progress, speed: float
) -> tuple[Publisher, replaying.Problems, bool]:
    stop, problems = stop_on_signal(), replaying.Problems()
    publisher = Publisher(broker, say=say, count_retained=True)
    with replaying.open_bytes(file) as (content, raw):
        lines = recording.read_recording(_with_progress(content, bar, raw, file), problems)
        await recording.publish_recording(publisher, lines, speed=speed, stop=stop)
    return publisher, problems, stop.is_set()


def _csv(file: Path, broker: Broker, bar: Progress, options: dict[str, Any]) -> Work:
    columns = _columns(options)
    place = replaying.Place(**{level: options[level] for level in ("site", "area", "machine")})
    speed = 60.0 if options["speed"] is None else options["speed"]
    return _publish_csv(file, columns, place, broker, bar, speed=speed, keep_time=options["keep_time"])


async def _publish_csv(
    file: Path, columns: replaying.Columns, place: replaying.Place, broker: Broker, bar: Progress, **pace: Any
) -> tuple[Publisher, replaying.Problems, bool]:
    stop, problems, publisher = stop_on_signal(), replaying.Problems(), Publisher(broker, say=say)
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
        if require_topic_level(sensor) in values:
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
        if not name.isidentifier() or not name.isascii():
            raise click.UsageError(f"--feature {text}: {name!r} is no name of a feature, such as kurtosis")
        if sensor not in values:
            raise click.UsageError(f"--feature {text}: sensor {sensor!r} has no --value")
        features.setdefault(sensor, {})[name] = column
    return features


def _pair(text: str, option: str, shape: str) -> tuple[str, str]:
    column, separator, sensor = text.rpartition("=")
    if not (separator and column and sensor):
        raise click.UsageError(f"{option} {text}: write {shape}")
    return column, sensor
