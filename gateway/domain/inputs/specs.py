"""What the configuration says of one input, compiled: nothing here is text that has to be understood again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from gateway.domain.inputs.conditions import Conditions
from gateway.domain.inputs.layout import Endian, Layout
from gateway.domain.inputs.numbers import Field
from gateway.domain.inputs.paths import Path
from gateway.domain.inputs.rows import RowsSpec
from gateway.domain.inputs.times import TimeSpec
from gateway.domain.inputs.topic_index import Level
from gateway.domain.inputs.waveforms import WaveformSpec
from gateway.domain.inputs.wording import Template

Decode = Callable[[str, bytes, int, dict[str, Any]], Iterable[Mapping[str, Any]]]
"""A decoder plugin: topic, payload, receive time in ns and what it keeps between messages -> readings."""


class Each(Struct, frozen=True):
    """Where the elements of a message are: below `path`; `()` is the message itself. `keyed`: as members of objects."""

    path: Path = ()
    keyed: bool = False


class Batch(Struct, frozen=True):
    """Columns: reading k is at `start` + k * `step`; a start that is itself a column has the times."""

    start: Path
    step: float | Path = 0.0


class Binary(Struct, frozen=True):
    """Bytes with a layout: the payload itself, or what is under a path of it. `repeat`: record after record.

    `records` is the name under which the records stand as an array; without it each of their fields is a column.
    """

    layout: Layout
    source: Path | None = None
    encoding: str = "raw"
    endian: Endian = "big"
    repeat: bool = False
    records: str = ""
    header: Layout | None = None


class StatusSpec(Struct, frozen=True):
    """Where a message says whether its sensor is there."""

    path: Path
    online: frozenset[str]
    offline: frozenset[str]


class InputSpec(Struct, frozen=True):
    """One input. `velocity_is_level`: where no level is given, velocity RMS is what a baseline is learned of.

    `time_parts`: the time is said in several places, such as date and time of day.
    """

    name: str
    topics: tuple[tuple[Level, ...], ...]
    format: str = "json"
    where: Conditions | None = None
    each: Each | None = None
    where_each: Conditions | None = None
    axes: tuple[str, ...] = ()
    sensor: Template | None = None
    place: Mapping[str, Template] = {}
    time: TimeSpec = TimeSpec()
    time_parts: Template | None = None
    columns: tuple[str, ...] = ()
    batch: Batch | None = None
    fields: tuple[Field, ...] = ()
    rows: RowsSpec | None = None
    binary: Binary | None = None
    waveform: WaveformSpec | None = None
    status: StatusSpec | None = None
    event_id: Path | None = None
    decode: Decode | None = None
    is_event: bool = False
    velocity_is_level: bool = True
