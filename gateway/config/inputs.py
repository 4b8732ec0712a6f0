"""`[[inputs]]`: how what sensors say is understood. The tables as frozen models; `to_inputs` compiles them."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.config.section import Section
from gateway.config.values import Timezone
from gateway.domain.inputs import paths
from gateway.domain.inputs.layout import Encoding, Endian, Layout
from gateway.domain.inputs.topic_index import levels_of
from gateway.domain.inputs.waveforms import encoding_of
from gateway.domain.inputs.wording import Template

MAX_MISSING = 100
MAX_EXPONENT = 30


def _checked(check: Any) -> AfterValidator:
    """Return a validator that lets a text be if `check` does not raise ValueError for it."""

    def validated(text: str) -> str:
        check(text)
        return text

    return AfterValidator(validated)


def _each(text: str) -> None:
    if text not in {".", "*"}:
        paths.parse(text.removesuffix(".*"))


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


Text = Annotated[str, Field(min_length=1, max_length=200)]
PathText = Annotated[str, _checked(paths.parse)]
EachText = Annotated[str, _checked(_each)]
TimeText = Annotated[str, _checked(lambda text: Template(text) if "{" in text else paths.parse(text))]
TemplateText = Annotated[str, Field(min_length=1), _checked(Template)]
TopicText = Annotated[str, Field(min_length=1), _checked(levels_of)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Scalar = str | int | float | bool
Scalars = Annotated[tuple[Scalar, ...], BeforeValidator(_one_or_more)]
Where = Mapping[PathText, Scalars]


def _number_or_path(value: object) -> object:
    if isinstance(value, str):
        paths.parse(value.removeprefix("@"))
    elif isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError("must be a number, or the path of one")
    return value


def _item(value: object) -> object:
    numbers = list(value.values()) if isinstance(value, Mapping) else [value]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("must be the number of a part, from 0, or one for each axis: { x = 0, y = 1 }")
    return value


NumberOrPath = Annotated[float | str, BeforeValidator(_number_or_path)]


def _field(value: object) -> object:
    """Turn "path" and ["path", "unit"] into tables."""
    if isinstance(value, str):
        return {"path": value}
    if isinstance(value, list | tuple):
        if not 1 <= len(value) <= 2:  # noqa: PLR2004 - with or without its unit
            raise ValueError('must be "path", ["path", "unit"] or a table')
        return dict(zip(("path", "unit"), value, strict=False))
    return value


class FieldSection(Section):
    """How a quantity is read: value = raw * scale * 10 ** exponent + offset, in its unit."""

    path: PathText
    scale: Number = 1.0
    offset: Number = 0.0
    exponent: NumberOrPath | None = None
    missing: Annotated[tuple[Number, ...], BeforeValidator(_one_or_more), Field(max_length=MAX_MISSING)] = ()
    split: Annotated[str, Field(min_length=1, max_length=8)] | None = None
    item: Annotated[int | Mapping[str, int], BeforeValidator(_item)] | None = None
    unit: str | None = None

    @model_validator(mode="after")
    def _parts(self) -> Self:
        if self.item is not None and self.split is None:
            raise ValueError("item is the number of a part: split says what is between the parts")
        if isinstance(self.exponent, float) and not (self.exponent.is_integer() and abs(self.exponent) <= MAX_EXPONENT):
            raise ValueError(f"exponent must be a whole number of at most {MAX_EXPONENT}, or the path of one")
        return self


Field_ = Annotated[FieldSection, BeforeValidator(_field)]
Fields = Mapping[str, Field_]


class RowsSection(Section):
    """Rows of tags, each a name and a value."""

    each: EachText | None = None
    name: Text | None = None
    value: PathText | None = None
    time: PathText | None = None
    unit: PathText | None = None
    where: Where = Field(default_factory=dict)
    names: Text | None = None
    keep_last: bool = False
    senml: bool = False
    fields: Fields = Field(default_factory=dict)


class BinarySection(Section):
    """Bytes with a layout: the payload, or what is under the path `from`."""

    source: Annotated[PathText | None, Field(alias="from")] = None
    encoding: Encoding = "raw"
    endian: Endian = "big"
    header: tuple[str, ...] = ()
    repeat: bool | Text = False
    layout: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _fields(self) -> Self:
        Layout(self.layout, self.endian)
        if self.header:
            Layout(self.header, self.endian)
        return self


class PartsSection(Section):
    """Which part of which block a message is."""

    id: PathText
    index: PathText
    count: PathText


class WaveformSection(Section):
    """Samples, and how fast they were taken."""

    samples: PathText
    encoding: Annotated[str, _checked(encoding_of)] | None = None
    rate: NumberOrPath | None = None
    interval: NumberOrPath | None = None
    scale: NumberOrPath = 1.0
    unit: str | None = None
    parts: PartsSection | None = None

    @model_validator(mode="after")
    def _speed(self) -> Self:
        if (self.rate is None) == (self.interval is None):
            raise ValueError("needs rate (samples a second) or interval (seconds between two), a number or a path")
        return self


class StatusSection(Section):
    """A sensor's presence."""

    path: PathText
    online: Scalars
    offline: Scalars


class BatchSection(Section):
    """Columns of values: reading k is at start + k * step."""

    start: PathText
    step: NumberOrPath | None = None


class InputSection(Section):
    """One input. Which of its keys go together is checked when it is compiled."""

    name: Text | None = None
    topic: TopicText | None = None
    topics: tuple[TopicText, ...] = ()
    preset: Text | None = None
    format: Literal["json", "cbor", "msgpack", "line", "csv", "value", "pairs", "python", "sparkplug", "binary"] = (
        "json"
    )
    where: Where = Field(default_factory=dict)
    each: EachText | None = None
    where_each: Where = Field(default_factory=dict)
    axes: tuple[Text, ...] = ()
    sensor: TemplateText | None = None
    place: Mapping[Text, TemplateText] = Field(default_factory=dict)
    time: TimeText | None = None
    time_format: Text | None = None
    timezone: Timezone | None = None
    columns: tuple[Text, ...] = ()
    batch: BatchSection | None = None
    fields: Fields = Field(default_factory=dict)
    rows: RowsSection | None = None
    binary: BinarySection | None = None
    waveform: WaveformSection | None = None
    status: StatusSection | None = None
    event_id: PathText | None = None
    decoder: Text | None = None

    @property
    def all_topics(self) -> tuple[str, ...]:
        """The topics, however they were given."""
        return (self.topic, *self.topics) if self.topic is not None else self.topics
