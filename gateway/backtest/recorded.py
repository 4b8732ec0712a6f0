"""History as the engine takes it: readings from a CSV file, in the order in which they would have come in."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import isfinite, nan
from pathlib import Path

from msgspec import Struct, field

from gateway.domain.detection.timeline import EARLIEST_US, LATEST_US
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.quantities import BY_WIRE
from gateway.domain.model.reading import ReadingData, VibrationRecorded
from gateway.domain.model.timefmt import microseconds
from gateway.errors import GatewayError

NAMED_PROBLEMS = 20
"""So many rows that could not be used are named; the others are counted."""

_MILLISECONDS_FROM = 1e11
"""As an epoch in seconds this is the year 5138, in milliseconds 1973."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TIME = -(2**63)


class Recorded(Struct, gc=False):
    """A reading of the past. `row` counts from 0; `received_ns` is when it came in, as far as that is known.

    `name` is what its sensor is called, where that is not the id that it publishes.
    """

    row: int
    event: VibrationRecorded
    event_us: int
    received_ns: int
    tags: dict[str, str]
    retained: bool = False
    name: str = ""


class Columns(Struct, frozen=True):
    """Which column holds what. Without `time`, rows are `interval_us` apart, from 1970 on.

    `values` is sensor -> column, `features` sensor -> the event's field -> column. `received` holds the times at which
    the readings came in, for sensors whose own clocks are not to be believed.
    """

    values: dict[str, str]
    time: str | None = None
    interval_us: int = 0
    received: str | None = None
    features: dict[str, dict[str, str]] = {}
    state: str | None = None
    unit: str = "m/s²"

    def names(self) -> list[str]:
        """Return every column that must be there."""
        single = [name for name in (self.time, self.received, self.state) if name is not None]
        features = [column for columns in self.features.values() for column in columns.values()]
        return [*single, *self.values.values(), *features]


class Problems(Struct):
    """Rows that could not be used whole, and those that are not in the order of time; the first ones are named."""

    bad_rows: int = 0
    out_of_order: int = 0
    named: list[str] = field(default_factory=list)

    def bad(self, line: int, fault: str) -> None:
        """Count a row with a cell that is not what it should be; `line` is its line in the file."""
        self.bad_rows += 1
        self._name(f"line {line}: {fault}")

    def unordered(self, line: int) -> None:
        """Count a row whose time lies before that of a row above it."""
        self.out_of_order += 1
        self._name(f"line {line}: not in the order of time; left out")

    def _name(self, text: str) -> None:
        if len(self.named) < NAMED_PROBLEMS:
            self.named.append(text)


def read_csv(path: Path, columns: Columns, tags: dict[str, str], problems: Problems) -> Iterator[Recorded]:
    """Yield the readings of a `.csv` or `.csv.gz` file; rows that cannot be used go to `problems`.

    A row without a time is left out, one with a bad level leaves out that sensor, one with a bad feature that feature.
    An empty cell was not measured, which is no fault as long as some sensor has a level in its row. The fewest rows are
    left out that leave the others in the order of time: one wrong year does not lose the rest.
    Raises GatewayError if a column is missing, or the file cannot be read to its end.
    """
    if problem := missing_columns(path, columns):
        raise GatewayError(problem)
    with _rows(path) as (header, rows):
        cells = _Cells(header, columns)
        times = array("q", (cells.order_us(row) for _, row in rows)) if columns.time else None
    kept = None if times is None or _is_sorted(times) else _longest_ordered(times)
    with _rows(path) as (_, rows):
        for number, (line, row) in enumerate(rows):
            order_us = _NO_TIME if times is None else times[number]
            if kept is not None and not kept[number] and order_us != _NO_TIME:
                problems.unordered(line)
                continue
            readings, faults = cells.readings(number, row, order_us, tags)
            if faults:
                problems.bad(line, "; ".join(faults))
            yield from readings


def missing_columns(path: Path, columns: Columns) -> str | None:
    """Return what is wrong with the names of the columns, or None. Raises GatewayError if the file cannot be read."""
    with _rows(path) as (header, _):
        missing = sorted(set(columns.names()) - set(header))
        if missing:
            return f"{path.name} has no column {', '.join(missing)}; its columns are {', '.join(header) or 'none'}"
        twice = sorted(name for name in set(columns.names()) if header.count(name) > 1)
        return f"{path.name} has more than one column {', '.join(twice)}" if twice else None


@contextmanager
def _rows(path: Path) -> Iterator[tuple[list[str], Iterator[tuple[int, list[str]]]]]:
    """Open a file: its header, and (line, cells) of its rows. What is not UTF-8 becomes a bad value."""
    try:
        with path.open("rb") as raw:
            content = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            lines = io.TextIOWrapper(content, encoding="utf-8-sig", errors="replace", newline="")
            reader = csv.reader(lines)
            header = [name.strip() for name in next(reader, [])]
            yield header, ((reader.line_num, row) for row in reader)
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise GatewayError(f"{path} cannot be read to its end: {error}") from error


