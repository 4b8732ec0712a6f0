"""Templates for messages: text with a fixed set of {fields}. Nothing in one can be called, looked into or computed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

from gateway.handlers.text.wording import FIELDS

LONGEST = 2000  # characters of a template

_PIECES = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|[{}])")
_ESCAPED = {"{{": "{", "}}": "}"}


class Template:
    """Text with {fields}; {{ and }} stand for single braces. Each field is replaced once, by text and nothing else."""

    def __init__(self, text: str) -> None:
        """Take the text apart. Raises ValueError that names an unknown field or a brace that stands alone."""
        self.text = text
        self._pieces: list[tuple[str, bool]] = [
            (_ESCAPED.get(piece) or _field(piece), piece not in _ESCAPED) if index % 2 else (piece, False)
            for index, piece in enumerate(_PIECES.split(text))
        ]

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text with the values in the places of their fields. They are not searched for further fields."""
        return "".join(values[piece] if is_field else piece for piece, is_field in self._pieces)


def _field(piece: str) -> str:
    name = piece[1:-1]
    if name in FIELDS:
        return name
    if not name:
        raise ValueError("a brace that stands alone; write {{ or }} for a brace in the text")
    shown = name if name.isidentifier() else repr(name[:40])
    raise ValueError(f"there is no field {{{shown}}}; there are {', '.join(sorted(FIELDS))}")


def _parse(text: object) -> Template:
    if isinstance(text, Template):
        return text
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        raise ValueError(f"a template is text with {{fields}}, of at most {LONGEST} characters")
    return Template(text)


TemplateText = Annotated[Template, BeforeValidator(_parse)]
"""A template; in a file it is text."""
