"""Texts with {placeholders}: filled from a topic, a tag's name or the message."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.domain.inputs.numbers import number
from gateway.domain.inputs.paths import ABSENT, Path, find, parse

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_EXACT = 2**53
LONGEST: Final = 256
"""Characters that a placeholder is filled with; no id is as long."""


class Template:
    """A text with placeholders: each is a name that the topic or the tag gave, or a path in the payload."""

    def __init__(self, text: str) -> None:
        parts = _PLACEHOLDER.split(text)
        if any(brace in literal for literal in parts[::2] for brace in "{}"):
            raise ValueError(f"{text!r} has a brace without its other one")
        self.text = text
        self.names = tuple(parts[1::2])
        self.paths: tuple[Path, ...] = tuple(parse(name) for name in self.names)
        self._form = "{}".join(parts[::2])

    def filled(self, captured: Mapping[str, str], scopes: Sequence[Any]) -> str | None:
        """Return the text, or None where a placeholder has nothing to stand for."""
        if not self.names:
            return self.text
        values: list[str] = []
        for name, path in zip(self.names, self.paths, strict=True):
            value = captured.get(name) or _first_text(path, scopes)
            if not value:
                return None
            values.append(value)
        return self._form.format(*values)

    def is_known(self, captured: Mapping[str, str]) -> bool:
        """Tell whether nothing of the payload is needed."""
        return all(name in captured for name in self.names)


def _first_text(path: Path, scopes: Sequence[Any]) -> str:
    for scope in scopes:
        if text := text_of(find(scope, path)):
            return text
    return ""


def text_of(value: Any) -> str:
    """Return what identifies something as text: `80` for 80 and 80.0, `true`; "" for what does not."""
    if type(value) is str:
        return value if len(value) <= LONGEST else ""
    if type(value) is bool:
        return "true" if value else "false"
    if value is ABSENT or value is None:
        return ""
    found = number(value)
    if found is None or type(value) is str:
        return ""
    if type(value) is int:
        return str(value)
    return str(int(found)) if found.is_integer() and abs(found) < _EXACT else repr(found)