class _Cells:
    """Reads the cells of a row."""

    def __init__(self, header: Sequence[str], columns: Columns) -> None:
        self._columns = columns
        self._time = header.index(columns.time) if columns.time else None
        self._received = header.index(columns.received) if columns.received else None
        self._state = header.index(columns.state) if columns.state else None
        self._sensors = [
            (sensor, column, header.index(column), _feature_cells(header, columns.features.get(sensor, {})))
            for sensor, column in columns.values.items()
        ]

    def order_us(self, row: Sequence[str]) -> int:
        """Return the time by which rows are ordered: that of receiving, else the reading's own."""
        position = self._time if self._received is None else self._received
        return _NO_TIME if position is None else _time_or_none(row, position)

    def readings(
        self, number: int, row: Sequence[str], order_us: int, tags: dict[str, str]
    ) -> tuple[list[Recorded], list[str]]:
        """Return the readings of a row, and what is wrong with it; `order_us` is what `order_us()` says of it."""
        event_us, received_us = self._times(number, row, order_us)
        if event_us == _NO_TIME:
            return [], [f"{self._columns.time} is {_text(row, self._time)!r}, not a time"]
        if received_us == _NO_TIME:
            return [], [f"{self._columns.received} is {_text(row, self._received)!r}, not a time"]
        faults: list[str] = []
        state = _text(row, self._state) or None
        moment = _EPOCH + timedelta(microseconds=event_us)
        found = []
        for sensor, column, position, features in self._sensors:
            level = _number(row, position)
            if level is None:
                if text := _text(row, position):
                    faults.append(f"{column} is {text!r}, not a number")
                continue
            data = ReadingData(sensor, level, unit=self._columns.unit, operating_state=state, sequence=number)
            if features:
                faults += _set_features(data, row, features)
            event = VibrationRecorded("VibrationRecorded", moment, data, f"row {number}")
            found.append(Recorded(number, event, event_us, received_us * 1000, tags))
        if not found and not faults:
            faults.append(f"there is nothing in {', '.join(self._columns.values.values())}")
        return found, faults

    def _times(self, number: int, row: Sequence[str], order_us: int) -> tuple[int, int]:
        """Return when a row's readings were taken, and when they came in."""
        if self._time is None:
            event_us = number * self._columns.interval_us
            return (event_us, event_us) if event_us <= LATEST_US else (_NO_TIME, _NO_TIME)
        if self._received is None:
            return order_us, order_us
        return _time_or_none(row, self._time), order_us


_FeatureCells = list[tuple[str, str, int]]
"""The attribute of ReadingData, the column's name, its position."""


def _feature_cells(header: Sequence[str], features: dict[str, str]) -> _FeatureCells:
    return [(BY_WIRE[name].key, column, header.index(column)) for name, column in features.items()]


def _set_features(data: ReadingData, row: Sequence[str], features: _FeatureCells) -> list[str]:
    """Set the features of a row, and return what is wrong; an empty cell is one that was not measured."""
    faults = []
    for attribute, column, position in features:
        value = _number(row, position)
        if value is not None:
            setattr(data, attribute, value)
        elif _text(row, position):
            faults.append(f"{column} is {_text(row, position)!r}, not a number")
    return faults


def _text(row: Sequence[str], position: int | None) -> str:
    """Return a cell's text; one that is not there is empty."""
    return row[position].strip() if position is not None and position < len(row) else ""


def _number(row: Sequence[str], position: int) -> float | None:
    try:
        number = float(row[position])
    except (ValueError, IndexError):
        return None
    return number if isfinite(number) else None


def _time_or_none(row: Sequence[str], position: int) -> int:
    """Return the time in a cell in microseconds since 1970, or _NO_TIME."""
    try:
        return parse_time(row[position])
    except (ValueError, IndexError):
        return _NO_TIME


def parse_time(text: str) -> int:
    """Return an RFC 3339 time, a naive one (taken as UTC), or an epoch in s or ms, in microseconds since 1970.

    Raises ValueError for anything else, and for a time that no database can hold.
    """
    try:
        number = nan if ":" in text else float(text)  # most times are no number, and an exception takes its time
    except ValueError:
        number = nan
    if isfinite(number):
        epoch_us = number * 1e3 if abs(number) >= _MILLISECONDS_FROM else number * 1e6
        moment = round(epoch_us) if isfinite(epoch_us) else LATEST_US + 1
    else:
        moment = microseconds(datetime.fromisoformat(text.strip()))
    if not EARLIEST_US <= moment <= LATEST_US:
        raise ValueError(f"{text!r} is beyond what a database can hold")
    return moment


def _is_sorted(times: Sequence[int]) -> bool:
    return all(earlier <= later for earlier, later in pairwise(times))


def _longest_ordered(times: Sequence[int]) -> bytearray:
    """Mark the longest series that is in order: a longest non-decreasing subsequence, by patience sorting."""
    ends: list[int] = []
    rows: list[int] = []
    before = array("q")
    for row, time in enumerate(times):
        place = bisect_right(ends, time) if time != _NO_TIME else 0
        before.append(rows[place - 1] if place else -1)
        if time != _NO_TIME:
            ends[place : place + 1] = [time]
            rows[place : place + 1] = [row]
    kept = bytearray(len(times))
    row = rows[-1] if rows else -1
    while row >= 0:
        kept[row] = True
        row = before[row]
    return kept


ReadHistory = Callable[[Problems], Iterator[Recorded | DomainEvent]]
"""Reads a history anew, as often as it is asked for; what cannot be used goes to the problems."""
