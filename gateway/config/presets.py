"""Presets: what is known of a device or a system, as tables that come with the program. What a user says goes first."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Any

from msgspec import Struct

Tables = list[dict[str, Any]]

_OF_ALL = ("place", "timezone")
"""Keys that hold for every table of a preset; the others are laid over its first."""
_TOPICS = ("topic", "topics")
"""Keys that hold for every table that has none of its own."""


@cache
def preset_names() -> tuple[str, ...]:
    """Return the names of all presets."""
    folder = files("gateway") / "presets"
    if not folder.is_dir():
        return ()
    names = (entry.name for entry in folder.iterdir() if entry.name.endswith(".toml"))
    return tuple(sorted(name.removesuffix(".toml") for name in names))


def preset_text(name: str) -> str:
    """Return a preset as its file has it. Raises ValueError, with the nearest name, where there is none."""
    if name not in preset_names():
        close = get_close_matches(name, preset_names(), n=1)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no preset {name!r}{meant} (vibration-gateway inputs presets lists them)")
    return (files("gateway") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


class Preset(Struct, frozen=True):
    """A preset: for whom it is, where that is documented, what it gives, what its user has to add, and its tables."""

    name: str
    what: str
    documentation: str
    gives: str
    add: str
    inputs: Tables

    @property
    def topics(self) -> list[str]:
        """The topics of its tables, in their order."""
        return [topic for table in self.inputs for topic in table.get("topics", [table.get("topic")]) if topic]


def preset(name: str) -> Preset:
    """Return what a preset's file says, its first four lines included. Raises ValueError for an unknown preset."""
    text = preset_text(name)
    what, *rest = (line.removeprefix("# ") for line in text.splitlines()[:4])
    documentation, gives, add = (line.split(": ", 1)[1] for line in rest)
    return Preset(name, what, documentation, gives, add, tomllib.loads(text)["inputs"])


@cache
def _tables(name: str) -> tuple[dict[str, Any], ...]:
    return tuple(tomllib.loads(preset_text(name)).get("inputs", ()))


def expanded(table: dict[str, Any]) -> Tables:
    """Return the tables that one of the configuration stands for. Raises ValueError for an unknown preset.

    In a table within a table each key is looked at by itself: a preset's `fields` are filled up, not replaced.
    """
    name = table.get("preset")
    if not isinstance(name, str):
        return [table]
    first, *others = _tables(name) or ({},)
    return [
        _laid_over(first, table),
        *({**_laid_over(other, _of_all(table, other)), "preset": name} for other in others),
    ]


def _of_all(own: dict[str, Any], preset: dict[str, Any]) -> dict[str, Any]:
    keys = _OF_ALL if _has_topic(preset) else (*_OF_ALL, *_TOPICS)
    return {key: own[key] for key in keys if key in own}


def _laid_over(preset: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in preset.items() if not (key in _TOPICS and _has_topic(own))}
    return {**kept, **{key: _filled_up(kept.get(key), value) for key, value in own.items()}}


def _has_topic(own: dict[str, Any]) -> bool:
    return any(key in own for key in _TOPICS)


def _filled_up(preset: Any, own: Any) -> Any:
    return {**preset, **own} if isinstance(preset, dict) and isinstance(own, dict) else own
