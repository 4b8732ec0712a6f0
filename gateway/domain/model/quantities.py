"""Every quantity that a reading can carry, and every unit that it can come in: one row each.

What is stored and judged is in the canonical unit of the quantity's kind; how a sensor spells its own is folded.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal
from unicodedata import normalize

from msgspec import Struct

Kind = Literal[
    "acceleration",
    "velocity",
    "displacement",
    "temperature",
    "speed",
    "frequency",
    "kurtosis",
    "ratio",
    "percent",
    "pressure",
]
Side = Literal["above", "below", "both"]


class Unit(Struct, frozen=True):
    """A unit of a kind: canonical value = value * factor + offset. `spellings` are further ones, beside the symbol."""

    symbol: str
    factor: float = 1.0
    offset: float = 0.0
    spellings: tuple[str, ...] = ()

    def canonical(self, value: float) -> float:
        """Return a value in this unit in the canonical one of its kind."""
        return value * self.factor + self.offset

    def own(self, canonical: float) -> float:
        """Return a canonical value in this unit."""
        return (canonical - self.offset) / self.factor


class Quantity(Struct, frozen=True):
    """What can be measured beside the level, or as the level.

    `key` is its name in the configuration, in InfluxDB and in tables, `wire` that in the event. `alarms` says on which
    side of a limit it is too much; None: no limit makes sense. `learned`: its limits can be learned. `shape`: it
    says something of the wave's shape and not of its size, so it makes nothing critical alone.
    """

    key: str
    wire: str
    kind: Kind
    label: str
    precision: int = 2
    alarms: Side | None = "above"
    learned: bool = True
    shape: bool = False

    @property
    def unit(self) -> str:
        """The canonical unit's symbol."""
        return UNITS[self.kind][0].symbol


UNITS: Final[dict[Kind, tuple[Unit, ...]]] = {
    "acceleration": (
        Unit("m/s²", spellings=("mps2", "ms-2", "m/s/s", "m/s2rms", "meters/s/s", "metres/s/s", "MSK")),
        Unit("g", 9.80665, spellings=("grms", "gforce", "gn", "g's", "g0", "K40")),
        Unit("mg", 9.80665e-3, spellings=("mgrms", "millig", "milli-g")),
        Unit("mm/s²", 1e-3),
        Unit("cm/s²", 1e-2, spellings=("gal",)),
        Unit("in/s²", 0.0254),
        Unit("ft/s²", 0.3048),
    ),
    "velocity": (
        Unit("mm/s", spellings=("mmps", "mms-1", "mm/srms", "millimeters/s", "millimetres/s", "C16")),
        Unit("m/s", 1e3, spellings=("mps", "ms-1", "meters/s", "metres/s", "MTS")),
        Unit("cm/s", 10.0),
        Unit("µm/s", 1e-3, spellings=("um/s",)),
        Unit("in/s", 25.4, spellings=("ips", "inch/s", "inches/s", "ipsrms")),
        Unit("mil/s", 0.0254, spellings=("mils/s",)),
    ),
    "displacement": (
        Unit(
            "µm", spellings=("um", "micron", "microns", "micrometer", "micrometre", "micrometers", "micrometres", "4H")
        ),
        Unit("mm", 1e3, spellings=("millimeters", "millimetres", "MMT")),
        Unit("m", 1e6),
        Unit("nm", 1e-3),
        Unit("mil", 25.4, spellings=("mils", "thou")),
        Unit("in", 25_400.0, spellings=("inch",)),
    ),
    "temperature": (
        Unit("°C", spellings=("c", "cel", "celsius", "degc", "degreescelsius", "degrees-celsius")),
        Unit(
            "°F",
            5 / 9,
            -160 / 9,
            spellings=("f", "far", "fahrenheit", "degf", "degreesfahrenheit", "degrees-fahrenheit", "FAH"),
        ),
        Unit("K", 1.0, -273.15, spellings=("kelvin", "degrees-kelvin", "KEL")),
    ),
    "speed": (
        Unit("rpm", spellings=("1/min", "min-1", "r/min", "rev/min", "u/min", "revolutions/minute")),
        Unit("Hz", 60.0, spellings=("1/s", "s-1", "rps", "rev/s", "cps", "hertz", "HTZ")),
    ),
    "frequency": (
        Unit("Hz", spellings=("1/s", "s-1", "cps", "hertz", "HTZ")),
        Unit("kHz", 1e3),
        Unit("cpm", 1 / 60, spellings=("rpm", "1/min")),
    ),
    "kurtosis": (
        Unit("", spellings=("1", "pearson")),
        Unit("excess", 1.0, 3.0, spellings=("fisher", "excesskurtosis")),
    ),
    "ratio": (Unit("", spellings=("1", "ratio")), Unit("%", 0.01, spellings=("percent", "pct"))),
    "pressure": (
        Unit("bar", spellings=("bars", "barg")),
        Unit("mbar", 1e-3, spellings=("hpa",)),
        Unit("Pa", 1e-5),
        Unit("kPa", 1e-2),
        Unit("MPa", 10.0),
        Unit("psi", 0.0689475729, spellings=("psig",)),
    ),
    "percent": (Unit("%", spellings=("percent", "pct")), Unit("ratio", 100.0, spellings=("1",))),
}
"""Of each kind the canonical unit comes first. The codes of three signs (C16, FAH) are UN/CEFACT's, Recommendation 20,
as NGSI-LD and OPC UA have them; what is written out (degrees-fahrenheit) is as BACnet names it."""

