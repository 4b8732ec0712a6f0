"""Rows -> readings: those of one sensor at one time are one reading an axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, msgpack

from gateway.domain.inputs.emitter import Subject, When
from gateway.domain.inputs.fields import Found
from gateway.domain.inputs.memory import Memory
from gateway.domain.inputs.numbers import number
from gateway.domain.inputs.paths import ABSENT
from gateway.domain.inputs.results import MAX_UNUSED
from gateway.domain.inputs.rows import MAX_ROWS, RELATIVE_BELOW, Row, Rows, read_row
from gateway.domain.model.events import Rejected

if TYPE_CHECKING:
    from gateway.domain.inputs.reader import MessageReader

EARLIEST: Final = -1
MAX_KEPT: Final = 64
"""Axes of a sensor whose last values are remembered; of more, those that have been unheard for longest are not."""


class Group(Struct):
    """The rows of a sensor at a time: axis ("": of all) -> what was measured."""

    subject: Subject
    axes: dict[str, Found] = {}


class Last(Struct, array_like=True):
    """The newest values of a sensor, and their time."""

    time_us: int = EARLIEST
    axes: dict[str, dict[str, Any]] = {}


_LAST = msgpack.Decoder(Last)


def read_rows(reader: MessageReader, rows: Rows) -> None:
    """Add the readings of all rows."""
    elements = reader.row_elements()
    counts = [count for element, _ in elements if (count := rows.length(element)) is not None]
    if not counts:
        return
    count = sum(counts)
    if count > MAX_ROWS:
        detail = f"{count} rows; at most {MAX_ROWS} come in one message"
        reader.out.rejected.append(Rejected("too_many", detail, reader.payload))
        return
    reader.heard = True
    groups: dict[tuple[str, When], Group] = {}
    for element, captured in elements:
        _group(reader, rows, element, captured, groups)
    for group in sorted(groups.values(), key=lambda group: group.subject.when[0]):
        if rows.spec.keep_last:
            _fill(reader.memory, f"last\x1f{reader.spec.name}\x1f{group.subject.key}", group)
        _emit(reader, group)


def _group(
    reader: MessageReader,
    rows: Rows,
    element: Any,
    captured: Mapping[str, str],
    groups: dict[tuple[str, When], Group],
) -> None:
    """Add the rows of an element to the groups that they belong to."""
    unmapped = 0
    for row in rows.rows(element, captured):
        if isinstance(row, Row):
            _take(reader, rows, row, (element, captured), groups)
        else:
            unmapped += 1
            if row and len(reader.out.unused) < MAX_UNUSED and row not in reader.out.unused:
                reader.out.unused.append(row)
    reader.out.filtered += unmapped


def _take(
    reader: MessageReader,
    rows: Rows,
    row: Row,
    around: tuple[Any, Mapping[str, str]],
    groups: dict[tuple[str, When], Group],
) -> None:
    element, captured = around
    found: Found = {}
    read_row(row, found, reader.trouble)
    if not found:
        return
    subject = reader.subject(row.row, {**captured, **row.tag.captured}, _when(reader, rows, row, element), element)
    if subject is None:
        return
    group = groups.setdefault((subject.key, subject.when), Group(subject, {}))
    group.axes.setdefault(row.tag.axis, {}).update(found)


def _when(reader: MessageReader, rows: Rows, row: Row, element: Any) -> When:
    if rows.spec.senml:
        seconds = number(row.time) or 0.0
        if seconds < RELATIVE_BELOW:
            return reader.emitter.ago(-seconds)
    if row.time is ABSENT:
        return reader.emitter.when((row.row, element, reader.message))
    return reader.emitter.moment(row.time)


def _fill(memory: Memory, key: str, group: Group) -> None:
    """Let values that have not changed since an earlier message count again, and remember the new ones."""
    last = memory.read(key, _LAST) or Last()
    if group.subject.when[0] < last.time_us:
        return
    kept = {axis: {**last.axes.get(axis, {}), **found} for axis, found in group.axes.items()}
    newest = {axis: found for axis, found in last.axes.items() if axis not in kept} | kept
    for axis in list(newest)[:-MAX_KEPT]:
        del newest[axis]
    memory.keep(key, msgpack.encode(Last(group.subject.when[0], newest)))
    group.axes = dict(kept)
    if "" in newest:
        group.axes[""] = dict(newest[""])


def _emit(reader: MessageReader, group: Group) -> None:
    shared = group.axes.pop("", {})
    for axis, found in list(group.axes.items()) or [("", shared)]:
        if values := {**shared, **found}:
            reader.emitter.emit_one(axis or None, values, group.subject)
