"""Handlers and consumers: what the configuration names, made from it without connecting to anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any

from msgspec import Struct

from gateway.api import Consumer, Handler
from gateway.config import Config, PluginSection, masked
from gateway.errors import ConfigError
from gateway.handlers import build_handler
from gateway.handlers.foreign import build_foreign

CONSUMER_GROUP = "vibration_gateway.consumers"


class Plugins(Struct, frozen=True):
    """Everything that the configuration names and that is not built until it is needed."""

    handlers: dict[str, Handler]
    consumers: dict[str, Consumer]


def build_plugins(config: Config) -> Plugins:
    """Make the handlers and third parties' consumers. Raises ConfigError with every problem; connects to nothing."""
    problems: list[str] = []
    handlers = _build_each(config.handlers, build_handler, problems)
    consumers = _build_each(config.consumers, build_consumer, problems)
    if config.otel is not None and not _is_installed("opentelemetry-proto"):
        problems.append("otel: this needs the extra 'otel': pip install 'vibration-gateway[otel]'")
    if problems:
        raise ConfigError([masked(problem, config.secrets) for problem in problems])
    return Plugins(handlers, consumers)


def _is_installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def build_consumer(name: str, type_: str, settings: Mapping[str, Any]) -> Consumer:
    """Make a third party's consumer, found by entry point. Raises ConfigError."""
    found = list(entry_points(group=CONSUMER_GROUP, name=type_))
    if not found:
        known = ", ".join(sorted(entry.name for entry in entry_points(group=CONSUMER_GROUP))) or "none are installed"
        raise ConfigError([f"consumers.{name}.type: there is no consumer of type {type_!r} (there are: {known})"])
    consumer: Consumer = build_foreign(f"consumers.{name}", found[0], settings)
    return consumer


def _build_each(
    tables: Mapping[str, PluginSection],
    build: Callable[[str, str, Mapping[str, Any]], Any],
    problems: list[str],
) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for name, table in tables.items():
        try:
            built[name] = build(name, table.type, table.settings)
        except ConfigError as error:
            problems += error.problems
    return built
