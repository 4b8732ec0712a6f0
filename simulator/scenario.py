"""What can go wrong, as the fleet file says it: wear, faults of sensors, faults on the way. In simulated seconds."""

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from simulator import wear as curves
from simulator.faults import Chosen
from simulator.features import Samples
from simulator.machine import Fault
from simulator.times import parse_duration


def _duration(value: object) -> float:
    if not isinstance(value, str):
        raise ValueError('write a duration as text, such as "10s"')  # noqa: TRY004 - pydantic collects only ValueError
    return parse_duration(value)


def _offset(value: object) -> float:
    return -_duration(value[1:]) if isinstance(value, str) and value.startswith("-") else _duration(value)


Duration = Annotated[float, BeforeValidator(_duration)]
Offset = Annotated[float, BeforeValidator(_offset)]
Name = Annotated[str, Field(pattern=r"^[^/+#\s\x00]+$", max_length=128)]  # one level of an MQTT topic
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(gt=1, le=100)]


class Strict(BaseModel):
    """A table of the fleet file: a key that is not known is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Healthy(Strict):
    """No wear."""

    kind: Literal["none"] = "none"


class _Worn(Strict):
    """`fault` is what wears; `to` is how many times the healthy figure in which it shows is reached."""

    fault: Fault = "outer-race"
    after: Duration
    to: Factor = 4.0
    repaired: Duration | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> "_Worn":
        if self.fault == "noise":
            raise ValueError("noise is no fault")
        if self.repaired is not None and self.repaired <= self.after:
            raise ValueError("`repaired` comes before `after`")
        return self


class Growth(_Worn):
    """Slow growth: `wear.growth`."""

    kind: Literal["growth"]
    over: Duration


class Jump(_Worn):
    """A sudden rise: `wear.jump`."""

    kind: Literal["jump"]
    over: Duration = 10.0
    to: Factor = 3.0


class Steps(_Worn):
    """Rise in steps: `wear.steps`."""

    kind: Literal["steps"]
    every: Duration
    by: Positive = 0.5


Wear = Healthy | Growth | Jump | Steps


class _Window(Strict):
    """From when, and for how long; without them from the start, and to the end."""

    after: Duration = 0.0
    lasts: Duration = float("inf")

    @property
    def until(self) -> float:
        """The end, in simulated seconds."""
        return self.after + self.lasts

    def inside(self, elapsed: Samples) -> Chosen:
        """Tell which of the moments it covers."""
        return np.asarray((elapsed >= self.after) & (elapsed < self.until))


class Dropout(_Window):
    """Nothing comes: `faults.dropout`."""

    kind: Literal["dropout"]


class Stuck(_Window):
    """One measurement again and again: `faults.stuck`."""

    kind: Literal["stuck"]


class Drift(_Window):
    """The gain goes to `to` within `over`: `faults.drift`."""

    kind: Literal["drift"]
    over: Duration
    to: Annotated[float, Field(gt=0, le=100)] = 0.5

    def gain(self, elapsed: Samples) -> Samples:
        """Return the gain at each of the moments of its window."""
        return 1 + (self.to - 1) * np.clip((elapsed - self.after) / self.over, 0, 1)


class Spike(_Window):
    """Single readings many times too large: `faults.spikes`."""

    kind: Literal["spike"]
    share: Share = 0.02
    to: Factor = 8.0


class Floor(_Window):
    """Nothing but the sensor's own noise: `faults.floor`."""

    kind: Literal["floor"]


class Clock(_Window):
    """Stamped at another time: `faults.wrong_clock`."""

    kind: Literal["clock"]
    by: Offset


SensorFault = Annotated[Dropout | Stuck | Drift | Spike | Floor | Clock, Field(discriminator="kind")]


class Transport(_Window):
    """What happens to messages on their way: `transport.disturb`. Without `sensors` to those of all."""

    kind: Literal["duplicate", "reorder", "delay", "drop", "corrupt", "burst", "last-will"]
    share: Share = 1.0
    by: Duration = 5.0
    sensors: frozenset[Name] = frozenset()

    @model_validator(mode="after")
    def _is_possible(self) -> "Transport":
        if self.kind in {"burst", "last-will"} and self.lasts == float("inf"):
            raise ValueError(f"a {self.kind} needs `lasts`")
        return self


def wear_factor(wear: Wear, elapsed: Samples) -> Samples:
    """Compute the wear's factor at moments in seconds after the start."""
    match wear:
        case Healthy():
            return np.ones_like(elapsed)
        case Growth():
            factor = curves.growth(elapsed, after=wear.after, over=wear.over, to=wear.to)
        case Jump():
            factor = curves.jump(elapsed, after=wear.after, over=wear.over, to=wear.to)
        case Steps():
            factor = curves.steps(elapsed, after=wear.after, every=wear.every, by=wear.by, to=wear.to)
    return factor if wear.repaired is None else np.where(elapsed < wear.repaired, factor, 1.0)
