"""A reading as a sensor published it, and what is special about a stored one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast

from msgspec import Struct, defstruct

from gateway.domain.model.quantities import BY_WIRE, QUANTITIES

T = TypeVar("T", bound="Measured")

Values = tuple[float | None, ...]
"""A value for each row of the table of quantities, None where it was not measured."""


class Flag:
    """What is special about a stored reading: bits of a plain number, since an enum costs a third of the hot path."""

    LATE: Final = 1  # behind its sensor's own newest reading: stored, not judged
    CLOCK_REPLACED: Final = 2  # the sensor's clock is not believable: `time` is the receive time
    RETAINED: Final = 4  # the broker's memory of an earlier reading, delivered on subscribing: stored, not judged


FLAG_NAMES = {Flag.LATE: "late", Flag.CLOCK_REPLACED: "clock-replaced", Flag.RETAINED: "retained"}


class Measured(Struct, gc=False):
    """What `with_quantities` gives an attribute for each quantity."""

    if TYPE_CHECKING:

        def __getattr__(self, key: str) -> float | None: ...


def with_quantities(named: Literal["key", "wire"]) -> Callable[[type[T]], type[T]]:
    """Return a decorator that adds an optional number for each quantity, after the struct's own fields.

    The attributes bear the keys; `named` says under which name they are encoded.
    """
    fields = [(quantity.key, float | None, None) for quantity in QUANTITIES]
    names = {quantity.key: getattr(quantity, named) for quantity in QUANTITIES}

    def add(struct: type[T]) -> type[T]:
        doc = {"__doc__": struct.__doc__}
        made = defstruct(
            struct.__name__, fields, bases=(struct,), module=struct.__module__, namespace=doc, rename=names
        )
        return cast("type[T]", made)

    return add


@with_quantities("wire")
class Quantities(Measured, gc=False):
    """What was measured beside the level, and nothing else: to read it takes half the time of a whole event."""


values_of: Final = cast("Callable[[Measured], Values]", attrgetter(*(quantity.key for quantity in QUANTITIES)))
"""Return the quantities of a struct made by `with_quantities`, in the order of the table."""


@with_quantities("wire")
class ReadingData(Measured, rename="camel", gc=False):
    """What a sensor measured: `vibration_level` is in `unit`, each quantity in its canonical unit."""

    sensor_id: str
    vibration_level: float
    baseline_vibration_level: float | None = None
    unit: str = "m/s²"
    operating_state: str | None = None
    sequence: int | None = None


def quantities_of(data: ReadingData) -> dict[str, float]:
    """Return what was measured beside the level: name on the wire -> value in the canonical unit."""
    values = zip(BY_WIRE, values_of(data), strict=True)
    return {name: value for name, value in values if value is not None}


class VibrationRecorded(Struct, rename="camel", gc=False):
    """A reading, as a sensor published it. Fields that are not named here stay in the stored body."""

    event_type: str
    timestamp: datetime
    data: ReadingData
    event_id: str | None = None
    sensor_location: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
