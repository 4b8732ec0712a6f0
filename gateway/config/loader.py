"""TOML -> frozen models: expanded, overridden, validated; every problem is named at once, secrets are never printed."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from gateway.config.problems import blamed, validation_problems
from gateway.config.sections import Config, GatewaySection, HttpSection
from gateway.config.values import system_zone
from gateway.errors import ConfigError

ENVIRONMENT_PREFIX = "VIBRATION_GATEWAY__"
SHORTEST_SECRET = 4
LARGEST_SECRET_FILE = 1_000_000  # bytes
DEEPEST = 16  # tables and lists within each other; four are needed

_NOT_JUDGING = {
    "gateway", "mqtt", "inputs", "influxdb", "http", "journal", "users", "tokens", "retention", "quotas", "handlers",
    "consumers", "heartbeat", "otel", "fleet", "centre",
}  # fmt: skip
"""Tables that neither judge a reading nor say who is told."""

_NOBODY = {"id": "nobody", "state_dir": "."}

_EXPANSION = re.compile(r"\$\{(?:FILE:(?P<file>[^}]+)|(?P<name>[A-Za-z_]\w*)(?P<default>:-[^}]*)?)\}")


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read, expand and validate a file. Raises ConfigError with a line for every problem: file, key and reason.

    A relative `state_dir` is beside the file, wherever the program was started.
    """
    tables = _read(path, environment)
    problems: list[str] = []
    secrets: set[str] = set()
    expanded = _expanded(tables, "", lambda text, key: _expand(text, key, environment, problems, secrets))
    try:
        config = Config.model_validate(_anchored(expanded, path))
    except ValidationError as error:
        unresolved = {problem.partition(":")[0] for problem in problems}  # what they stand for cannot be judged
        lines = [masked(line, secrets) for line in validation_problems(error, model=Config)]
        problems += [line for line in lines if line.partition(":")[0] not in unresolved]
    if problems:
        given = overridden(tables, environment)
        raise ConfigError([blamed(problem, path, given) for problem in problems]) from None
    config._secrets = frozenset(secrets)  # noqa: SLF001 - the model is frozen for everybody else
    return config


def load_rules(path: Path | None, environment: Mapping[str, str] = os.environ) -> Config:
    """Return only what judges readings and says who is told; without a path, what holds without any file.

    The file may have any or none of the other tables: nobody's secrets are needed to try rules. Handlers are known by
    name only. Raises ConfigError.
    """
    tables = _read(path, environment) if path is not None else {}
    problems = [f"{name}: unknown key" for name in tables if name not in Config.model_fields]
    judging = {name: table for name, table in tables.items() if name in Config.model_fields.keys() - _NOT_JUDGING}
    secrets: set[str] = set()
    expanded = _expanded(judging, "", lambda text, key: _expand(text, key, environment, problems, secrets))
    gateway, handlers = tables.get("gateway"), tables.get("handlers", {})
    zone = {"timezone": gateway["timezone"]} if isinstance(gateway, dict) and "timezone" in gateway else {}
    named = {name: {"type": "none"} for name in handlers} if isinstance(handlers, dict) else handlers
    mqtt = tables.get("mqtt")
    topics = mqtt["topics"] if isinstance(mqtt, dict) and "topics" in mqtt else ["{sensor}"]
    nobody = {"gateway": _NOBODY | zone, "mqtt": {"topics": topics}, "handlers": named}
    try:
        config = Config.model_validate({**nobody, **expanded})
    except ValidationError as error:
        problems += [masked(line, secrets) for line in validation_problems(error, model=Config)]
    if problems:
        given = overridden(tables, environment)
        raise ConfigError([blamed(problem, path, given) for problem in problems]) from None
    return config


