"""Conditions: path = value, or one of several values. Numbers and their texts are the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.domain.inputs.paths import Path, find, parse, shown
from gateway.domain.inputs.wording import text_of


class Conditions:
    """All of them have to hold. A name that the topic captures is that of the topic."""

    def __init__(self, conditions: Mapping[str, list[str | int | float | bool]]) -> None:
        self._conditions: list[tuple[Path, str, frozenset[str]]] = []
        for text, values in conditions.items():
            path = parse(text)
            name = path[0] if len(path) == 1 else ""
            self._conditions.append((path, name, frozenset(map(text_of, values))))

    def __bool__(self) -> bool:
        return bool(self._conditions)

    @property
    def paths(self) -> list[Path]:
        """What they look at."""
        return [path for path, _, _ in self._conditions]

    def failing(self, scope: Any, captured: Mapping[str, str]) -> str | None:
        """Return what does not hold, as a sentence, or None."""
        for path, name, allowed in self._conditions:
            said = captured[name] if name in captured else find(scope, path)
            text = said if type(said) is str else text_of(said)
            if text not in allowed:
                return f"{shown(path)} is {text[:40]!r}" if text else f"there is no {shown(path)}"
        return None
