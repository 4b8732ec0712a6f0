"""Many topic templates: which of them fit a topic, and what they capture of it. A tree by levels finds them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

CACHED: Final = 200_000
LONGEST_CACHED: Final = 256
"""Topics that are remembered, and the characters of the longest: there are as many as sensors, which come in turn."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}")
_NOT_IN_A_TOPIC = frozenset("+#\0")

Level = tuple[str, str]
"""(literal, "") or ("", placeholder)."""


class _Node(Generic[T]):
    __slots__ = ("ends", "levels", "other", "rests")

    def __init__(self) -> None:
        self.levels: dict[str, _Node[T]] = {}
        self.other: _Node[T] | None = None
        self.ends: list[T] = []
        self.rests: list[T] = []


class TopicIndex(Generic[T, R]):
    """Templates, each with something that stands for it.

    `match` returns what `make` makes of it for a topic that fits, and of what the placeholders stand for there; in the
    order it was added.
    """

    def __init__(self, make: Callable[[T, dict[str, str]], R]) -> None:
        self._make = make
        self._root: _Node[tuple[int, list[str], T]] = _Node()
        self._count = 0
        self._known: dict[str, list[R]] = {}

    def add(self, levels: Iterable[Level], item: T) -> None:
        """Add a template, as `levels_of` splits it."""
        node, names = self._root, []
        for literal, name in levels:
            if name:
                names.append(name.removesuffix("..."))
            if name.endswith("..."):
                node.rests.append((self._count, names, item))
                break
            node = _below(node, literal, name)
        else:
            node.ends.append((self._count, names, item))
        self._count += 1

    def match(self, topic: str) -> list[R]:
        """Return what fits a topic."""
        found = self._known.get(topic)
        if found is None:
            found = self._search(topic)
            if len(topic) <= LONGEST_CACHED:
                if len(self._known) >= CACHED:
                    self._known.clear()
                self._known[topic] = found
        return found

    def _search(self, topic: str) -> list[R]:
        if not _NOT_IN_A_TOPIC.isdisjoint(topic):
            return []
        levels = topic.split("/")
        found: list[tuple[int, list[str], T, list[str]]] = []
        branches: list[tuple[_Node[tuple[int, list[str], T]], list[str]]] = [(self._root, [])]
        for at, level in enumerate(levels):
            rest = "/".join(levels[at:])
            found += [(*end, [*taken, rest]) for node, taken in branches for end in node.rests]
            branches = [below for branch in branches for below in _next(*branch, level)]
        for node, taken in branches:
            found += [(*end, taken) for end in node.ends]
            found += [(*end, [*taken, ""]) for end in node.rests]
        found.sort(key=lambda each: each[0])
        return [self._make(item, dict(zip(names, taken, strict=True))) for _, names, item, taken in found]


def _below(node: _Node[T], literal: str, name: str) -> _Node[T]:
    if not name:
        return node.levels.setdefault(literal, _Node())
    if node.other is None:
        node.other = _Node()
    return node.other


def _next(node: _Node[T], taken: list[str], level: str) -> Iterable[tuple[_Node[T], list[str]]]:
    if (below := node.levels.get(level)) is not None:
        yield below, taken
    if node.other is not None:
        yield node.other, [*taken, level]


def levels_of(template: str) -> list[Level]:
    """Split a template into its levels. Raises ValueError with the reason."""
    if template.startswith("$"):
        raise ValueError(f"{template!r}: {_reserved(template)}")
    levels = [_level(text, template) for text in template.split("/")]
    names = [name.removesuffix("...") for _, name in levels if name]
    if len(set(names)) < len(names):
        raise ValueError(f"{template!r} has a placeholder twice")
    if any(name.endswith("...") for _, name in levels[:-1]):
        raise ValueError(f"{template!r}: only the last level may stand for all that follow")
    return levels


def _reserved(template: str) -> str:
    if template.startswith("$share/"):
        return (
            "a shared subscription gives this gateway some messages and others the rest; it needs all of a sensor's."
            " Write the topic without $share/ and the group"
        )
    return "topics that start with $ are the broker's own"


def _level(text: str, template: str) -> Level:
    if found := _PLACEHOLDER.fullmatch(text):
        return "", found[1] + (found[2] or "")
    if set(text) & set("{}+#\0"):
        raise ValueError(
            f"{text!r} in {template!r}: a level is either plain text or one {{placeholder}};"
            " instead of a wildcard at the end write {rest...}"
        )
    return text, ""


def filter_of(levels: Iterable[Level]) -> str:
    """Return the subscription of a template."""
    return "/".join(("#" if name.endswith("...") else "+") if name else literal for literal, name in levels)


def placeholders(template: str) -> set[str]:
    """Return the names that a template captures. Raises ValueError."""
    return {name.removesuffix("...") for _, name in levels_of(template) if name}
