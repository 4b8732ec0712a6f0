"""What detection takes, made by the names of its fields and of the quantities."""

from typing import Any

from gateway.domain.detection.sample import Sample
from gateway.domain.model.quantities import BY_KEY
from gateway.domain.model.reading import Quantities


def make_sample(level: float | None, time_ns: int, **more: Any) -> Sample:
    """Return a sample; `more` are its own fields and quantities, by key."""
    quantities = {key: more.pop(key) for key in [*more] if key in BY_KEY}
    return Sample(level, time_ns, quantities=Quantities(**quantities), **more)
