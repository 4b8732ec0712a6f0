"""A reading, as detection takes it."""

from __future__ import annotations

from msgspec import Struct, field

from gateway.domain.model.reading import Measured, Quantities


class Sample(Struct, gc=False):
    """What detection needs to know of a reading. `level`, if there is one, and `event_baseline` are in `unit`."""

    level: float | None
    time_ns: int
    unit: str = "m/s²"
    event_baseline: float | None = None
    operating_state: str | None = None
    sensor_unit: str | None = None
    quantities: Measured = field(default_factory=Quantities)
