"""check: whether the configuration is right, and what is probably not meant."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.cli import PROBLEMS
from gateway.cli.output import config_option
from gateway.cli.run import read_configuration
from gateway.cli.tables import inert
from gateway.config import Config
from gateway.config.values import is_loopback
from gateway.security.certificates import ending
from gateway.security.exposure import exposures


@click.command()
@config_option
@click.option("--strict", is_flag=True, help="Exit with 3 for a warning, too.")
def check(config_path: Path, *, strict: bool) -> None:
    """Check the configuration without connecting to anything; name every problem with its file, key and reason.

    Warnings are for what is allowed and probably not meant, such as a key that others may read.
    """
    config, plugins = read_configuration(config_path)
    warnings = [
        *_unmeant(config),
        *plugins.problems(),
        *exposures(config_path, config),
        *ending(config, datetime.now(UTC)),
    ]
    for warning in warnings:
        click.echo(inert(f"{config_path}: warning: {warning}"), err=True)
    if warnings and strict:
        sys.exit(PROBLEMS)
    click.echo(f"{config_path}: ok: {_summary(config)}")


def _unmeant(config: Config) -> list[str]:
    """Return what is allowed, but probably not meant."""
    routed = {name for route in config.routes for name in (*route.handlers, route.fallback)}
    routed |= {name for route in config.routes for step in route.escalation for name in step.handlers}
    routed |= {name for rota in routed & set(config.oncall) if rota for name in config.oncall[rota].handlers}
    warnings = [f"handlers.{name}: no route leads to it" for name in config.handlers if name not in routed]
    warnings += [f"oncall.{name}: no route leads to it" for name in config.oncall if name not in routed]
    if not config.routes:
        warnings.append("routes: there are none, so nobody is told of an alert")
    if config.mqtt.password is not None and config.mqtt.tls is None and not is_loopback(config.mqtt.host):
        warnings.append("mqtt.password: it is sent in the clear, since there is no mqtt.tls")
    return [*warnings, *_patterns(config), *_places(config)]


def _patterns(config: Config) -> list[str]:
    """Return the tables whose rules fit nothing, since an id is taken for a pattern as routes have them."""
    tables = [("machines", config.machines), ("sensors", config.sensors)]
    return [
        f"{name}.{number}.id: {section.id!r} is the id of one alone, and no pattern; only routes and silences take a *"
        for name, sections in tables
        for number, section in enumerate(sections)
        if "*" in section.id
    ]


def _places(config: Config) -> list[str]:
    warnings = []
    folder = next(path for path in (config.gateway.state_dir, *config.gateway.state_dir.parents) if path.exists())
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        warnings.append(f"gateway.state_dir: whoever runs this command cannot write to {folder}")
    if config.http is not None and config.http.public_url and (config.http.public_url.path or "").strip("/"):
        warnings.append("http.public_url: the page has to be at the root of its address, and this one has a path")
    return warnings


def _summary(config: Config) -> str:
    history = "InfluxDB" if config.influxdb else "the journal"
    page = "with" if config.http else "without"
    return (
        f"{len(config.mqtt.topics)} topic template(s), history in {history}, {len(config.handlers)} handler(s),"
        f" {len(config.routes)} route(s), {page} a live page"
    )
