"""The keys of the rules of detection, and what may be written for each: they follow from the fields of the rules."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import fields
from pydantic import Field, create_model

from gateway.config.section import Section
from gateway.config.values import Duration
from gateway.domain.detection.rules import Rules

T = TypeVar("T", bound=Section)

_BOUNDS = ("gt", "ge", "lt", "le")

ELSEWHERE: Final = frozenset({"baseline", "interval_ns", "states", "thresholds"})
"""Fields of the rules that are not keys of every table with rules."""


def key_of(field: str) -> str:
    """Return the key of a field: durations bear their unit only here."""
    return field.removesuffix("_ns")


RULE_KEYS: Final = {key_of(name): name for name in Rules.__struct_fields__ if name not in ELSEWHERE}
"""Key in the file -> field of the rules."""


def with_keys_of(
    struct: type[Struct], *, without: Collection[str] = (), defaults: bool = False
) -> Callable[[type[T]], type[T]]:
    """Return a decorator that adds a key for each field but those `without`; all may be left out, for None.

    With `defaults`, what is left out is the field's own default.
    """
    hints = get_type_hints(struct, include_extras=True)
    keys: dict[str, Any] = {}
    for each in fields(struct):
        if each.name not in without:
            hint = Duration if each.name.endswith("_ns") else _checked(hints[each.name])
            known = defaults and each.default is not NODEFAULT
            keys[key_of(each.name)] = (hint, each.default) if known else (hint | None, None)

    def add(section: type[T]) -> type[T]:
        name, doc, module = section.__name__, section.__doc__, section.__module__
        return cast("type[T]", create_model(name, __base__=section, __doc__=doc, __module__=module, **keys))

    return add


def _checked(hint: Any) -> Any:
    """Return the type of a field as pydantic checks it."""
    if get_origin(hint) in {Union, UnionType}:
        return reduce(or_, [None if part is NoneType else _checked(part) for part in get_args(hint)])
    if get_origin(hint) is not Annotated:
        return hint
    of, meta = get_args(hint)
    assert isinstance(meta, Meta)  # noqa: S101 - the rules have no other annotations
    checks: dict[str, Any] = {name: bound for name in _BOUNDS if (bound := getattr(meta, name)) is not None}
    if of is float:
        checks["allow_inf_nan"] = False
    return Annotated[of, Field(**checks)]
