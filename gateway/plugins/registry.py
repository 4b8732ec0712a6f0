"""Handlers and consumers: what the configuration names, made from it without connecting to anything."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import Any

from msgspec import Struct

from gateway.api import Consumer, Context, Handler
from gateway.config import Config, PluginSection, masked
from gateway.config.to_inputs import compiled
from gateway.domain.inputs.specs import InputSpec
from gateway.errors import ConfigError
from gateway.handlers import BUILT_IN, FOREIGN
from gateway.plugins.decoders import load_decoder
from gateway.plugins.isolation import Isolated
from gateway.plugins.loader import build_foreign

HANDLER_GROUP = "vibration_gateway.handlers"
CONSUMER_GROUP = "vibration_gateway.consumers"


class Plugins(Struct, frozen=True):
    """Everything that the configuration names and that is not built until it is needed."""

    handlers: dict[str, Handler]
    consumers: dict[str, Consumer]
    inputs: Sequence[InputSpec] = ()


def build_plugins(config: Config) -> Plugins:
    """Make the handlers and third parties' consumers. Raises ConfigError with every problem; connects to nothing."""
    problems: list[str] = []
    handlers = _build_each(config.handlers, build_handler, problems)
    consumers = _build_each(config.consumers, build_consumer, problems)
    inputs = compiled(list(config.inputs), load_decoder, problems)
    if config.otel is not None and not _is_installed("opentelemetry-proto"):
        problems.append("otel: this needs the extra 'otel': pip install 'vibration-gateway[otel]'")
    if problems:
        raise ConfigError([masked(problem, config.secrets) for problem in problems])
    return Plugins(handlers, consumers, inputs)


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


def build_handler(name: str, type_: str, settings: Mapping[str, Any]) -> Handler:
    """Return the handler for the table `[handlers.NAME]`, a third party's at arm's length; nothing is connected yet.

    Raises ConfigError with one line, `handlers.NAME.KEY: reason`, for each setting to mend. None of them shows a
    value, and neither does the chain of exceptions, since any value may be a secret.
    """
    where = f"handlers.{name}"
    handler: Handler = build_foreign(where, _offered(where, type_), settings, is_ours=type_ in BUILT_IN)
    if not inspect.iscoroutinefunction(getattr(handler, "send", None)):
        raise ConfigError([f"{where}.type: {type_} is not a handler, it has no `async def send(self, notification)`"])
    return handler if type_ in BUILT_IN.keys() - FOREIGN else Isolated(name, handler)


def attach(handler: Handler, context: Context) -> None:
    """Hand what the gateway offers to a handler, if it wants it. Called with the event loop running."""
    take = getattr(handler, "attach", None)
    if take is not None:
        take(context)


def _offered(where: str, type_: str) -> EntryPoint:
    offered = {} if type_ in BUILT_IN else {point.name: point for point in entry_points(group=HANDLER_GROUP)}
    offered |= {known: EntryPoint(known, target, HANDLER_GROUP) for known, target in BUILT_IN.items()}
    if type_ not in offered:
        raise ConfigError([f"{where}.type: no such type; there are {', '.join(sorted(offered))}"])
    return offered[type_]
