"""`[[inputs]]` compiled: tables -> what the domain reads messages by. Every problem names input, key and reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from pydantic import ValidationError

from gateway.config.inputs import FieldSection, InputSection, RowsSection, WaveformSection
from gateway.config.loader import expand_tables, masked, read_toml
from gateway.config.presets import expanded
from gateway.config.problems import validation_problems
from gateway.domain.inputs import paths
from gateway.domain.inputs.conditions import Conditions
from gateway.domain.inputs.formats import LINEWISE
from gateway.domain.inputs.layout import Layout
from gateway.domain.inputs.numbers import LEVEL, Field, UnknownUnitError, measured_in
from gateway.domain.inputs.rows import RowsSpec, names_in, pattern_of
from gateway.domain.inputs.specs import Batch, Binary, Decode, Each, InputSpec, StatusSpec
from gateway.domain.inputs.times import TimeSpec
from gateway.domain.inputs.topic_index import levels_of
from gateway.domain.inputs.waveforms import Parts, WaveformSpec, encoding_of
from gateway.domain.inputs.wording import Template, text_of
from gateway.domain.model.quantities import BY_KEY
from gateway.errors import ConfigError

MAX_INPUTS = 1000
VELOCITY_KEY = "velocity_rms"
EVENT_PRESET = "event"

Load = Callable[[str], Decode]
"""Name of a decoder -> the decoder. Raises ConfigError with the reason."""


def load_inputs(path: Path, decoder: Load, environment: Mapping[str, str] = os.environ) -> list[InputSpec]:
    """Return the inputs of a file, which may have any other tables. Raises ConfigError with every problem."""
    problems: list[str] = []
    secrets: set[str] = set()
    tables = read_toml(path).get("inputs", [])
    found = expand_tables({"inputs": tables}, environment, problems, secrets)["inputs"]
    specs = compiled(found, decoder, problems)
    if problems:
        raise ConfigError([masked(f"{path}: {problem}", secrets) for problem in problems])
    return specs


def compiled(tables: Any, decoder: Load, problems: list[str]) -> list[InputSpec]:
    """Return what the tables mean, and add a line for each thing to mend."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        problems.append("inputs: must be tables, each below [[inputs]]")
        return []
    if len(tables) > MAX_INPUTS:
        problems.append(f"inputs: there are {len(tables)}; at most {MAX_INPUTS}")
        return []
    specs = [spec for number, table in enumerate(tables, start=1) for spec in _input(number, table, decoder, problems)]
    names = [spec.name for spec in specs]
    problems += [f"inputs: more than one is called {name!r}" for name in dict.fromkeys(names) if names.count(name) > 1]
    return [replace(spec, velocity_is_level=_is_level(spec, specs)) for spec in specs]


def _input(number: int, table: dict[str, Any], decoder: Load, problems: list[str]) -> list[InputSpec]:
    name = table.get("name") if isinstance(table.get("name"), str) else None
    where = f"inputs #{number}" + (f" ({name})" if name else "")
    try:
        tables = expanded(table)
    except ValueError as error:
        problems.append(f"{where}.preset: {error}")
        return []
    specs: list[InputSpec] = []
    for extra, each in enumerate(tables):
        title = f"{name or number}" + (f".{extra + 1}" if extra else "")
        try:
            section = InputSection.model_validate(each)
        except ValidationError as error:
            lines = validation_problems(error, model=InputSection)
            problems += [f"{where}.{line.replace('.[key]', '')}" for line in lines]
            continue
        compiler = _Compiler(section, title, decoder)
        specs += compiler.specs()
        problems += [f"{where}.{problem}" for problem in compiler.problems]
    return specs


def _is_level(spec: InputSpec, specs: Sequence[InputSpec]) -> bool:
    """Tell whether velocity is a sensor's level: where neither this input nor one of the same sensors names another."""
    return not any(_has_level(other) and (other is spec or _are_siblings(spec, other)) for other in specs)


def _has_level(spec: InputSpec) -> bool:
    fields = [*spec.fields, *(field for _, field in spec.rows.tags.values())] if spec.rows else spec.fields
    return any(field.quantity == LEVEL for field in fields)


def _are_siblings(one: InputSpec, other: InputSpec) -> bool:
    """Tell whether two inputs are of the same sensors: their topics differ in one level's text only."""
    texts = [each.sensor.text if each.sensor else "" for each in (one, other)]
    return texts[0] == texts[1] and any(
        len(mine) == len(its)
        and [name for _, name in mine] == [name for _, name in its]
        and sum(left != right for left, right in zip(mine, its, strict=True)) == 1
        for mine in one.topics
        for its in other.topics
    )


