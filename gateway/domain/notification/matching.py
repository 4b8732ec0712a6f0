"""Which routes, silences and groups an alert fits: by what it is about and where that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from msgspec import Struct

from gateway.domain.model.events import AlertKind
from gateway.domain.notification.model import Item

T = TypeVar("T")


_DIMENSIONS = (("sensors", "sensor_id"), ("machines", "machine"), ("areas", "area"), ("sites", "site"))
"""Field of Matchers -> field of Item, the most selective first."""


class Matchers(Struct, frozen=True):
    """What an alert must be; nothing named matches everything. A value that ends in `*` is a beginning."""

    sites: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()
    sensors: tuple[str, ...] = ()
    kinds: tuple[AlertKind, ...] = ()

    def match(self, item: Item) -> bool:
        """Tell whether every dimension that is named has a value that fits."""
        if self.kinds and item.alert_kind not in self.kinds:
            return False
        for names, own in _DIMENSIONS:
            values = getattr(self, names)
            if values and not _fits(values, getattr(item, own)):
                return False
        return True

    def overlap(self, other: Matchers) -> bool:
        """Tell whether there can be an alert that both match."""
        pairs = [(getattr(self, names), getattr(other, names)) for names, _ in _DIMENSIONS]
        if self.kinds and other.kinds and not set(self.kinds) & set(other.kinds):
            return False
        return all(not ours or not theirs or _meet(ours, theirs) for ours, theirs in pairs)


def _fits(values: tuple[str, ...], own: str) -> bool:
    return own in values or any(value.endswith("*") and own.startswith(value[:-1]) for value in values)


def _meet(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    plain = [(one.removesuffix("*"), other.removesuffix("*")) for one in ours for other in theirs]
    return any(_fits(ours, other) or _fits(theirs, one) for one, other in plain)


class Index(Generic[T]):
    """Finds what was added under matchers by an item's own values; it still has to be asked whether it matches."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], dict[str, T]] = {}
        self._everywhere: dict[str, T] = {}
        self._lengths: tuple[dict[int, int], ...] = tuple({} for _ in _DIMENSIONS)

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
        for dimension, (_, own) in enumerate(_DIMENSIONS):
            value = getattr(item, own)
            yield from self._found.get((dimension, value), {}).values()
            for length in self._lengths[dimension]:
                if length <= len(value):
                    yield from self._found.get((dimension, value[:length] + "*"), {}).values()

    def _buckets(self, matchers: Matchers, change: int) -> Iterator[dict[str, T]]:
        named = next((number for number, (names, _) in enumerate(_DIMENSIONS) if getattr(matchers, names)), None)
        if named is None:
            yield self._everywhere
            return
        lengths = self._lengths[named]
        for value in dict.fromkeys(getattr(matchers, _DIMENSIONS[named][0])):
            if value.endswith("*"):
                length = len(value) - 1
                lengths[length] = lengths.get(length, 0) + change
                if not lengths[length]:
                    del lengths[length]
            yield self._found.setdefault((named, value), {})
