"""events export: readings or facts into a file, however many there are."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli.output import config_option, open_reader, window_options
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.engine.event_types import FACT_TYPES
from gateway.domain.model.quantities import BY_WIRE
from gateway.domain.model.reading import FLAG_NAMES
from gateway.domain.model.timefmt import rfc3339
from gateway.errors import GatewayError
from gateway.extras import lacking
from gateway.journal import READINGS, Reader
from gateway.journal.queries import export

Row = dict[str, Any]
Pages = Iterator[tuple[int, Sequence[Row]]]

FORMATS = ("csv", "ndjson", "parquet")
_TEXTS = ("eventId", "timestamp", "receivedAt", "sensorId", "site", "area", "machine")
_READING = ("seq", *_TEXTS, "level", "baseline", "unit", *BY_WIRE, "operatingState", "flags")
_FACT = ("seq", "eventId", "eventType", "timestamp", "recordedAt", "subject", "correlationId", "causationId", "data")
_NUMBERS = {"level", "baseline", *BY_WIRE}
_COMMANDS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet takes for a formula at the beginning of a text; the last four are =, +, - and @ in full width."""


class Writer(Protocol):
    """Takes rows, a page at a time."""

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""

    def close(self) -> None:
        """Write what is left, and the end."""


@click.command()
@config_option
@click.option("--sensor", help="Of this sensor only.")
@click.option(
    "--type",
    "type_",
    type=click.Choice([READINGS, *FACT_TYPES, "facts"]),
    default=READINGS,
    show_default=True,
    metavar="TYPE",
    help="Of this type; 'facts' for all but readings.",
)
@window_options
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Else the file's suffix decides; else csv.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default=Path("-"))
def export_command(  # noqa: PLR0917 - click calls it by name
    config_path: Path,
    sensor: str | None,
    type_: str,
    since: int | None,
    until: int | None,
    format_: str | None,
    file: Path,
) -> None:
    """Write events into a new FILE (or to standard output), in the order of the journal.

    A text in CSV that a spreadsheet would take for a formula has a ' before it. Parquet needs the extra `parquet`.
    """
    format_ = format_ or _format_of(file)
    reader = open_reader(config_path)
    wanted = export.Wanted(
        sensor and reader.subject(sensor), None if type_ in {READINGS, "facts"} else type_, since, until
    )
    pages = _readings(reader, wanted) if type_ == READINGS else _facts(reader, wanted)
    columns = _READING if type_ == READINGS else _FACT
    with _opened(file) as stream:
        writer = _writer(format_, stream, columns)
        for rows in _watched(pages, reader.last_seq()):
            writer.write(rows)
        writer.close()


def _format_of(file: Path) -> str:
    suffix = file.suffix.removeprefix(".")
    if suffix and suffix not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise click.UsageError(f"{file}: no format has the ending .{suffix} (there are: {known}); name one by --format")
    return suffix or "csv"


def _readings(reader: Reader, wanted: export.Wanted) -> Pages:
    for seq, found in export.readings(reader, wanted):
        yield seq, [_reading(item) for item in found]


def _facts(reader: Reader, wanted: export.Wanted) -> Pages:
    for seq, found in export.facts(reader, wanted):
        yield seq, [fact_row(item) for item in found]


def _reading(item: StoredReading) -> Row:
    data = item.event().data
    return {
        "seq": item.seq,
        "eventId": item.event_id,
        "timestamp": rfc3339(item.time_ns),
        "receivedAt": rfc3339(item.received_ns),
        "sensorId": item.sensor_id,
        **{name: item.tags.get(name) for name in ("site", "area", "machine")},
        "level": item.level,
        "baseline": item.baseline,
        "unit": data.unit if item.level is not None else None,
        **{name: getattr(data, quantity.key) for name, quantity in BY_WIRE.items()},
        "operatingState": data.operating_state,
        "flags": " ".join(name for flag, name in FLAG_NAMES.items() if item.flags & flag),
    }


def fact_row(item: EventRecord) -> Row:
    """Return everything about a fact, for programs."""
    fact = item.fact
    return {
        "seq": item.seq,
        "eventId": fact.id,
        "eventType": fact.type,
        "timestamp": rfc3339(fact.time_ns),
        "recordedAt": rfc3339(item.recorded_ns),
        "subject": fact.subject,
        "correlationId": fact.correlation_id,
        "causationId": fact.causation_id,
        "data": fact.data,
    }


@contextmanager
def _opened(file: Path) -> Iterator[IO[bytes]]:
    """Open a new file; what could not be written whole is removed."""
    if str(file) == "-":
        yield sys.stdout.buffer
        return
    try:
        with open(file, "xb", opener=_for_its_owner) as stream:
            yield stream
    except FileExistsError:
        raise GatewayError(f"{file} exists already; an export never overwrites") from None
    except OSError as error:
        file.unlink(missing_ok=True)
        raise GatewayError(f"{file} cannot be written: {error.strerror}") from error
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _watched(pages: Pages, last: int) -> Iterator[Sequence[Row]]:
    """Yield the rows; on a terminal a bar says how far along the journal this is, and how many there were."""
    console = Console(stderr=True)
    done = TextColumn("{task.fields[rows]:,} events")
    with Progress(
        BarColumn(), MofNCompleteColumn(), done, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("export", total=last, rows=0)
        count = 0
        for seq, rows in pages:
            count += len(rows)
            yield rows
            progress.update(task, completed=seq, rows=count)


def _writer(format_: str, stream: IO[bytes], columns: Sequence[str]) -> Writer:
    if format_ == "parquet":
        return Parquet(stream, columns)
    return Csv(stream, columns) if format_ == "csv" else NdJson(stream)


class NdJson:
    """A JSON object a line."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows; what there is not is left out."""
        known = ({name: value for name, value in row.items() if value is not None} for row in rows)
        self._stream.write(msgspec.json.Encoder().encode_lines(known))

    def close(self) -> None:
        """Leave nothing in a buffer."""
        self._stream.flush()


class Csv:
    """RFC 4180 in UTF-8, with a head."""

    def __init__(self, stream: IO[bytes], columns: Sequence[str]) -> None:
        self._stream, self._columns = stream, columns
        self._append([dict(zip(columns, columns, strict=True))])

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        self._append(rows)

    def _append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        lines: list[str] = []
        writer = csv.writer(_Lines(lines), lineterminator="\r\n")
        writer.writerows([_cell(row[name]) for name in self._columns] for row in rows)
        self._stream.write("".join(lines).encode(errors="replace"))

    def close(self) -> None:
        """Leave nothing in a buffer."""
        self._stream.flush()


class _Lines:
    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    if isinstance(value, str) and value.startswith(_COMMANDS):
        return f"'{value}"
    return value


class Parquet:
    """Columns with types, a row group for each page."""

    def __init__(self, stream: IO[bytes], columns: Sequence[str]) -> None:
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra
            from pyarrow import parquet  # noqa: PLC0415 - as above
        except ImportError:
            raise GatewayError(f"Parquet: {lacking('parquet')}; or choose csv or ndjson") from None
        types = {"seq": pa.int64(), **dict.fromkeys(_NUMBERS, pa.float64())}
        self._arrow = pa
        self._schema = pa.schema([(name, types.get(name, pa.string())) for name in columns])
        self._file = parquet.ParquetWriter(stream, self._schema, compression="zstd")

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        if rows:
            flat = [{name: _json(value) for name, value in row.items()} for row in rows]
            self._file.write_table(self._arrow.Table.from_pylist(flat, schema=self._schema))

    def close(self) -> None:
        """Write the end, without which the file is none."""
        self._file.close()


def _json(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else value
