"""What the daemon logs: one line per event, to the standard error; JSON where that is not a terminal.

Nobody waits until it is written: see `gateway/telemetry/log_writer.py`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

from gateway.cli.tables import inert
from gateway.telemetry.log_writer import standard_error

_SHORTEST_SECRET = 4
_MASK = "***"


def set_up(secrets: frozenset[str], level: str = "info") -> None:
    """Configure structlog. No text in `secrets` is ever printed, and no control character from outside."""
    is_terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _cleaner(secrets),
            structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(standard_error()),  # type: ignore[arg-type] # it is all that is asked of a file
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=standard_error(), format="%(name)s: %(message)s")


def _cleaner(secrets: frozenset[str]) -> Callable[[Any, str, MutableMapping[str, Any]], MutableMapping[str, Any]]:
    masked = sorted((text for text in secrets if len(text) >= _SHORTEST_SECRET), key=len, reverse=True)

    def clean(value: object) -> object:
        if not isinstance(value, str):
            return value
        for secret in masked:
            value = value.replace(secret, _MASK)
        return "\n".join(inert(line) for line in value.split("\n"))

    def processor(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {key: clean(value) for key, value in event.items()}

    return processor
