"""An input on one topic: what does not change from message to message there is worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.domain.inputs.fields import UNIT, Extraction, Found
from gateway.domain.inputs.numbers import LEVEL_WIRE
from gateway.domain.inputs.results import is_axis, is_id
from gateway.domain.inputs.rows import Rows
from gateway.domain.inputs.specs import InputSpec
from gateway.domain.inputs.waveforms import part_paths

PLACES: Final[tuple[str, ...]] = ("site", "area", "machine")
"""Placeholders of a topic that say where a sensor is, without a `place`."""

MAX_AXES: Final = 64
"""Axes that topics name, and for which the fields are kept ready."""

VELOCITY: Final = "velocityRms"
VELOCITY_UNIT: Final = "mm/s"


class Plan:
    """An input, with what does not depend on the topic. A topic that names an axis has fields of its own."""

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec
        self.rows = Rows(spec.rows) if spec.rows else None
        self._extractions: dict[str, Extraction] = {}

    def extraction(self, axis: str) -> Extraction:
        """Return the fields for the axis that a topic names, or ("") for the input's own."""
        found = self._extractions.get(axis)
        if found is None:
            axes = (axis,) if axis else self.spec.axes or ("",)
            found = Extraction(self.spec.fields, axes, columns=self.spec.batch is not None)
            if len(self._extractions) >= MAX_AXES:
                self._extractions.clear()
            self._extractions[axis] = found
        return found


def _wanted(spec: InputSpec, extraction: Extraction) -> frozenset[str]:
    """Return the first names of what an element is read for."""
    paths = [
        *extraction.paths(),
        *(path for field in spec.fields for path in (field.exponent, field.unit_path) if path),
    ]
    if spec.waveform is not None:
        paths += [*map(spec.waveform.of_axis, extraction.axes), *part_paths(spec.waveform)]
    if spec.binary is not None and spec.binary.source is not None:
        paths.append(spec.binary.source)
    return frozenset(path[0] for path in paths)


class Route:
    """An input, what the topic's placeholders stand for, and the fields for the axes there.

    `is_named` unless the topic names an axis that is none. `fixed` is the sensor's id without its axis, and where it
    is, if no message has to say them.
    """

    __slots__ = (
        "_place", "_source", "captured", "extraction", "fixed", "is_named", "plan", "rows", "spec", "wanted",
    )  # fmt: skip

    def __init__(self, plan: Plan, captured: dict[str, str]) -> None:
        self.plan = plan
        self.spec = spec = plan.spec
        self.rows = plan.rows
        self.captured = captured
        axis = captured.get("axis", "")
        self.is_named = not axis or is_axis(axis)
        self.extraction = plan.extraction(axis if self.is_named else "")
        self.wanted = _wanted(spec, self.extraction) if spec.each else frozenset()
        known = spec.sensor is not None and spec.sensor.is_known(captured)
        self._source = spec.sensor.filled(captured, ()) if known and spec.sensor else None
        fixed = all(template.is_known(captured) for template in spec.place.values())
        self._place = self._filled(captured, ()) if fixed else None
        source = captured.get("sensor") if spec.sensor is None else self._source
        self.fixed: tuple[str, dict[str, str]] | None = None
        if source and is_id(source) and self.is_named and self._place is not None:
            self.fixed = source, self._place

    def source(self, captured: Mapping[str, str], scopes: Sequence[Any]) -> str | None:
        """Return the sensor's id without its axis, or None where the message does not say it."""
        if self._source is not None:
            return self._source
        return self.spec.sensor.filled(captured, scopes) if self.spec.sensor else captured.get("sensor")

    def place(self, captured: Mapping[str, str], scopes: Sequence[Any]) -> Mapping[str, str]:
        """Return where the sensor is."""
        return self._filled(captured, scopes) if self._place is None or captured is not self.captured else self._place

    def _filled(self, captured: Mapping[str, str], scopes: Sequence[Any]) -> dict[str, str]:
        said = {name: template.filled(captured, scopes) for name, template in self.spec.place.items()}
        tags = {name: captured[name] for name in PLACES if name in captured}
        return tags | {name: text for name, text in said.items() if text}

    def complete(self, data: Found) -> None:
        """Add to what was measured the unit of the level, the sensor's own, and the level that is no field's."""
        if UNIT in data:
            data["unit"], data["sensorUnit"] = data.pop(UNIT)
        elif self.spec.velocity_is_level and LEVEL_WIRE not in data and VELOCITY in data:
            data[LEVEL_WIRE] = data[VELOCITY]
            data["unit"] = data["sensorUnit"] = VELOCITY_UNIT
        else:
            data["unit"], data["sensorUnit"] = self.extraction.unit, self.extraction.sensor_unit
