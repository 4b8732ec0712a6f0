"""What is wrong with a configuration, in words for the person who wrote it: never a value, since it may be a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

_WORDS = {
    "missing": "is required",
    "extra_forbidden": "unknown key",
    "string_type": "must be text, in quotes",
    "string_too_short": "must not be empty",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "tuple_type": 'must be a list, such as ["one", "two"]',
    "list_type": 'must be a list, such as ["one", "two"]',
    "frozen_set_type": 'must be a list, such as ["one", "two"]',
    "too_short": "must not be empty",
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
    "model_type": "must be a table",
    "path_type": "must be the path of a file, in quotes",
    "url_type": "must be an address such as http://localhost:8086",
    "url_parsing": "must be an address such as http://localhost:8086",
    "url_scheme": "must be an address that begins with http:// or https://",
    "string_pattern_mismatch": "must be letters, digits, dots, dashes or underscores, at most 64, the first no sign",
}
"""pydantic's type of a mistake -> what to say. What is not here says it well enough by itself."""

_BOUNDS = {
    "greater_than": ("gt", "must be above {}"),
    "greater_than_equal": ("ge", "must be at least {}"),
    "less_than": ("lt", "must be below {}"),
    "less_than_equal": ("le", "must be at most {}"),
    "literal_error": ("expected", "must be {}"),
}
"""The same with a bound that the program, not the file, has set."""

_POSITION = re.compile(r"\.(\d+)(?=[.:]|$)")


def validation_problems(error: ValidationError, prefix: str = "", model: type[BaseModel] | None = None) -> list[str]:
    """Return `key: reason` for everything a pydantic model refused.

    With the `model` that refused it, an unknown key comes with the known one that it may be meant for.
    """
    return list(_lines(error, prefix, model))


def readable(problem: str) -> str:
    """Return `key: reason` with tables of one name counted as a person counts them: `routes #1.severity`."""
    key, colon, reason = problem.partition(": ")
    return _POSITION.sub(lambda match: f" #{int(match[1]) + 1}", key) + colon + reason


def _lines(error: ValidationError, prefix: str, model: type[BaseModel] | None) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False):
        key = ".".join(str(part) for part in (*filter(None, [prefix]), *problem["loc"]))
        reason = _WORDS.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
        if problem["type"] in _BOUNDS:
            bound, words = _BOUNDS[problem["type"]]
            reason = words.format(_amount(problem["ctx"][bound]))
        if problem["type"] == "extra_forbidden" and model is not None:
            reason += _meant(problem["loc"], model)
        yield f"{key}: {reason}" if key else reason


def _amount(bound: object) -> str:
    """Return a bound as the file would give it: only durations, in nanoseconds, are that large."""
    return f"{bound // 10**9}s" if isinstance(bound, int) and bound >= 10**9 else str(bound)


def _meant(place: tuple[int | str, ...], model: type[BaseModel]) -> str:
    known = _keys(model, [part for part in place[:-1] if isinstance(part, str)])
    close = get_close_matches(str(place[-1]), known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """Return the keys that the table at a path may have."""
    for name in path:
        field = model.model_fields.get(name)
        if field is None:  # the name of one of several tables of a kind
            continue
        inner = list(_models(field.annotation))
        if len(inner) != 1:
            return []
        model = inner[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in an annotation such as `tuple[Model, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


def blamed(problem: str, path: object, given: Mapping[str, str]) -> str:
    """Return a problem with where to mend it: the file, or the variable of the environment that replaced the key."""
    key = problem.partition(": ")[0]
    name = given.get(key)
    return f"{path}: {readable(problem)}" if name is None else f"{name}: {problem.partition(': ')[2]} (replaces {key})"
