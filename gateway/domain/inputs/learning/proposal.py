"""An input as it is proposed, and how it is written: TOML in which nothing that was heard is anything but a text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct, field

from gateway.domain.inputs.learning.identity import TimeGuess
from gateway.domain.inputs.learning.quantities import Guess
from gateway.domain.inputs.paths import Path, shown

LONGEST_COMMENT: Final = 200
PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


class RowsGuess(Struct):
    """Rows of tags: where the settings of the table are, and field -> (axis and quantity, unit)."""

    settings: dict[str, Any]
    fields: dict[str, list[str]]


class Proposal(Struct):
    """An input. Paths are tuples of names until they are written; `notes` go above it as comments.

    `inline` are fields that somebody has to mend, in one line.
    """

    topics: list[str]
    format: str = "json"
    where: dict[Path, list[Any]] = field(default_factory=dict)
    each: str = ""
    where_each: dict[Path, list[Any]] = field(default_factory=dict)
    axes: list[str] = field(default_factory=list)
    sensor: str = ""
    sensor_why: str = ""
    time: TimeGuess | None = None
    columns: list[str] = field(default_factory=list)
    batch: Path | None = None
    fields: dict[str, Guess] = field(default_factory=dict)
    rows: RowsGuess | None = None
    waveform: dict[str, Any] = field(default_factory=dict)
    binary: dict[str, Any] = field(default_factory=dict)
    inline: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def text(value: str) -> str:
    """Return a TOML string. Every character that could end it, or that no file should have, is escaped."""
    return '"' + "".join(_escaped(character) for character in value) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - half of a pair, which no TOML has
        return "\\uFFFD"
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"  # noqa: PLR2004


def comment(value: str) -> str:
    """Return a comment on one line."""
    return "# " + "".join(character if character.isprintable() else " " for character in value[:LONGEST_COMMENT])


def literal(value: Any) -> str:
    """Return a value as TOML has it: text, number, boolean, list or inline table. A tuple is a path."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return text(shown(value))
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(literal(each) for each in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(str(name))} = {literal(each)}" for name, each in value.items()) + " }"
    return text(str(value))


def _key(name: str) -> str:
    return name if PLAIN_NAME.fullmatch(name) else text(name)


def toml(proposal: Proposal) -> str:
    """Return the table."""
    return "\n".join([*map(comment, proposal.notes), "[[inputs]]", *_lines(proposal)]) + "\n"


def _lines(one: Proposal) -> Iterable[str]:
    yield f"topic = {text(one.topics[0])}" if len(one.topics) == 1 else f"topics = {literal(one.topics)}"
    if one.format != "json":
        yield f"format = {text(one.format)}"
    settings = {
        "columns": one.columns,
        "where": _conditions(one.where),
        "each": one.each,
        "where_each": _conditions(one.where_each),
        "axes": one.axes,
    }
    yield from (f"{name} = {literal(value)}" for name, value in settings.items() if value)
    if one.sensor:
        yield _with_comment(f"sensor = {text(one.sensor)}", one.sensor_why)
    yield from _time(one)
    if one.binary:
        yield f"binary = {literal(one.binary)}"
    if one.inline:
        yield f"fields = {literal(one.inline)}"
    if one.waveform:
        yield f"waveform = {literal(one.waveform)}"
    if one.rows:
        yield f"rows = {literal(one.rows.settings | {'fields': one.rows.fields})}"
    if one.fields:
        yield "[inputs.fields]"
        yield from (_field(role, guess) for role, guess in one.fields.items())


def _conditions(conditions: Mapping[Path, list[Any]]) -> dict[str, Any]:
    return {shown(path): values[0] if len(values) == 1 else values for path, values in conditions.items()}


def _time(one: Proposal) -> Iterable[str]:
    if one.batch is not None:
        start = shown(one.time.path) if one.time else "received"
        yield f"batch = {literal({'start': start, 'step': one.batch})}"
    elif one.time is None:
        return
    else:
        why = "it says no zone, and UTC is taken: say timezone if it is another one" if one.time.offset == 0 else ""
        yield _with_comment(f"time = {literal(one.time.path)}", why)
    if one.time is None:
        return
    if one.time.format:
        yield f"time_format = {text(one.time.format)}"
    if one.time.offset:
        zone = f"Etc/GMT{-one.time.offset:+d}"
        yield _with_comment(f"timezone = {text(zone)}", "this far from UTC now; name the place, for summer time")


def _field(role: str, guess: Guess) -> str:
    value: Any = guess.path
    if guess.extra or guess.scale != 1:
        value = {"path": guess.path, **guess.extra}
        value |= {"scale": guess.scale} if guess.scale != 1 else {}
        value |= {"unit": guess.unit} if guess.unit or guess.unitless else {}
    elif guess.unit or guess.unitless:
        value = [guess.path, guess.unit]
    return _with_comment(f"{role} = {literal(value)}", guess.why)


def _with_comment(line: str, why: str) -> str:
    return f"{line}  {comment(why)}" if why else line
