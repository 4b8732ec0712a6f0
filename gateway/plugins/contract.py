"""What a plugin has to be, apart from what it does: asked once, when it has been made."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint
from typing import Any

from gateway.api import Wants
from gateway.errors import ConfigError


def check_handler(where: str, type_: str, handler: Any) -> None:
    """Raise ConfigError for what tells nobody."""
    if not inspect.iscoroutinefunction(getattr(handler, "send", None)):
        raise ConfigError([f"{where}.type: {type_} is not a handler, it has no `async def send(self, notification)`"])


def check_consumer(where: str, type_: str, consumer: Any) -> None:
    """Raise ConfigError for one that says what it wants and is not made to be started and closed."""
    if not isinstance(getattr(consumer, "wants", None), Wants):
        return
    for name in ("start", "close"):
        if not inspect.iscoroutinefunction(getattr(consumer, name, None)):
            what = f"{where}.type: {type_}"
            raise ConfigError([f"{what} says what it wants, but has no `async def {name}`; see writing-a-consumer.md"])


def loaded_decoder(point: EntryPoint) -> Any:
    """Return what an entry point names. Raises ConfigError if it cannot be loaded or called."""
    try:
        decode = point.load()
    except Exception as error:  # noqa: BLE001 - the boundary: an import of a third party's may do anything
        raise ConfigError([f"{point.name} cannot be loaded: {type(error).__name__}: {error}"]) from None
    if not callable(decode):
        raise ConfigError([f"{point.name} is not a function decode(topic, payload, received_ns, state)"])
    return decode