def load_state_dir(path: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return a configuration's state_dir. Who only reads the journal needs nobody's secrets, and no perfect file."""
    return _gateway_section(path, environment).state_dir


def load_zone(path: Path | None, environment: Mapping[str, str] = os.environ) -> ZoneInfo:
    """Return a configuration's time zone in the same way; the system's without a file."""
    section = None if path is None else _gateway_section(path, environment, anonymous=True)
    return (section and section.timezone) or system_zone()


def load_http(path: Path, environment: Mapping[str, str] = os.environ) -> HttpSection | None:
    """Return where a configuration's gateway listens, without the token; None where it does not say so usably."""
    problems: list[str] = []
    try:
        table = _read(path, environment).get("http")
        if not isinstance(table, dict):
            return None
        where = {"http": {name: table[name] for name in ("host", "port") if name in table}}
        expanded = _expanded(where, "", lambda text, key: _expand(text, key, environment, problems, set()))
        section = HttpSection.model_validate(expanded["http"])
    except (ConfigError, ValidationError):
        return None
    return None if problems else section


def _gateway_section(path: Path, environment: Mapping[str, str], *, anonymous: bool = False) -> GatewaySection:
    table = _read(path, environment).get("gateway")
    if anonymous:  # of rules only: nothing but the zone matters
        table = _NOBODY | ({"timezone": table["timezone"]} if isinstance(table, dict) and "timezone" in table else {})
    problems: list[str] = []
    expanded = _expanded({"gateway": table}, "", lambda text, key: _expand(text, key, environment, problems, set()))
    if problems:
        raise ConfigError([f"{path}: {problem}" for problem in problems])
    anchored = _anchored(expanded, path)
    try:
        return GatewaySection.model_validate(anchored["gateway"])
    except ValidationError as error:
        raise ConfigError([f"{path}: {line}" for line in validation_problems(error, "gateway")]) from None


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a file as they stand there. Raises ConfigError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except (ValueError, RecursionError) as error:  # TOML's own errors, bad UTF-8, a number of thousands of digits
        raise ConfigError([f"{path}: is not TOML: {error}"]) from None


def _read(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    tables = read_toml(path)
    _override(tables, environment)
    if key := _too_deep(tables):
        raise ConfigError([f"{path}: {key}: is nested too deeply"])
    return tables


def _too_deep(tables: dict[str, Any]) -> str | None:
    """Return a key that lies too deep for what walks through the tables afterwards, or None."""
    level = _parts(tables)
    for _ in range(DEEPEST):
        level = [(f"{key}.{name}", part) for key, value in level for name, part in _parts(value)]
    return str(level[0][0]) if level else None


def _parts(value: Any) -> list[tuple[object, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def _anchored(tables: Any, path: Path) -> Any:
    section = tables.get("gateway")
    if isinstance(section, dict) and isinstance(section.get("state_dir"), str) and section["state_dir"]:
        section["state_dir"] = str(path.parent.absolute() / section["state_dir"])
    return tables


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every secret in it replaced, quoted or not. What is very short is in every text by chance."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "***").replace(repr(secret)[1:-1], "***")
    return text


def _override(tables: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Let VIBRATION_GATEWAY__MQTT__HOST replace mqtt.host; a value is plain text or a list in TOML."""
    for name, value in sorted(environment.items()):  # a table before what is in it, whatever the order they came in
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        *path, last = name.removeprefix(ENVIRONMENT_PREFIX).split("__")
        table = tables
        for part in path:
            table = table.setdefault(_spelling(table, part), {})
            if not isinstance(table, dict):
                raise ConfigError([f"{name}: {part.lower()} is not a table; only keys of tables can be replaced"])
        table[_spelling(table, last)] = _list_or_text(value)


def overridden(tables: dict[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """Return key -> the variable of the environment that replaces it."""
    found = {}
    for name in environment:
        if name.startswith(ENVIRONMENT_PREFIX):
            table: Any = tables
            keys: list[str] = []
            for part in name.removeprefix(ENVIRONMENT_PREFIX).split("__"):
                keys.append(_spelling(table, part))
                table = table.get(keys[-1])
                table = table if isinstance(table, dict) else {}
            found[".".join(keys)] = name
    return found


def _spelling(table: dict[str, Any], part: str) -> str:
    """Return the key of `table` that `part` means: environment names have no dashes and are in capitals."""
    wanted = part.lower().replace("-", "_")
    return next((key for key in table if key.lower().replace("-", "_") == wanted), part.lower())


def _list_or_text(value: str) -> object:
    """Return a list if it is one. A number stays text: it may be a password, and a key that wants one reads it."""
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):  # as in read_toml
        return value
    return parsed if isinstance(parsed, list) else value


def expand_tables(
    tables: dict[str, Any], environment: Mapping[str, str], problems: list[str], secrets: set[str]
) -> dict[str, Any]:
    """Return tables with every `${...}` replaced; what cannot be is added to `problems`, what it was to `secrets`."""
    found: dict[str, Any] = _expanded(tables, "", lambda text, key: _expand(text, key, environment, problems, secrets))
    return found


def _expanded(value: Any, key: str, expand: Callable[[str, str], str]) -> Any:
    if isinstance(value, str):
        return expand(value, key)
    if isinstance(value, dict):
        return {name: _expanded(part, f"{key}.{name}".lstrip("."), expand) for name, part in value.items()}
    if isinstance(value, list):
        return [_expanded(part, f"{key}.{index}", expand) for index, part in enumerate(value)]
    return value


def _expand(text: str, key: str, environment: Mapping[str, str], problems: list[str], secrets: set[str]) -> str:
    def found(match: re.Match[str]) -> str:
        try:
            value = _lookup(match, environment)
        except (OSError, ValueError, KeyError) as error:
            problems.append(f"{key}: {match[0]}: {_reason(error)}")
            return ""
        secrets.add(value)
        return value

    if "${" in _EXPANSION.sub("", text):
        problems.append(
            f"{key}: after ${{ comes a name of letters, digits and underscores, or FILE: and a path, and }}"
        )
    expanded = _EXPANSION.sub(found, text)
    if expanded != text:
        secrets.add(expanded)
    secrets.discard("")
    return expanded


def _lookup(match: re.Match[str], environment: Mapping[str, str]) -> str:
    if match["file"]:
        return _secret_of(Path(match["file"]))
    if match["name"] in environment:
        return environment[match["name"]]
    if match["default"] is None:
        raise KeyError(match["name"])
    return match["default"].removeprefix(":-")


def _secret_of(path: Path) -> str:
    """Return a file's text. Raises ValueError for what may never end, or never begin, such as a pipe or a device."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is not a regular file")
    with path.open("rb") as file:
        content = file.read(LARGEST_SECRET_FILE + 1)
    if len(content) > LARGEST_SECRET_FILE:
        raise ValueError("is larger than 1 MB")
    return content.decode("utf-8-sig").rstrip("\r\n")  # editors of Windows put a mark at the beginning


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, KeyError):
        return "not set"
    return "not text" if isinstance(error, UnicodeDecodeError) else str(error)