class _Compiler:
    """One table, compiled; `problems` has what is wrong with it."""

    def __init__(self, section: InputSection, name: str, decoder: Load) -> None:
        self._section = section
        self._name = name
        self._load = decoder
        self.problems: list[str] = []

    def specs(self) -> list[InputSpec]:
        """Return the input, or nothing where there are problems."""
        section = self._section
        spec = InputSpec(
            name=self._name,
            topics=tuple(tuple(levels_of(topic)) for topic in section.all_topics),
            format=section.format,
            where=_conditions(section.where),
            each=_each(section.each or ("." if section.format in LINEWISE else None)),
            where_each=_conditions(
                {**section.where, **section.where_each} if section.format in LINEWISE else section.where_each
            ),
            axes=section.axes,
            sensor=_template(section.sensor),
            place={name: Template(text) for name, text in section.place.items()},
            time=self._time(),
            time_parts=_template(section.time) if "{" in (section.time or "") else None,
            columns=section.columns,
            batch=self._batch(),
            fields=self._fields(section.fields, "fields"),
            rows=self._rows(section.rows) if section.rows else None,
            binary=self._binary(),
            waveform=self._waveform(section.waveform) if section.waveform else None,
            status=self._status(),
            event_id=_path(section.event_id),
            decode=self._decoder(),
            is_event=section.preset == EVENT_PRESET and not section.fields,
        )
        self._check(spec)
        return [] if self.problems else [spec]

    def _time(self) -> TimeSpec:
        section = self._section
        path = section.time or ("timestamp" if section.format == "line" else None)
        if path is None and section.rows is None and section.batch is None:
            for key in ("time_format", "timezone"):
                if getattr(section, key) is not None and section.preset is None:
                    self.problems.append(f"{key}: without time there is nothing it says anything of")
        path = None if path and "{" in path else path
        return TimeSpec(_path(path), section.time_format or "", section.timezone or UTC, may_lack=section.time is None)

    def _batch(self) -> Batch | None:
        batch = self._section.batch
        return None if batch is None else Batch(paths.parse(batch.start), _number_or_path(batch.step) or 0.0)

    def _fields(self, sections: Mapping[str, FieldSection], key: str) -> tuple[Field, ...]:
        fields = (self._field(name, section, f"{key}.{name}") for name, section in sections.items())
        return tuple(field for field in fields if field is not None)

    def _field(self, quantity: str, section: FieldSection, key: str) -> Field | None:
        if quantity != LEVEL and quantity not in BY_KEY:
            close = get_close_matches(quantity, [LEVEL, *BY_KEY], n=1)
            meant = f"; did you mean {close[0]}?" if close else f"; there are {', '.join([LEVEL, *BY_KEY])}"
            self.problems.append(f"{key}: there is no quantity {quantity}{meant}")
            return None
        unit, unit_path = self._unit(quantity, section.unit, key)
        constant = section.exponent if isinstance(section.exponent, float) else 0
        return Field(
            quantity=quantity,
            path=paths.parse(section.path),
            scale=float(section.scale * 10.0**constant if constant >= 0 else section.scale / 10.0**-constant),
            offset=section.offset,
            exponent=_path(section.exponent) if isinstance(section.exponent, str) else None,
            missing=frozenset(section.missing),
            split=section.split or "",
            item=dict(section.item) if isinstance(section.item, Mapping) else section.item or 0,
            unit=unit,
            unit_path=unit_path,
        )

    def _unit(self, quantity: str, text: str | None, key: str) -> tuple[str | None, paths.Path | None]:
        """Return a unit that is configured, or the path of one that the message says."""
        try:
            if text is not None and text.startswith("@"):
                return None, paths.parse(text[1:])
            measured_in(quantity, text)
        except UnknownUnitError as error:
            self.problems.append(f"{key}.unit: {error}")
        except ValueError as error:
            self.problems.append(f"{key}.unit: {error}")
        return text, None

    def _rows(self, section: RowsSection) -> RowsSpec | None:
        tags: dict[str, tuple[str, Field]] = {}
        for name, tag in section.fields.items():
            axis, _, quantity = tag.path.rpartition(" ")
            field = self._field(quantity, tag, f"rows.fields.{name}")
            if field is not None:
                tags[name] = (axis.strip(), field)
        names = section.names or "{field}"
        try:
            pattern_of(names, list(tags))
        except ValueError as error:
            self.problems.append(f"rows.names: {error}")
        if not tags and not self.problems:
            self.problems.append('rows.fields: is required: which field is which quantity, such as { X = ["x level"] }')
        named = section.name or ("n" if section.senml else None)
        if named is None:
            self.problems.append("rows.name: is required: the path of a row's name")
            return None
        each = _each(section.each)
        return RowsSpec(
            names=names,
            tags=tags,
            each=each.path if each else (),
            name=Template(named if "{" in named else f"{{{named}}}"),
            value=paths.parse(section.value or ("v" if section.senml else "value")),
            time=("t",) if section.senml else _path(section.time),
            unit=("u",) if section.senml else _path(section.unit),
            where=_conditions(section.where),
            keep_last=section.keep_last,
            senml=section.senml,
        )

    def _binary(self) -> Binary | None:
        section = self._section.binary
        if section is None:
            if self._section.format == "binary":
                self.problems.append('binary: is required with format = "binary": it has the layout')
            return None
        return Binary(
            layout=Layout(section.layout, section.endian),
            source=_path(section.source),
            encoding=section.encoding,
            endian=section.endian,
            repeat=bool(section.repeat),
            records=section.repeat if isinstance(section.repeat, str) else "",
            header=Layout(section.header, section.endian) if section.header else None,
        )

    def _waveform(self, section: WaveformSection) -> WaveformSpec:
        packing, sample = encoding_of(section.encoding) if section.encoding else ("", "")
        unit, unit_path = self._unit(LEVEL, section.unit, "waveform")
        parts = section.parts
        return WaveformSpec(
            samples=paths.parse(section.samples),
            packing=packing,
            sample=sample,
            rate=_number_or_path(section.rate),
            interval=_number_or_path(section.interval),
            scale=_number_or_path(section.scale) or 1.0,
            unit=unit,
            unit_path=unit_path,
            parts=Parts(*(paths.parse(text) for text in (parts.id, parts.index, parts.count))) if parts else None,
        )

    def _status(self) -> StatusSpec | None:
        status = self._section.status
        if status is None:
            return None
        online, offline = (frozenset(map(text_of, values)) for values in (status.online, status.offline))
        return StatusSpec(paths.parse(status.path), online, offline)

    def _decoder(self) -> Decode | None:
        if self._section.decoder is None:
            return None
        try:
            return self._load(self._section.decoder)
        except ConfigError as error:
            self.problems += [f"decoder: {problem}" for problem in error.problems]
            return None

    def _check(self, spec: InputSpec) -> None:
        """Add what is missing, and what does not go together."""
        section = self._section
        if not spec.topics:
            self.problems.append("topic: is required" + ("; the preset leaves it to you" if section.preset else ""))
        reads_nothing = any(not values for values in section.where.values())
        if not (spec.fields or spec.rows or spec.waveform or spec.status or section.decoder or spec.is_event):
            if not reads_nothing and not section.rows:
                what = f"what the preset {section.preset!r} leaves to you" if section.preset else "what it reads"
                self.problems.append(f"fields: is required: {what} (or rows, waveform, status, decoder)")
        elif not self._has_sensor(spec):
            self.problems.append('sensor: is required, since the topic has no {sensor}: a text, or "{path}"')
        if section.columns and section.format != "csv":
            self.problems.append('columns: are those of format = "csv"')
        self._check_axes(spec)

    def _has_sensor(self, spec: InputSpec) -> bool:
        if spec.sensor or spec.is_event or spec.decode or self._section.decoder:
            return True
        if spec.rows and "sensor" in names_in(spec.rows.names):
            return True
        return all(any(name == "sensor" for _, name in levels) for levels in spec.topics)

    def _check_axes(self, spec: InputSpec) -> None:
        used = any(field.has_axis for field in spec.fields) or bool(
            spec.waveform and spec.waveform.samples != spec.waveform.of_axis("")
        )
        from_topic = all(any(name == "axis" for _, name in levels) for levels in spec.topics)
        if used and not spec.axes and not from_topic and not self._is_split():
            self.problems.append('axes: is required, since a path has {axis}: such as ["x", "y", "z"]')
        if len(spec.axes) > 1 and not used and not from_topic and (spec.fields or spec.waveform):
            self.problems.append("axes: has several, and no path has {axis}")
        if len(set(spec.axes)) < len(spec.axes):
            self.problems.append("axes: has one twice")

    def _is_split(self) -> bool:
        return not any("{axis}" in field.path for field in self._section.fields.values())


def _conditions(where: Mapping[str, Iterable[Any]]) -> Conditions | None:
    return Conditions({path: list(values) for path, values in where.items()}) if where else None


def _each(text: str | None) -> Each | None:
    if text is None:
        return None
    if text in {".", "*"}:
        return Each((), keyed=text == "*")
    return Each(paths.parse(text.removesuffix(".*")), keyed=text.endswith(".*"))


def _template(text: str | None) -> Template | None:
    return None if text is None else Template(text)


def _path(text: str | None) -> paths.Path | None:
    return None if text is None else paths.parse(text)


def _number_or_path(value: float | str | None) -> float | paths.Path | None:
    if isinstance(value, str):
        return paths.parse(value.removeprefix("@"))
    return None if value is None else float(value)
