"""handlers: who can be told, and a test message to see that it works."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click

from gateway.api import Context, DeliveryError
from gateway.cli.output import config_option, output_option, print_json, print_table
from gateway.cli.tables import inert
from gateway.config import Config, load, masked, zone_of
from gateway.domain.model.events import derived_id
from gateway.domain.notification.model import Notification
from gateway.errors import GatewayError
from gateway.plugins.registry import attach, build_handler
from gateway.security.reachable import page_address

_COLUMNS = ("handler", "type", "routes")


@click.group()
def handlers() -> None:
    """Show and try the handlers that the configuration names."""


@handlers.command("list")
@config_option
@output_option
def list_(config_path: Path, output: str) -> None:
    """List the handlers and the severities that lead to them."""
    config = load(config_path)
    found = [
        {
            "handler": name,
            "type": table.type,
            "routes": [route.severity for route in config.routes if name in route.handlers],
        }
        for name, table in config.handlers.items()
    ]
    if output == "json":
        print_json(found)
    else:
        rows = [(row["handler"], row["type"], ", ".join(row["routes"]) or "none") for row in found]
        print_table(_COLUMNS, rows, empty="No handlers are configured.")


@handlers.command()
@config_option
@click.argument("name")
def test(config_path: Path, name: str) -> None:
    """Send a test message through a handler, marked as such, and print what the other side said."""
    config = load(config_path)
    if name not in config.handlers:
        known = ", ".join(config.handlers) or "none are configured"
        raise GatewayError(f"there is no [handlers.{name}] (there are: {known})")
    table = config.handlers[name]
    handler = build_handler(name, table.type, table.settings)

    async def send() -> object:
        attach(handler, Context(zone_of(config)))
        async with asyncio.timeout(table.timeout / 1e9):
            return await handler.send(_test_notification(config))

    try:
        said = asyncio.run(send())
    except DeliveryError as error:
        what = "the gateway would try again" if error.retry else "the gateway would not try again"
        raise GatewayError(_shown(config, f"{name}: not sent: {error} ({what})")) from None
    except TimeoutError:
        raise GatewayError(f"{name}: not sent: no answer within {table.timeout / 1e9:g} s") from None
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a third party's: what it raises is told, without a traceback
        raise GatewayError(_shown(config, f"{name}: not sent: {type(error).__name__}: {error}")) from None
    if not isinstance(said, str):
        raise GatewayError(
            f"{name}: sent, it seems: the handler returned {type(said).__name__} instead of what was said"
        )
    click.echo(_shown(config, f"{name}: sent: {said}"))


def _shown(config: Config, text: str) -> str:
    """Return a text from outside as it may be printed."""
    return inert(masked(text, config.secrets))


def _test_notification(config: Config) -> Notification:
    now_ns = time.time_ns()
    return Notification(
        id=derived_id("test", config.gateway.id, str(now_ns)),
        kind="test",
        alert_id="test",
        alert_kind="gateway",
        severity="warning",
        sensor_id="test",
        reason="This is a test message. Nothing is wrong.",
        occurred_ns=now_ns,
        opened_ns=now_ns,
        gateway_id=config.gateway.id,
        page_url=f"{address}/" if (address := page_address(config)) else "",
    )
