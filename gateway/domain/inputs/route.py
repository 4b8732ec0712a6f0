"""An input on one topic: what does not change from message to message there is worked out once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gateway.domain.inputs.fields import UNIT, Extraction, Found
from gateway.domain.inputs.numbers import LEVEL
from gateway.domain.inputs.rows import Rows
from gateway.domain.inputs.specs import InputSpec

PLACES: Final[tuple[str, ...]] = ("site", "area", "machine")
"""Placeholders of a topic that say where a sensor is, without a `place`."""

VELOCITY: Final = "velocityRms"
VELOCITY_UNIT: Final = "mm/s"


class Route:
    """An input, what the topic's placeholders stand for, and the fields for the axes there."""

    def __init__(self, spec: InputSpec, captured: dict[str, str]) -> None:
        self.spec = spec
        self.captured = captured
        axis = captured.get("axis", "")
        self.extraction = Extraction(
            spec.fields, (axis,) if axis else spec.axes or ("",), columns=spec.batch is not None
        )
        known = spec.sensor is not None and spec.sensor.is_known(captured)
        self._source = spec.sensor.filled(captured, ()) if known and spec.sensor else None
        self.rows = Rows(spec.rows) if spec.rows else None
        fixed = all(template.is_known(captured) for template in spec.place.values())
        self._place = self._filled(captured, ()) if fixed else None

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

    def measured(self, found: list[Found]) -> Iterator[tuple[str | None, Found]]:
        """Iterate over the axes that measured something, each with what belongs to all of them."""
        shared = found[-1]
        heard = False
        for axis, values in zip(self.extraction.names, found, strict=False):
            if values:
                heard = True
                yield axis, {**shared, **values} if shared else values
        if shared and not heard:
            yield None, shared

    def level(self, values: Found) -> tuple[float | None, str, str]:
        """Take the level out of what was measured; return it with its unit and the sensor's."""
        unit, sensor_unit = values.pop(UNIT, None) or (self.extraction.unit, self.extraction.sensor_unit)
        level = values.pop(LEVEL, None)
        if level is None and self.spec.velocity_is_level and VELOCITY in values:
            return values[VELOCITY], VELOCITY_UNIT, VELOCITY_UNIT
        return level, unit, sensor_unit