QUANTITIES: Final = (
    Quantity("velocity_rms", "velocityRms", "velocity", "Velocity RMS"),
    Quantity("peak", "peak", "acceleration", "Peak"),
    Quantity("crest_factor", "crestFactor", "ratio", "Crest factor", shape=True),
    Quantity("kurtosis", "kurtosis", "kurtosis", "Kurtosis", shape=True),
    Quantity("temperature", "temperature", "temperature", "Temperature", precision=1, alarms="both"),
    Quantity("rpm", "rpm", "speed", "Speed", precision=0, alarms="both", learned=False),
    Quantity("load", "load", "percent", "Load", precision=0, alarms="both", learned=False),
    Quantity("displacement", "displacement", "displacement", "Displacement", precision=1),
    Quantity("pressure", "pressure", "pressure", "Pressure", alarms="both"),
)
"""The quantities beside the level. A row here is all that a new one takes, with its test."""

BY_KEY: Final = {quantity.key: quantity for quantity in QUANTITIES}
BY_WIRE: Final = {quantity.wire: quantity for quantity in QUANTITIES}

VIBRATION: Final[tuple[Kind, ...]] = ("acceleration", "velocity", "displacement")
"""The kinds that a level can be of. A reading has one quantity of these at least."""

LONGEST_UNIT: Final = 40
"""Characters of a unit's name; a longer one is none."""

_SAME = re.compile(r"[\s^·*_()]|\*\*")
_SECONDS = re.compile(r"sec(?:onds?)?\b")
_PER = re.compile(r"[-\s]per[-\s]")


def spelling(text: str) -> str:
    """Return what all ways to write one unit have in common: `M/S^2`, `m/sec²` and `m/s2` are the same."""
    folded = _SAME.sub("", _PER.sub("/", normalize("NFKC", text[:LONGEST_UNIT]).casefold()))
    return _SECONDS.sub("s", folded.replace("º", "°").replace("°", ""))


_BY_SPELLING: Final = {
    kind: {spelling(name): unit for unit in units for name in (unit.symbol, *unit.spellings)}
    for kind, units in UNITS.items()
}


def unit_of(kind: Kind, text: str) -> Unit | None:
    """Return the unit of a kind that somebody wrote, or None: an unknown one is said, not guessed."""
    return _BY_SPELLING[kind].get(spelling(text))


def vibration_unit(text: str) -> tuple[Kind, Unit] | None:
    """Return what kind of level is measured in a unit, and that unit; None for one that no vibration is measured in."""
    return _vibration_unit(text[:LONGEST_UNIT])  # what is cached is bounded


@lru_cache(1024)
def _vibration_unit(text: str) -> tuple[Kind, Unit] | None:
    for kind in VIBRATION:
        if unit := unit_of(kind, text):
            return kind, unit
    return None
