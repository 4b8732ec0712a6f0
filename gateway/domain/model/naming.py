"""What a sensor is called: by the id that it publishes, and by its place too where that id is used at several places.

Identity is (place, id). The name stands for it wherever a sensor is named, so that everything else needs one string.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from itertools import count

from gateway.domain.model.assets import AssetPath, in_words
from gateway.errors import ConflictError

MOST_NAMED = 8
"""Names that an answer lists."""


def names_of(published: str, place: AssetPath) -> tuple[str, ...]:
    """Return everything that a sensor answers to, the shortest first: `DE`, `DE (pump-3)`, `DE (plant/hall/pump-3)`."""
    whole = in_words(place)
    nearest = next((level for level in reversed(place) if level), whole)
    return tuple(dict.fromkeys((published, f"{published} ({nearest})", f"{published} ({whole})")))


def free_name(published: str, place: AssetPath, taken: Container[str], *, is_shared: bool) -> str:
    """Return the shortest name that no other sensor has; a shared id is nobody's name alone."""
    names = names_of(published, place)
    free = (name for name in names[is_shared:] if name not in taken)
    numbered = (name for number in count(2) if (name := f"{names[-1][:-1]}, {number})") not in taken)
    return next(free, None) or next(numbered)


def published_in(name: str) -> str:
    """Return the id within a name that says a place: `DE` of `DE (pump-3)`; any other name is returned as it is."""
    head, bracket, _ = name.rpartition(" (")
    return head if bracket and name.endswith(")") else name


def is_name_of(name: str, published: str, place: AssetPath) -> bool:
    """Tell whether a name is one that a sensor has which publishes this id at a place that is used elsewhere, too."""
    return any(name.startswith(each[:-1]) for each in names_of(published, place)[1:])


def ambiguous(asked: str, names: Sequence[str]) -> ConflictError:
    """Return the error that several sensors publish an id, and what to write instead."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    written = ", ".join(repr(name) for name in names[:MOST_NAMED])
    return ConflictError(f"{asked!r} is published at {len(names)} places; write which one is meant: {written}{more}")
