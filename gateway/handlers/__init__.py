"""Who tells somebody: one file for each type of handler, and one line for it in the table below."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from gateway.api import Context, Handler
from gateway.errors import ConfigError
from gateway.handlers.foreign import build_foreign
from gateway.handlers.isolation import Isolated

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
    offered = {} if type_ in BUILT_IN else {point.name: point for point in entry_points(group=GROUP)}
    offered |= {known: EntryPoint(known, target, GROUP) for known, target in BUILT_IN.items()}
    if type_ not in offered:
        raise ConfigError([f"{where}.type: no such type; there are {', '.join(sorted(offered))}"])
    return offered[type_]
