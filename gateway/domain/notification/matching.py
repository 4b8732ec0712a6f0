"""Which routes, silences and groups an alert fits: by what it is about and where that is.

What an alert can be chosen by is a field of Matchers and a row of DIMENSIONS. Configuration, command line, HTTP and
what is shown of a silence follow from the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from msgspec import Struct

from gateway.domain.model.alert_kinds import ALERT_KINDS, AlertKind
from gateway.domain.model.naming import names_of, published_in
from gateway.domain.notification.model import PLACES, Item

T = TypeVar("T")


class Matchers(Struct, frozen=True):
    """What an alert must be; nothing named matches everything. A value that ends in `*` is a beginning.

    `tags` are what further placeholders of the topic templates have captured: placeholder -> values, of which one must
    fit. What has captured nothing fits none.
    """

    sites: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    kinds: tuple[AlertKind, ...] = ()
    tags: dict[str, tuple[str, ...]] = {}

    def match(self, item: Item) -> bool:
        """Tell whether every dimension that is named has a value that fits."""
        for dimension in DIMENSIONS:
            values = dimension.of(self)
            if values and not any(_fits(values, own) for own in dimension.of_item(item)):
                return False
        return all(name in item.tags and _fits(values, item.tags[name]) for name, values in self.tags.items())

    def overlap(self, other: Matchers) -> bool:
        """Tell whether there can be an alert that both match."""
        pairs = [(dimension.of(self), dimension.of(other)) for dimension in DIMENSIONS if dimension.names != "sensors"]
        pairs.append((_with_ids(self.sensors), _with_ids(other.sensors)))
        pairs += [(self.tags[name], other.tags[name]) for name in self.tags.keys() & other.tags.keys()]
        return all(not ours or not theirs or _meet(ours, theirs) for ours, theirs in pairs)

    def match_everything(self) -> bool:
        """Tell whether there is no alert that these do not match: all that they name is a star, or every choice.

        A star for a placeholder counts, although an alert may have captured nothing for it.
        """
        named = [(dimension.of(self), dimension.choices) for dimension in DIMENSIONS]
        named += [(values, ()) for values in self.tags.values()]
        return all(not values or "*" in values or set(values) == set(choices) for values, choices in named)

    def named(self) -> dict[str, tuple[str, ...]]:
        """Return what is named, each by what it is called: {"machine": ("pump-*",), "line": ("L1",)}."""
        found = {dimension.name: values for dimension in DIMENSIONS if (values := dimension.of(self))}
        return {**found, **self.tags}


class Dimension(Struct, frozen=True):
    """Something that an alert can be chosen by: `names` is its field in Matchers and its key in tables and bodies.

    An item may have several values of it, of which one must fit.

    `choices` are all the values that there can be; without them a value is free, and may be a beginning.
    """

    names: str
    of_item: Callable[[Item], tuple[str, ...]]
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What one value of it is called."""
        return self.names.removesuffix("s")

    def of(self, matchers: Matchers) -> tuple[str, ...]:
        """Return the values that are named."""
        values: tuple[str, ...] = getattr(matchers, self.names)
        return values


def _sensor_names(item: Item) -> tuple[str, ...]:
    """Return what a sensor answers to: its id fits wherever it is, its id with a place even where it needs none."""
    if not ALERT_KINDS[item.alert_kind].is_of_sensor:
        return (item.sensor_id,)
    place = item.site, item.area, item.machine
    return tuple(dict.fromkeys((item.sensor_id, *names_of(item.published_id or item.sensor_id, place))))


DIMENSIONS = (
    Dimension("sites", lambda item: (item.site,)),
    Dimension("areas", lambda item: (item.area,)),
    Dimension("machines", lambda item: (item.machine,)),
    Dimension("sensors", _sensor_names),
    Dimension("kinds", lambda item: (item.alert_kind,), choices=tuple(ALERT_KINDS)),
)

GROUPS = (*reversed(PLACES), "none")
"""What the alerts of a route can be gathered by, beside the placeholders."""


def group_of(item: Item, by: str) -> str:
    """Return what an item is gathered with: what has the same site, area or machine, or captured the same there.

    `by` is one of these or a placeholder. What says nothing of it is a group of its own sensor.
    """
    levels = [getattr(item, place) for place in PLACES]
    levels = levels[: PLACES.index(by) + 1] if by in PLACES else [item.site, item.tags.get(by, "")]
    return "\x1f".join(levels) if levels[-1] else item.sensor_id


def _fits(values: tuple[str, ...], own: str) -> bool:
    return own in values or any(value.endswith("*") and own.startswith(value[:-1]) for value in values)


def _with_ids(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of sensors, and the ids within those that say a place: one may be named by either."""
    return tuple(dict.fromkeys((*names, *map(published_in, names))))


def _meet(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    plain = [(one.removesuffix("*"), other.removesuffix("*")) for one in ours for other in theirs]
    return any(_fits(ours, other) or _fits(theirs, one) for one, other in plain)


class Index(Generic[T]):
    """Finds what was added under matchers by an item's own values; it still has to be asked whether it matches."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], dict[str, T]] = {}
        self._everywhere: dict[str, T] = {}
        self._lengths: dict[str, dict[int, int]] = {}

    def add(self, key: str, matchers: Matchers, value: T) -> None:
        """Let `value` be found; a key is used once."""
        for bucket in self._buckets(matchers, 1):
            bucket[key] = value

    def remove(self, key: str, matchers: Matchers) -> None:
        """Forget what was added under a key, with the same matchers."""
        for bucket in self._buckets(matchers, -1):
            bucket.pop(key, None)

    def candidates(self, item: Item) -> Iterator[T]:
        """Yield what may match an item; something with several values perhaps more than once."""
        yield from self._everywhere.values()
        for name, value in _values_of(item):
            yield from self._found.get((name, value), {}).values()
            for length in self._lengths.get(name, ()):
                if length <= len(value):
                    yield from self._found.get((name, value[:length] + "*"), {}).values()

    def _buckets(self, matchers: Matchers, change: int) -> Iterator[dict[str, T]]:
        name, values = next(_named(matchers), ("", ()))
        if not name:
            yield self._everywhere
            return
        lengths = self._lengths.setdefault(name, {})
        for value in dict.fromkeys(values):
            if value.endswith("*"):
                length = len(value) - 1
                lengths[length] = lengths.get(length, 0) + change
                if not lengths[length]:
                    del lengths[length]
            yield self._found.setdefault((name, value), {})


def _named(matchers: Matchers) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield what is named, the most selective first, of few choices last; a placeholder's name has a dot in front."""
    tags = [(f".{name}", values) for name, values in matchers.tags.items()]
    named = [(dimension.names, dimension.of(matchers)) for dimension in reversed(DIMENSIONS) if not dimension.choices]
    few = [(dimension.names, dimension.of(matchers)) for dimension in DIMENSIONS if dimension.choices]
    return (each for each in (*named, *tags, *few) if each[1])


def _values_of(item: Item) -> Iterator[tuple[str, str]]:
    for dimension in DIMENSIONS:
        for value in dimension.of_item(item):
            yield dimension.names, value
    for name, value in item.tags.items():
        yield f".{name}", value
