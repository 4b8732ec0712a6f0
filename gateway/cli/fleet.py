"""fleet: all gateways of a centre, their alerts, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import httpx

from gateway.cli.commands import by_option
from gateway.cli.output import config_option, output_option, print_json, print_table
from gateway.cli.run import serve
from gateway.cli.tables import Id, inert
from gateway.config import Config, load
from gateway.config.values import local_url
from gateway.errors import GatewayError
from gateway.security.secrets import http_token

_TIMEOUT = 10.0
_MB = 1_000_000


@click.group()
def fleet() -> None:
    """Look after many gateways from one: the centre, whose configuration has a [centre] table."""


@fleet.command("run")
@config_option
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True)
def run(config_path: Path, log_level: str) -> None:
    """Run the centre: `run` with a configuration that has [centre], and says so if it has none."""
    if load(config_path).centre is None:
        raise GatewayError(f"{config_path} has no [centre] table; docs/fleet.md has the few lines that are needed")
    serve(config_path, log_level)


@fleet.command()
@config_option
@output_option
def status(config_path: Path, output: str) -> None:
    """Show every gateway: whether it is heard, what is wrong, what is open there."""
    found = _seen(load(config_path))
    if output == "json":
        print_json(found["gateways"])
        return
    rows = [
        (
            each["state"], each["id"], each["heard"] or "never", each["critical"], each["warning"],
            _or_dash(each["sensors"]), each["behind"],
            "-" if each["free"] is None else f"{each['free'] // _MB} MB", each["problem"] or "",
        )
        for each in found["gateways"]
    ]  # fmt: skip
    heads = ("state", "gateway", "heard", "critical", "warning", "sensors", "behind", "free", "problem")
    print_table(heads, rows, empty="No gateway has reported yet.", below=["problem"])
    _warn(found)


@fleet.command()
@config_option
@output_option
@click.option("--gateway", help="Only of this one.")
def alerts(config_path: Path, output: str, gateway: str | None) -> None:
    """List the open alerts of all gateways, the worst first, and what was asked of each."""
    found = _seen(load(config_path))
    some = [each for each in found["alerts"] if gateway in {None, each["gateway"]}]
    if output == "json":
        print_json(some)
        return
    rows = [
        (
            each["severity"], each["gateway"], each["sensorId"], each["openedAt"], _answered(each), each["reason"],
            Id(each["id"]),
        )
        for each in some
    ]  # fmt: skip
    heads = ("severity", "gateway", "sensor", "opened", "seen to", "reason", "id")
    print_table(heads, rows, empty="No alert is open.", below=["reason"])
    if found["alertsInAll"] > len(found["alerts"]):
        click.echo(f"{found['alertsInAll']} are open; these are the worst {len(found['alerts'])}", err=True)
    _warn(found)


@fleet.command()
@config_option
@by_option
@click.option("--reason", default="", help="Why, for those who look later.")
@click.argument("gateway")
@click.argument("alert", metavar="ID")
def ack(config_path: Path, by: str, reason: str, gateway: str, alert: str) -> None:
    """Have a gateway acknowledge an alert. The first characters of an ID are enough."""
    _order(load(config_path), gateway, alert, "ack", {"by": by, "reason": reason})


@fleet.command()
@config_option
@by_option
@click.option("--for", "length", required=True, help="How long: 30m, 2h, 3d.")
@click.option("--reason", required=True, help="Why.")
@click.argument("gateway")
@click.argument("alert", metavar="ID")
def shelve(config_path: Path, by: str, length: str, reason: str, gateway: str, alert: str) -> None:  # noqa: PLR0917 - click hands them over by name
    """Have a gateway shelve an alert for a while."""
    _order(load(config_path), gateway, alert, "shelve", {"by": by, "reason": reason, "for": length})


@fleet.command()
@config_option
@output_option
def versions(config_path: Path, output: str) -> None:
    """Show which version each gateway runs, and which configuration, as a digest."""
    found = _seen(load(config_path))["gateways"]
    rows = [(each["version"] or "-", each["config"] or "-", each["id"]) for each in found]
    if output == "json":
        print_json([{name: each[name] for name in ("id", "version", "config")} for each in found])
    else:
        print_table(("version", "configuration", "gateway"), sorted(rows), empty="No gateway has reported yet.")


@fleet.command()
@config_option
@by_option
@click.argument("gateway")
def forget(config_path: Path, by: str, gateway: str) -> None:
    """Forget a gateway that is no more, with what is known of it."""
    _ask(load(config_path), "POST", f"/api/v1/fleet/{gateway}/forget", {"by": by})
    click.echo(inert(f"{gateway}: forgotten"))


def _order(config: Config, gateway: str, alert: str, do: str, body: Mapping[str, Any]) -> None:
    made = _ask(config, "POST", f"/api/v1/fleet/{gateway}/alerts/{alert}/{do}", body)
    click.echo(inert(f"{made['alert'][:8]}: asked of {gateway}; 'fleet alerts' shows what it answers"))


def _seen(config: Config) -> dict[str, Any]:
    return _ask(config, "GET", "/api/v1/fleet")


def _ask(config: Config, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ask the centre over its own HTTP. Raises GatewayError."""
    if config.centre is None or config.http is None:
        raise GatewayError("this configuration is no centre's: it needs [centre] and [http]")
    url = local_url(config.http.host, config.http.port) + path
    headers = {"Authorization": f"Bearer {http_token(config)}"}
    try:
        answer = httpx.request(method, url, json=body, headers=headers, timeout=_TIMEOUT, trust_env=False)
    except httpx.HTTPError as error:
        raise GatewayError(f"the centre does not answer at {url}: {error}") from error
    if not answer.is_success:
        raise GatewayError(inert(_detail(answer)))
    found: dict[str, Any] = answer.json()
    return found


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]


def _warn(found: Mapping[str, Any]) -> None:
    if found["problem"]:
        click.echo(f"The centre hears nobody now: {found['problem']}", err=True)


def _answered(alert: Mapping[str, Any]) -> str:
    """Return who has acknowledged or shelved an alert, or what was asked."""
    asked = alert["asked"]
    if alert["acknowledged"]:
        return f"acknowledged by {alert['acknowledgedBy']}"
    if alert["shelvedUntil"]:
        return f"shelved until {alert['shelvedUntil']}"
    return f"{asked['do']} asked by {asked['by']}: {asked['said']}" if asked else "-"


def _or_dash(value: object) -> object:
    return "-" if value is None else value
