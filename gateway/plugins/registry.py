"""Handlers and consumers: what the configuration names, made from it without connecting to anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway.api import Consumer, Context, Handler
from gateway.config import Config, PluginSection, masked
from gateway.consumers import BUILT_IN as CONSUMERS
from gateway.consumers import SECTIONS
from gateway.consumers.runner import Follower
from gateway.domain.inputs.topics import TopicTemplates
from gateway.errors import ConfigError
from gateway.extras import lacking
from gateway.handlers import BUILT_IN, FOREIGN
from gateway.plugins.contract import check_consumer, check_handler
from gateway.plugins.foreign import ForeignConsumer, ForeignDecoder, ForeignHandler, apart, foreign_consumer
from gateway.plugins.isolation import Isolated
from gateway.plugins.loader import build_foreign
from gateway.plugins.process import PluginProcess

if TYPE_CHECKING:
    from gateway.domain.inputs.specs import InputSpec

HANDLER_GROUP = "vibration_gateway.handlers"
CONSUMER_GROUP = "vibration_gateway.consumers"


class Plugins(Struct, frozen=True):
    """Everything that the configuration names and that is not built until it is needed."""

    handlers: dict[str, Handler]
    consumers: dict[str, Consumer]
    inputs: Sequence[InputSpec] = ()

    @property
    def decoders(self) -> list[ForeignDecoder]:
        """The third parties' decoders among the inputs, each in a process of its own."""
        return [spec.decode for spec in self.inputs if isinstance(spec.decode, ForeignDecoder)]

    @property
    def processes(self) -> list[PluginProcess]:
        """The processes of third parties' plugins."""
        every = [*self.handlers.values(), *self.consumers.values(), *self.decoders]
        return [each.process for each in every if isinstance(each, ForeignHandler | ForeignConsumer | ForeignDecoder)]

    def problems(self) -> list[str]:
        """Return what is wrong with third parties' plugins that could not be made: they are tried again."""
        return [process.problem for process in self.processes if process.problem is not None]

    def end_followers(self) -> None:
        """End the processes of what follows the journal."""
        for process in self.processes:
            if not any(process is each.process for each in self.decoders):
                process.end()

    def end(self) -> None:
        """End the processes."""
        for process in self.processes:
            process.end()


def build_plugins(config: Config) -> Plugins:
    """Make the handlers and third parties' consumers. Raises ConfigError with every problem; connects to nothing."""
    problems: list[str] = []
    handlers = _build_each(config.handlers, _handler, problems)
    consumers = _build_each(config.consumers, _consumer, problems)
    inputs = _inputs(config, problems) if config.inputs else []
    needed = {**{type_: type_ for type_ in SECTIONS}, "http": "page"}
    problems += [
        f"{section}: {problem}"
        for section, extra in needed.items()
        if getattr(config, section) is not None and (problem := lacking(extra)) is not None
    ]
    if problems:
        raise ConfigError([masked(problem, config.secrets) for problem in problems])
    return Plugins(handlers, consumers, inputs)


def _inputs(config: Config, problems: list[str]) -> list[InputSpec]:
    """Compile `[[inputs]]`; one whose messages would all be read as the event is refused."""
    from gateway.config.to_inputs import compiled  # noqa: PLC0415 - only where there are inputs
    from gateway.plugins.decoders import decoder_apart  # noqa: PLC0415 - as above

    inputs = compiled(list(config.inputs), decoder_apart, problems)
    events = TopicTemplates(list(config.mqtt.topics))
    for spec in inputs:
        taken = ["/".join(literal or name for literal, name in levels) for levels in spec.topics]
        problems += [
            f"inputs.{spec.name}.topic: mqtt.topics fits all of {topic} and comes first, so this input would never"
            " read anything; take one of them out"
            for topic in taken
            if events.match(topic) is not None
        ]
    return inputs


def _refuse_without_extra(where: str, type_: str) -> None:
    if (problem := lacking(type_)) is not None:
        raise ConfigError([f"{where}: {problem}"])


def _handler(name: str, type_: str, settings: Mapping[str, Any]) -> Handler:
    """Make a handler of the gateway: a third party's in a process of its own. Raises ConfigError."""
    if type_ in BUILT_IN:
        return build_handler(name, type_, settings)
    where = f"handlers.{name}"
    return ForeignHandler(apart("handler", where, _offered(where, type_), settings))


def _consumer(name: str, type_: str, settings: Mapping[str, Any]) -> Consumer:
    """Make a consumer of the gateway, as `_handler` does."""
    if type_ in CONSUMERS:
        return build_consumer(name, type_, settings)
    where = f"consumers.{name}"
    return foreign_consumer(apart("consumer", where, _offered_consumer(where, type_), settings))


def followers(config: Config, plugins: Plugins) -> list[Follower]:
    """Return every consumer of the configuration: those with a section of their own, then those with a table.

    Raises ConfigError.
    """
    sections = {type_: section for type_ in SECTIONS if (section := getattr(config, type_)) is not None}
    built_in = [
        Follower(SECTIONS[type_], build_foreign(type_, _entry(type_), section, is_ours=True), type_)
        for type_, section in sections.items()
    ]
    ours = {name for name, table in config.consumers.items() if table.type in CONSUMERS}
    return built_in + [
        Follower(f"consumer.{name}", consumer, f"consumer.{name}", is_foreign=name not in ours)
        for name, consumer in plugins.consumers.items()
    ]


def build_consumer(name: str, type_: str, settings: Mapping[str, Any]) -> Consumer:
    """Make a consumer for the table `[consumers.NAME]`: a built-in one, or one found by entry point.

    Raises ConfigError.
    """
    where = f"consumers.{name}"
    if type_ in CONSUMERS:
        _refuse_without_extra(where, type_)
        built_in: Consumer = build_foreign(where, _entry(type_), settings, is_ours=True)
        return built_in
    consumer: Consumer = build_foreign(where, _offered_consumer(where, type_), settings)
    check_consumer(where, type_, consumer)
    return consumer


def _offered_consumer(where: str, type_: str) -> EntryPoint:
    found = list(entry_points(group=CONSUMER_GROUP, name=type_))
    if not found:
        known = ", ".join(sorted({*CONSUMERS, *(entry.name for entry in entry_points(group=CONSUMER_GROUP))}))
        raise ConfigError([f"{where}.type: there is no consumer of type {type_!r} (there are: {known})"])
    return found[0]


def _entry(type_: str) -> EntryPoint:
    return EntryPoint(type_, CONSUMERS[type_], CONSUMER_GROUP)


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
    if type_ in BUILT_IN:
        _refuse_without_extra(where, type_)
    handler: Handler = build_foreign(where, _offered(where, type_), settings, is_ours=type_ in BUILT_IN)
    check_handler(where, type_, handler)
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
