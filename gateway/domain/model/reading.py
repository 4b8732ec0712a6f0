"""A reading as a sensor published it, and what is special about a stored one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast

from msgspec import Struct, defstruct

from gateway.domain.model.quantities import BY_WIRE, LONGEST_UNIT, QUANTITIES, UNITS, vibration_unit

T = TypeVar("T", bound="Measured")

ACCELERATION: Final = UNITS["acceleration"][0].symbol
VELOCITY: Final = UNITS["velocity"][0].symbol

LONGEST_SHOWN: Final = 128
"""Characters of a unit that nobody knows: what is shown again and again is bounded; the body keeps it whole."""

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

        def __setattr__(self, key: str, value: float | None) -> None: ...


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
    """What a sensor measured: `vibration_level` is in `unit`, each quantity in its canonical unit.

    `sensor_unit` is what the sensor itself measures the level in, since inputs convert what they read. Without a level
    there is a quantity at least; the velocity, if there is one, can stand for the level.
    """

    sensor_id: str
    vibration_level: float | None = None
    baseline_vibration_level: float | None = None
    unit: str = ACCELERATION
    sensor_unit: str | None = None
    operating_state: str | None = None
    sequence: int | None = None


def complete(data: ReadingData) -> None:
    """Let a unit be spelled in one way; without a level it is that of what can stand for one, empty if nothing can."""
    if data.sensor_unit is not None:
        data.sensor_unit = data.sensor_unit[:LONGEST_UNIT]
    if data.vibration_level is None:
        data.unit = "" if data.velocity_rms is None else VELOCITY
        return
    data.unit = data.unit[:LONGEST_SHOWN]
    if found := vibration_unit(data.unit):
        data.unit = found[1].symbol


def in_sensors_unit(level: float, unit: str, sensor_unit: str | None) -> tuple[float, str] | None:
    """Return a level as its sensor gave it, where that was in another unit of the same kind; else None."""
    own, stored = vibration_unit(sensor_unit or ""), vibration_unit(unit)
    if own is None or stored is None or own == stored or own[0] != stored[0]:
        return None
    return own[1].own(stored[1].canonical(level)), own[1].symbol


def as_the_sensor_says(
    level: float | None, baseline: float | None, unit: str, sensor_unit: str | None
) -> dict[str, float | str | None]:
    """Return a level and its baseline in the sensor's own unit, to four digits, as they are shown to people."""
    own = in_sensors_unit(0.0, unit, sensor_unit)
    shown = [value if own is None or value is None else _own(value, unit, own[1]) for value in (level, baseline)]
    return {"shownLevel": shown[0], "shownBaseline": shown[1], "shownUnit": unit if own is None else own[1]}


def _own(value: float, unit: str, symbol: str) -> float | None:
    found = in_sensors_unit(value, unit, symbol)
    return None if found is None else float(f"{found[0]:.4g}")


def carry_velocity(data: ReadingData) -> None:
    """Let a level that is a velocity be the velocity RMS too: limits of velocity are for whoever carries it."""
    found = vibration_unit(data.unit)
    if found and found[0] == "velocity" and data.velocity_rms is None and data.vibration_level is not None:
        data.velocity_rms = found[1].canonical(data.vibration_level)


def quantities_of(data: ReadingData) -> dict[str, float]:
    """Return what was measured beside the level: name on the wire -> value in the canonical unit."""
    values = zip(BY_WIRE, values_of(data), strict=True)
    return {name: value for name, value in values if value is not None}


def in_words(quantities: Mapping[str, float]) -> str:
    """Return quantities, by their names on the wire, as people read them: `Temperature 21.5 °C, Speed 1480 rpm`."""
    known = ((BY_WIRE[name], value) for name, value in quantities.items())
    return ", ".join(f"{each.label} {value:.{each.precision}f} {each.unit}".rstrip() for each, value in known)


class VibrationRecorded(Struct, rename="camel", gc=False):
    """A reading, as a sensor published it. Fields that are not named here stay in the stored body."""

    event_type: str
    timestamp: datetime
    data: ReadingData
    event_id: str | None = None
    sensor_location: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
