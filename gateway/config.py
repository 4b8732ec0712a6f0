"""TOML -> frozen models. Unknown keys are refused, every problem is named at once, secrets are never printed."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from gateway.domain.detection import Rules
from gateway.domain.events import Severity
from gateway.domain.topics import TopicTemplates
from gateway.errors import ConfigError

ENVIRONMENT_PREFIX = "VIBRATION_GATEWAY__"
SHORTEST_SECRET = 4

_UNITS_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9, "w": 604800 * 10**9}
LONGEST = 36_500 * _UNITS_NS["d"]
_DURATION = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]+)\s*")
_EXPANSION = re.compile(r"\$\{(?:FILE:(?P<file>[^}]+)|(?P<name>[A-Za-z_]\w*)(?P<default>:-[^}]*)?)\}")


def parse_duration(text: object) -> int:
    """Return a duration such as "10s", "1.5h" or "7d" in nanoseconds. Raises ValueError for anything else."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in _UNITS_NS:
        raise ValueError(f"a duration is a number and a unit, one of {' '.join(_UNITS_NS)}, such as '10s' or '7d'")
    duration = float(match[1]) * _UNITS_NS[match[2]]
    if not isfinite(duration):
        raise ValueError("this is longer than anything")
    return round(duration)


def _bounded(duration_ns: int) -> int:
    if duration_ns > LONGEST:
        raise ValueError("a duration is at most 36500d, a hundred years")
    return duration_ns


Duration = Annotated[int, BeforeValidator(parse_duration), AfterValidator(_bounded)]
"""A duration in nanoseconds; in a file it is text."""

_SIZES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([kMGT]B)\s*")


def parse_size(text: object) -> int:
    """Return a size such as "500MB" or "4GB" in bytes. Raises ValueError for anything else."""
    match = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"a size is a number and a unit, one of {' '.join(_SIZES)}, such as '500MB'")
    return round(float(match[1]) * _SIZES[match[2]])


Size = Annotated[int, BeforeValidator(lambda value: value if type(value) is int else parse_size(value))]
"""A size in bytes; in a file it is text."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


def _host(text: str) -> str:
    if "/" in text or text.count(":") == 1:  # two and more are an IPv6 address
        raise ValueError("a host name or an address, without a scheme; the port is a key of its own")
    return text


Host = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_host)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A table of the file. Its repr shows no values, since any of them may have come from a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    __str__ = __repr__


class GatewaySection(Section):
    """This device."""

    id: Name
    state_dir: Path


class TlsSection(Section):
    """Files in PEM. Without `ca` the system's certificates count; `cert` and `key` identify the gateway."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        for path in (self.ca, self.cert, self.key):
            if path is not None and not path.is_file():
                raise ValueError(f"there is no file {path}")
        return self


