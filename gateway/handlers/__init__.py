"""Who tells somebody: one file for each type of handler, and one line for it in the table below."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from gateway.api import Context, Handler, HandlerFactory
from gateway.config import validation_problems
from gateway.errors import ConfigError
from gateway.handlers.isolation import Isolated
from gateway.handlers.wording import redact

GROUP = "vibration_gateway.handlers"
BUILT_IN = {  # by name, so that only what the configuration asks for is imported
    "apprise": "gateway.handlers.apprise:AppriseHandler",
    "email": "gateway.handlers.email:EmailHandler",
    "log": "gateway.handlers.log:LogHandler",
    "memory": "gateway.handlers.memory:MemoryHandler",
    "sms": "gateway.handlers.sms:SmsHandler",
    "webhook": "gateway.handlers.webhook:WebhookHandler",
}
FOREIGN = {"apprise"}
"""Built-in types that run other people's code."""


def build_handler(name: str, type_: str, settings: Mapping[str, Any]) -> Handler:
    """Return the handler for the table `[handlers.NAME]`, a third party's at arm's length; nothing is connected yet.

    Raises ConfigError with one line, `handlers.NAME.KEY: reason`, for each setting to mend. None of them shows a
    value, and neither does the chain of exceptions, since any value may be a secret.
    """
    factory = _factory(name, type_)
    where = f"handlers.{name}"
    try:
        handler = factory(name, settings)
    except ValidationError as error:
        problems = validation_problems(error, where)
    except KeyError as error:
        problems = [f"{where}.{error.args[0]}: is required"]
    except (TypeError, ValueError) as error:
        problems = [f"{where}: {error}"]
    else:
        if inspect.iscoroutinefunction(getattr(handler, "send", None)):
            return handler if type_ in BUILT_IN.keys() - FOREIGN else Isolated(name, handler)
        problems = [f"{where}.type: {type_} is not a handler, it has no `async def send(self, notification)`"]
    if type_ not in BUILT_IN:  # a third party's own words may quote what it was given
        problems = [where + redact(problem.removeprefix(where), _texts(settings)) for problem in problems]
    raise ConfigError(problems)


def attach(handler: Handler, context: Context) -> None:
    """Hand what the gateway offers to a handler, if it wants it. Called with the event loop running."""
    take = getattr(handler, "attach", None)
    if take is not None:
        take(context)


def _factory(name: str, type_: str) -> HandlerFactory:
    offered = {} if type_ in BUILT_IN else {point.name: point for point in entry_points(group=GROUP)}
    offered |= {known: EntryPoint(known, target, GROUP) for known, target in BUILT_IN.items()}
    if type_ not in offered:
        raise ConfigError([f"handlers.{name}.type: no such type; there are {', '.join(sorted(offered))}"])
    try:
        factory: HandlerFactory = offered[type_].load()
    except (AttributeError, ImportError) as error:
        raise ConfigError([f"handlers.{name}.type: {type_} cannot be loaded: {error}"]) from error
    return factory


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    else:
        yield str(value)
