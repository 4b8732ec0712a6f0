"""What a handler would send for an alert, without sending it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import click

from gateway.api import Context, Trend
from gateway.cli.output import print_json
from gateway.cli.tables import inert
from gateway.config import Config, zone_of
from gateway.domain.alerting.alert import Alert
from gateway.domain.model.events import derived_id
from gateway.domain.notification.model import Notification
from gateway.errors import GatewayError
from gateway.journal import Reader
from gateway.plugins.context import trend_of
from gateway.plugins.registry import attach, build_handler
from gateway.security.alert_links import PATH
from gateway.security.reachable import page_address


def render(config: Config, reader: Reader, alert: Alert, name: str) -> Mapping[str, str]:
    """Return the parts of the message that a handler would send now, by name. Raises GatewayError if it cannot say.

    A link to acknowledge is shown without its signature: what is printed may end up in a ticket.
    """
    if name not in config.handlers:
        known = ", ".join(config.handlers) or "none are configured"
        raise GatewayError(f"there is no [handlers.{name}] (there are: {known})")
    handler = build_handler(name, config.handlers[name].type, config.handlers[name].settings)
    preview = getattr(handler, "preview", None)
    if preview is None:
        raise GatewayError(f"{name}: a handler of this type cannot show what it would send")
    address = page_address(config)

    async def trend(sensor_id: str, since_ns: int, until_ns: int) -> Trend:
        return trend_of(reader.trend(sensor_id, since_ns, until_ns), reader.limits(sensor_id))

    def acknowledge_url(_alert_id: str, _person: str) -> str:
        return f"{address}/ack/…" if address else ""

    def alert_url(_alert_id: str, _severity: str, _person: str) -> str:
        return f"{address}{PATH}…" if address else ""

    async def ask() -> Mapping[str, str]:
        attach(handler, Context(zone_of(config), trend, acknowledge_url, alert_url))
        parts: Mapping[str, str] = await preview(_notification(alert, config))
        return parts

    return asyncio.run(ask())


def print_message(parts: Mapping[str, str], output: str) -> None:
    """Print the parts of a message: as JSON all of them; for people without the HTML."""
    if output == "json":
        print_json(parts)
        return
    for name, text in parts.items():
        if name == "text":
            click.echo("\n".join(map(inert, text.splitlines())))
        elif name != "html":
            click.echo(inert(f"{name}: {text}") + "\n")


def _notification(alert: Alert, config: Config) -> Notification:
    """Return what is told of an alert as it stands."""
    cleared = alert.state == "cleared"
    address = page_address(config)
    return Notification(
        id=derived_id("preview", alert.id),
        kind="cleared" if cleared else "raised",
        alert_id=alert.id,
        alert_kind=alert.kind,
        severity=alert.severity,
        sensor_id=alert.sensor_id,
        reason=alert.reason,
        occurred_ns=alert.cleared_ns or alert.opened_ns,
        opened_ns=alert.opened_ns,
        gateway_id=config.gateway.id,
        site=alert.tags.get("site", ""),
        area=alert.tags.get("area", ""),
        machine=alert.tags.get("machine", ""),
        location=alert.location,
        level=alert.level,
        baseline=alert.baseline,
        ratio=alert.ratio,
        unit=alert.unit,
        page_url=f"{address}/#alert={alert.id}" if address else "",
        figure=alert.figure,
    )