class MqttSection(Section):
    """The broker, and the topics the sensors publish on."""

    host: Host = "localhost"
    port: Port = 1883
    topics: Annotated[tuple[str, ...], Field(min_length=1)]
    client_id: Name | None = None
    username: str | None = None
    password: SecretStr | None = None
    tls: TlsSection | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    keepalive: Annotated[Duration, Field(ge=10**9, le=65_535 * 10**9)] = 30 * 10**9
    session_expiry: Duration = 7 * 86400 * 10**9
    receive_maximum: Annotated[int, Field(ge=1, le=65535)] = 2000

    @field_validator("topics")
    @classmethod
    def _templates(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        TopicTemplates(list(topics))
        return topics

    @model_validator(mode="after")
    def _login(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("a password needs a username")
        return self


class InfluxSection(Section):
    """The database for the history. Without this section the journal keeps it."""

    url: AnyHttpUrl
    org: str
    bucket: str
    token: SecretStr


def _token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not text or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("a token is printable ASCII, without spaces, and not empty")
    return token


Token = Annotated[SecretStr, AfterValidator(_token)]


class HttpSection(Section):
    """The live page, the API and the metrics. Without this section there are none."""

    host: str = "127.0.0.1"
    port: Port = 8080
    token: Token | None = None
    public_url: AnyHttpUrl | None = None


class RuleOverrides(Section):
    """Rules of detection for some sensors; what is left out comes from the next wider table."""

    learning: Duration | None = None
    learning_readings: Annotated[int, Field(ge=2, le=1_000_000)] | None = None
    warning_sigma: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    warning_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = None
    critical_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] | None = None
    on_readings: Annotated[int, Field(ge=1)] | None = None
    on_delay: Duration | None = None
    off_readings: Annotated[int, Field(ge=1)] | None = None
    off_delay: Duration | None = None
    hysteresis: Annotated[float, Field(ge=0, lt=1)] | None = None
    stopped_states: frozenset[str] | None = None


class DetectionSection(RuleOverrides):
    """The rules for every sensor, and how far a sensor's clock may be off."""

    learning: Duration = 7 * 86400 * 10**9
    learning_readings: Annotated[int, Field(ge=2, le=1_000_000)] = 100
    warning_sigma: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5.0
    warning_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 1.6
    critical_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 2.5
    on_readings: Annotated[int, Field(ge=1)] = 3
    on_delay: Duration = 0
    off_readings: Annotated[int, Field(ge=1)] = 3
    off_delay: Duration = 0
    hysteresis: Annotated[float, Field(ge=0, lt=1)] = 0.1
    stopped_states: frozenset[str] = frozenset({"stopped", "off"})
    lateness: Duration = 0
    clock_tolerance: Duration = 86400 * 10**9

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.critical_ratio < self.warning_ratio:
            raise ValueError("critical_ratio is below warning_ratio; what is critical is worse than a warning")
        return self


class MachineSection(RuleOverrides):
    """Rules for the sensors of one machine: those whose topic captured this `{machine}` (and site and area)."""

    id: str
    site: str | None = None
    area: str | None = None


class SensorSection(RuleOverrides):
    """Rules for one sensor. A configured baseline, in the sensor's unit, comes before every learned one."""

    id: str
    baseline: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class PluginSection(Section):
    """A handler's or consumer's table: `settings` is everything but these keys, for that plugin's own model."""

    type: str
    timeout: Duration = 30 * 10**9
    settings: Mapping[str, Any] = Field(default_factory=dict, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _split(cls, table: object) -> object:
        if not isinstance(table, dict):
            return table
        own = {key: table[key] for key in ("type", "timeout") if key in table}
        return {**own, "settings": {key: value for key, value in table.items() if key not in own}}


class RouteSection(Section):
    """Alerts of this severity and worse go to these handlers. Every matching route applies."""

    severity: Severity
    handlers: Annotated[tuple[str, ...], Field(min_length=1)]


class RetentionSection(Section):
    """How long the journal keeps what, how large it may become, and how much of the disk it leaves alone."""

    readings: Duration = 400 * 86400 * 10**9
    events: Duration = 3650 * 86400 * 10**9
    dead_letters: Duration = 90 * 86400 * 10**9
    max_size: Annotated[Size, Field(ge=10**6)] = 8 * 10**9
    reserve: Annotated[Size, Field(ge=10**5)] = 32 * 10**6


class Config(Section):
    """The whole file."""

    gateway: GatewaySection
    mqtt: MqttSection
    influxdb: InfluxSection | None = None
    http: HttpSection | None = None
    detection: DetectionSection = DetectionSection()
    retention: RetentionSection = RetentionSection()
    machines: tuple[MachineSection, ...] = ()
    sensors: tuple[SensorSection, ...] = ()
    handlers: Mapping[Name, PluginSection] = Field(default_factory=dict)
    consumers: Mapping[Name, PluginSection] = Field(default_factory=dict)
    routes: tuple[RouteSection, ...] = ()

    _secrets: frozenset[str] = PrivateAttr(frozenset())

    @property
    def secrets(self) -> frozenset[str]:
        """Every text that came from `${…}`, to be kept out of all output."""
        return self._secrets

    @field_validator("sensors", "machines")
    @classmethod
    def _distinct(cls, tables: tuple[Any, ...]) -> tuple[Any, ...]:
        keys = [(table.id, getattr(table, "site", None), getattr(table, "area", None)) for table in tables]
        if twice := sorted({key[0] for key in keys if keys.count(key) > 1}):
            raise ValueError(f"more than one table for id {', '.join(map(repr, twice))}")
        return tables

    @model_validator(mode="after")
    def _known_handlers(self) -> Self:
        for number, route in enumerate(self.routes):
            for name in route.handlers:
                if name not in self.handlers:
                    known = ", ".join(sorted(self.handlers)) or "none are configured"
                    raise ValueError(f"routes.{number}.handlers: there is no [handlers.{name}] (there are: {known})")
        return self


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
        lines = [masked(line, secrets) for line in validation_problems(error)]
        problems += [line for line in lines if line.partition(":")[0] not in unresolved]
    if problems:
        raise ConfigError([f"{path}: {problem}" for problem in problems]) from None
    config._secrets = frozenset(secrets)  # noqa: SLF001 - the model is frozen for everybody else
    return config


def load_state_dir(path: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Return a configuration's state_dir. Who only reads the journal needs nobody's secrets, and no perfect file."""
    table = _read(path, environment).get("gateway")
    problems: list[str] = []
    expanded = _expanded({"gateway": table}, "", lambda text, key: _expand(text, key, environment, problems, set()))
    if problems:
        raise ConfigError([f"{path}: {problem}" for problem in problems])
    anchored = _anchored(expanded, path)
    try:
        return GatewaySection.model_validate(anchored["gateway"]).state_dir
    except ValidationError as error:
        raise ConfigError([f"{path}: {line}" for line in validation_problems(error, "gateway")]) from None


def _read(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    except (ValueError, RecursionError) as error:  # TOML's own errors, bad UTF-8, a number of thousands of digits
        raise ConfigError([f"{path}: is not TOML: {error}"]) from None
    _override(tables, environment)
    return tables


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


def validation_problems(error: ValidationError, prefix: str = "") -> list[str]:
    """Return `key: reason` for everything a pydantic model refused, without the values."""
    return list(_problem_lines(error, prefix))


def _problem_lines(error: ValidationError, prefix: str) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(part) for part in (*filter(None, [prefix]), *problem["loc"]))
        reason = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            reason = "unknown key"
        yield f"{key}: {reason}" if key else reason


def _override(tables: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Let VIBRATION_GATEWAY__MQTT__HOST replace mqtt.host; a value is plain text or a list in TOML."""
    for name, value in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        *path, last = name.removeprefix(ENVIRONMENT_PREFIX).split("__")
        table = tables
        for part in path:
            table = table.setdefault(_spelling(table, part), {})
            if not isinstance(table, dict):
                raise ConfigError([f"{name}: {part.lower()} is not a table; only keys of tables can be replaced"])
        table[_spelling(table, last)] = _list_or_text(value)


def _spelling(table: dict[str, Any], part: str) -> str:
    """Return the key of `table` that `part` means: environment names have no dashes and are in capitals."""
    wanted = part.lower().replace("-", "_")
    return next((key for key in table if key.lower().replace("-", "_") == wanted), part.lower())


def _list_or_text(value: str) -> object:
    """Return a list if it is one. A number stays text: it may be a password, and a key that wants one reads it."""
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value
    return parsed if isinstance(parsed, list) else value


def _expanded(value: object, key: str, expand: Callable[[str, str], str]) -> object:
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
        except (OSError, UnicodeDecodeError, KeyError) as error:
            reason = (
                error.strerror
                if isinstance(error, OSError)
                else "not set"
                if isinstance(error, KeyError)
                else "not text"
            )
            problems.append(f"{key}: {match[0]}: {reason}")
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
        return Path(match["file"]).read_text(encoding="utf-8").rstrip("\r\n")
    if match["name"] in environment:
        return environment[match["name"]]
    if match["default"] is None:
        raise KeyError(match["name"])
    return match["default"].removeprefix(":-")


def rules_for(config: Config, sensor_id: str, tags: Mapping[str, str]) -> Rules:
    """Return the rules of one sensor: [detection], overridden by its [[machines]] table, overridden by its own."""
    own = next((table for table in config.sensors if table.id == sensor_id), None)
    machines = [table for table in config.machines if _is_of(table, tags)]
    tables: list[RuleOverrides] = [config.detection, *machines, *([own] if own else [])]
    values: dict[str, Any] = {}
    for table in tables:
        values.update((key, value) for key in RuleOverrides.model_fields if (value := getattr(table, key)) is not None)
    return Rules(
        baseline=own.baseline if own else None,
        learning_ns=values["learning"],
        learning_readings=values["learning_readings"],
        warning_sigma=values["warning_sigma"],
        warning_ratio=values["warning_ratio"],
        critical_ratio=values["critical_ratio"],
        on_readings=values["on_readings"],
        on_delay_ns=values["on_delay"],
        off_readings=values["off_readings"],
        off_delay_ns=values["off_delay"],
        hysteresis=values["hysteresis"],
        stopped_states=frozenset(state.casefold() for state in values["stopped_states"]),
    )


def _is_of(machine: MachineSection, tags: Mapping[str, str]) -> bool:
    wanted = {"machine": machine.id, "site": machine.site, "area": machine.area}
    return all(tags.get(name) == value for name, value in wanted.items() if value is not None)
