"""Topic templates: `vibration/{site}/{machine}/{sensor}/reading` says what to subscribe to and what the parts mean."""

from __future__ import annotations

import re
from sys import intern

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_CACHE_SIZE, _LONGEST_CACHED = 200_000, 256
"""Topics that are remembered, and the characters of the longest: fewer than there are sensors, which come in turn, and
none would be found when it is needed. With the longest names all of them take some 100 MB."""

_NOT_IN_A_TOPIC = frozenset("+#\0")


class TopicTemplates:
    """Some templates. `filters` are the subscriptions, `match` gives what a topic captures for `placeholders`."""

    def __init__(self, templates: list[str]) -> None:
        self._templates = [_segments(template) for template in templates]
        self._known: dict[str, dict[str, str] | None] = {}
        self.placeholders = frozenset(name for parts in self._templates for _, name in parts if name)
        self.filters = ["/".join((name and "+") or literal for literal, name in parts) for parts in self._templates]

    def match(self, topic: str) -> dict[str, str] | None:
        """Return placeholder -> text for the first template that fits `topic`, or None if none does.

        None fits a topic that nobody may publish on, such as one with a wildcard, should a broker pass it on.
        """
        try:
            return self._known[topic]
        except KeyError:
            if len(self._known) >= _CACHE_SIZE:
                self._known.clear()
            fits = _NOT_IN_A_TOPIC.isdisjoint(topic)
            found = self._search(topic.split("/")) if fits else None
            if len(topic) <= _LONGEST_CACHED:
                self._known[topic] = found
            return found

    def keep(self, topic: str, tags: dict[str, str]) -> None:
        """Have `match` give these tags from now on: equal ones that somebody holds already, so they are there once."""
        if topic in self._known:
            self._known[topic] = tags

    def forget(self) -> None:
        """Keep nothing of the topics that have come in."""
        self._known.clear()

    def _search(self, segments: list[str]) -> dict[str, str] | None:
        for template in self._templates:
            if len(template) == len(segments) and all(
                name or literal == segment for (literal, name), segment in zip(template, segments, strict=True)
            ):
                return {name: intern(segment) for (_, name), segment in zip(template, segments, strict=True) if name}
        return None


def _segments(template: str) -> list[tuple[str, str]]:
    """Split a template into (literal, "") and ("", placeholder) parts. Raises ValueError with the reason."""
    parts: list[tuple[str, str]] = []
    for segment in template.split("/"):
        placeholder = _PLACEHOLDER.fullmatch(segment)
        if placeholder is None and set(segment) & set("{}+#\0"):
            raise ValueError(
                f"{segment!r} in {template!r}: a level is either plain text or one {{placeholder}} in lower case;"
                " wildcards are not needed"
            )
        parts.append(("", placeholder[1]) if placeholder else (segment, ""))
    names = [name for _, name in parts if name]
    if len(set(names)) < len(names):
        raise ValueError(f"{template!r} has a placeholder twice")
    if template.startswith("$"):
        raise ValueError(f"{template!r}: topics that start with $ are the broker's own")
    return parts
