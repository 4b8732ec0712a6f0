"""Who is told: (severity, routes) -> handlers."""

from __future__ import annotations

from msgspec import Struct

from gateway.domain.events import SEVERITIES, Severity


class Route(Struct, frozen=True):
    """Alerts of this severity and worse go to these handlers."""

    severity: Severity
    handlers: tuple[str, ...]


def handlers_for(severity: Severity, routes: tuple[Route, ...]) -> list[str]:
    """Return the handlers of every route that matches, each once, in the order of the routes."""
    rank = SEVERITIES.index(severity)
    return list(
        dict.fromkeys(name for route in routes if SEVERITIES.index(route.severity) <= rank for name in route.handlers)
    )
