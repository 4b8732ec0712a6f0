"""Formats of plain text: one value, pairs, CSV, InfluxDB's line protocol, and what Python prints of a dict."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from gateway.domain.inputs.numbers import LONGEST_NUMBER, apart, number

MAX_LINES: Final = 10_000
DELIMITERS: Final = ",;\t|"

_PAIRS = re.compile(r"[,;&\s|]+")
_BEFORE_TAGS = re.compile(r"(?<!\\),")
_TAG = re.compile(r"((?:[^,= \\]|\\.)+)=((?:[^,= \\]|\\.)+)(?:,|$)")
_FIELD = re.compile(r'((?:[^,= \\]|\\.)+)=("(?:[^"\\]|\\.)*"|[^, "]+)(?:,|$)')
_LINE = re.compile(r'((?:[^ \\]|\\.)+) ((?:[^ "\\]|\\.|"(?:[^"\\]|\\.)*")+)(?: ([-0-9]+))?')
_ESCAPED = re.compile(r"\\(.)")
_TOKEN = re.compile(
    r"""\s*(?:([bur]{0,2}(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))|([\[\](){},:])|([^\s\[\](){},:'"]+))""", re.DOTALL
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WORDS: Final = {"True": "true", "False": "false", "None": "null", "nan": "null", "inf": "null", "-inf": "null"}
_BRACKETS: Final = {"(": "[", ")": "]"}
_SIMPLE: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\n": ""}


def value(text: str) -> dict[str, Any]:
    """Return `{"value": ...}`: a number, or the text; a unit behind the number is `unit`."""
    if not text:
        raise ValueError("the message has no payload")
    if text[0] == text[-1] == '"':
        text = text[1:-1]
    _, unit = apart(text)
    return {"value": text} if unit is None else {"value": text, "unit": unit}


def pairs(text: str) -> Any:
    """Return names and values: `a|1|b|2` (groups apart by #, UltraLight), `a=1,b=2`, `a=1&b=2` or `a:1;b:2`."""
    if "|" in text and "=" not in text:
        groups = [_alternating(group) for group in text.split("#")]
        return groups if len(groups) > 1 else groups[0]
    found = dict(_pair(item) for item in _PAIRS.split(text) if item)
    if not found:
        raise ValueError("no name and value")
    return found


def _alternating(group: str) -> dict[str, Any]:
    parts = [part.strip() for part in group.split("|")]
    time = {"time": parts.pop(0)} if len(parts) % 2 else {}
    if len(parts) < 2:  # noqa: PLR2004 - a pair
        raise ValueError("no name and value")
    return dict(zip(parts[::2], parts[1::2], strict=True)) | time


def _pair(item: str) -> tuple[str, str]:
    name, sign, found = item.partition("=" if "=" in item else ":")
    if not sign or not name:
        raise ValueError(f"{item[:40]!r} is no name with a value")
    return name, found


def csv_lines(text: str, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return a dict for each line. Without `columns` the first line names them; a line that repeats them is none."""
    lines = text.splitlines()
    if len(lines) > MAX_LINES + 1:
        raise ValueError(f"{len(lines)} lines; at most {MAX_LINES} come in one message")
    try:
        rows = [
            [cell.strip() for cell in row] for row in csv.reader(lines, delimiter=_delimiter(lines, columns)) if row
        ]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    names = columns or tuple(rows.pop(0) if rows else ())
    if not rows:
        raise ValueError("no line with values")
    return [dict(zip(names, row, strict=False)) for row in rows if tuple(row) != names]


def _delimiter(lines: list[str], columns: tuple[str, ...]) -> str:
    first = lines[0] if lines else ""
    wanted = len(columns) - 1
    fitting = [sign for sign in DELIMITERS if wanted > 0 and first.count(sign) == wanted]
    return fitting[0] if fitting else max(DELIMITERS, key=first.count)


def line_protocol(text: str) -> list[dict[str, Any]]:
    """Return a dict for each line: `name`, `tags`, `fields`, `timestamp`, and tags and fields by their names too."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) > MAX_LINES:
        raise ValueError(f"{len(lines)} lines; at most {MAX_LINES} come in one message")
    if not lines:
        raise ValueError("no line with values")
    return [_point(line.strip()) for line in lines]


def _point(line: str) -> dict[str, Any]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(f"{line[:60]!r} is no line of InfluxDB's protocol")
    name, *listed = _BEFORE_TAGS.split(found[1], maxsplit=1)
    tags = {_plain(key): _plain(value) for key, value in _members(_TAG, "".join(listed))}
    fields = {_plain(key): _field(value) for key, value in _members(_FIELD, found[2])}
    stamp = {} if found[3] is None else {"timestamp": int(found[3][:20]), "time": int(found[3][:20])}
    return {**tags, **fields, **stamp, "name": _plain(name), "tags": {"name": _plain(name), **tags}, "fields": fields}


def _members(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, str]]:
    """Yield names and values, one directly behind the other."""
    at = 0
    while at < len(text):
        found = pattern.match(text, at)
        if found is None:
            raise ValueError(f"{text[at : at + 40]!r} is no name with a value")
        yield found[1], found[2]
        at = found.end()


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _field(text: str) -> Any:
    if text.startswith('"'):
        return _plain(text[1:-1])
    if text.lower() in ("t", "true", "f", "false"):
        return text.lower().startswith("t")
    found = number(text[:-1] if text[-1:] in "iu" else text)
    return text if found is None else found


def python_literal(text: str) -> str:
    """Return what Python prints of dicts, lists, tuples and plain values as JSON. Nothing is evaluated."""
    tokens = _tokens(text)
    out: list[str] = []
    for word, following in zip(tokens, [*tokens[1:], ""], strict=True):
        is_trailing_comma = word == "," and following in ("]", "}", ")")
        if not is_trailing_comma:
            out.append(json.dumps(word) if following == ":" and word[:1] != '"' else word)
    return "".join(_BRACKETS.get(word, word) for word in out)


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"{text[at : at + 20]!r} is nothing that Python prints of a plain value")
        found.append(_quoted(token[1]) if token[1] else token[2] or _word(token[3]))
        at = token.end()
    return found


def _quoted(text: str) -> str:
    body = text.lstrip("bur")[1:-1]
    return json.dumps(_ESCAPE.sub(_unescaped, body) if "\\" in body else body)


def _unescaped(found: re.Match[str]) -> str:
    kind = found[1]
    if len(kind) > 1:
        return chr(int(kind[1:], 16))
    return _SIMPLE.get(kind, kind)


def _word(text: str) -> str:
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise ValueError(f"{text[:20]!r} is no literal")
    return text.lstrip("+")
