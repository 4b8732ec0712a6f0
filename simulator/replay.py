"""A CSV file's rows as events: recorded measurements sent as if they were taken now, or at their own times."""

import asyncio
import csv
import gzip
import io
import math
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from msgspec import UNSET

from simulator import events
from simulator.publishing import Message, Publisher, published, wait_until
from simulator.times import EPOCH, parse_time, rfc3339

FEATURES = {  # that our own sensors measure, as in the event: as in events.Data
    "velocityRms": "velocity_rms",
    "peak": "peak",
    "crestFactor": "crest_factor",
    "kurtosis": "kurtosis",
    "temperature": "temperature",
    "rpm": "rpm",
    "load": "load",
}
NAMED_PROBLEMS = 5


class MissingColumnError(Exception):
    """A column that is asked for and not in the file."""


class UnreadableError(Exception):
    """A file that is not what its name says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which column holds what. Without `time`, rows are `interval` seconds apart."""

    time: str | None
    interval: float
    values: dict[str, str]  # sensor -> column
    features: dict[str, dict[str, str]]  # sensor -> the event's field -> column
    state: str | None = None
    unit: str = "m/s²"

    def names(self) -> Iterator[str]:
        """Yield every column that must be there."""
        yield from (name for name in (self.time, self.state) if name is not None)
        yield from self.values.values()
        for columns in self.features.values():
            yield from columns.values()


@dataclass(slots=True)
class Problems:
    """How many rows could not be used whole, and what was wrong with the first few."""

    bad_rows: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, line: int, faults: list[str]) -> None:
        """Count a row; `line` is its line in the file."""
        self.bad_rows += 1
        if len(self.first) < NAMED_PROBLEMS:
            self.first.append(f"line {line}: {'; '.join(faults)}")


@dataclass(frozen=True, slots=True)
class Row:
    """A row's measurements; `number` counts from 0."""

    number: int
    time: datetime
    measurements: list[events.Data]


@contextmanager
def open_csv(path: Path) -> Iterator[tuple[TextIO, BinaryIO]]:
    """Open a `.csv` or `.csv.gz` file: its text, and the file itself, whose position tells the progress.

    Bytes that are not UTF-8 become replacement characters, and so bad values.
    """
    with open_bytes(path) as (content, raw):
        yield io.TextIOWrapper(content, encoding="utf-8-sig", errors="replace", newline=""), raw


@contextmanager
def open_bytes(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open a file that may end in `.gz`: its content, and the file itself. UnreadableError while it is open."""
    with path.open("rb") as raw:
        content = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
        try:
            yield content, raw
        except (EOFError, zlib.error, gzip.BadGzipFile, csv.Error) as error:
            raise UnreadableError(f"{path} cannot be read to its end: {error}") from error


@dataclass(frozen=True, slots=True)
class _Cells:
    """A row's cells by column, and what was found wrong with them."""

    by_column: dict[str, str]
    faults: list[str] = field(default_factory=list)

    def text(self, column: str) -> str:
        return self.by_column.get(column, "").strip()

    def time(self, column: str) -> datetime | None:
        try:
            return parse_time(self.text(column))
        except ValueError:
            self.faults.append(f"{column} is {self.text(column)!r}, not a time")
            return None

    def number(self, column: str) -> float | None:
        try:
            number = float(self.text(column))
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return number
        self.faults.append(f"{column} is {self.text(column)!r}, not a number")
        return None


def read_rows(lines: Iterable[str], columns: Columns, problems: Problems) -> Iterator[Row]:
    """Read the rows that can be used; the others go to `problems`. MissingColumnError before the first row.

    A row without a time is left out, one without a level leaves out that sensor, one without a feature that feature.
    """
    reader = csv.reader(lines)
    header = [name.strip() for name in next(reader, [])]
    missing = sorted(set(columns.names()) - set(header))
    if missing:
        raise MissingColumnError(f"no column {', '.join(missing)}; the columns are {', '.join(header)}")
    return _rows(header, ((reader.line_num, row) for row in reader), columns, problems)


def _rows(
    header: list[str], lines: Iterator[tuple[int, list[str]]], columns: Columns, problems: Problems
) -> Iterator[Row]:
    for number, (line, row) in enumerate(lines):
        cells = _Cells(dict(zip(header, row, strict=False)))
        moment = _moment(number, cells, columns)
        measurements = _measurements(number, cells, columns) if moment else []
        if cells.faults:
            problems.add(line, cells.faults)
        if moment and measurements:
            yield Row(number, moment, measurements)


def _moment(number: int, cells: _Cells, columns: Columns) -> datetime | None:
    return cells.time(columns.time) if columns.time else EPOCH + timedelta(seconds=number * columns.interval)


def _measurements(number: int, cells: _Cells, columns: Columns) -> list[events.Data]:
    measurements = []
    for sensor, column in columns.values.items():
        level = cells.number(column)
        if level is not None:
            features = _features(cells, columns.features.get(sensor, {}))
            data = events.Data(
                sensor_id=sensor,
                vibration_level=level,
                unit=columns.unit,
                operating_state=(cells.text(columns.state) if columns.state else "") or UNSET,
                sequence=number,
            )
            measurements.append(events.extended(data, features))
    return measurements


def _features(cells: _Cells, columns: dict[str, str]) -> dict[str, float]:
    """Read the features by their names in the event; an empty cell is a feature that was not measured, no fault."""
    read = {name: cells.number(column) for name, column in columns.items() if cells.text(column)}
    return {name: value for name, value in read.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the replayed sensors are said to be."""

    site: str
    area: str
    machine: str

    def message(self, source: str, row: Row, data: events.Data, timestamp: datetime) -> Message:
        """Make the message of one measurement of the file named `source`."""
        event = events.Event(
            timestamp=rfc3339(timestamp),
            source="VibrationSensor",
            sensor_location=f"{self.site}, {self.area}, {self.machine}",
            data=data,
        )
        topic = f"vibration/{self.site}/{self.area}/{self.machine}/{data.sensor_id}/reading"
        return Message(topic, events.encode(event, f"{source} row {row.number}"))


@dataclass(slots=True)
class Pace:
    """When something is sent: its distance in time from the first one, divided by the speed (0: at once)."""

    speed: float
    began: float = field(default_factory=time.monotonic)
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    first: datetime | None = None

    def moment(self, time: datetime) -> float:
        """Return the moment of the monotonic clock for what has this time in the file."""
        self.first = self.first or time
        return self.began + ((time - self.first).total_seconds() / self.speed if self.speed else 0.0)

    def now(self) -> datetime:
        """Tell the time by a clock that is never set back, so that a sensor's times increase."""
        return self.began_at + timedelta(seconds=time.monotonic() - self.began)


async def publish_rows(
    publisher: Publisher,
    rows: Iterable[Row],
    message: Callable[[Row, events.Data, datetime], Message],
    *,
    speed: float,
    keep_time: bool,
    stop: asyncio.Event,
) -> None:
    """Publish each row's measurements when they are due; a broker that is away makes them wait, and drops none."""
    pace = Pace(speed)
    async with published(publisher, stop):
        for row in rows:
            if not await publisher.wait_for_room(len(row.measurements), stop):
                break
            if not await wait_until(pace.moment(row.time), stop):
                break
            timestamp = row.time if keep_time else pace.now()
            for data in row.measurements:
                await publisher.put(message(row, data, timestamp))
