"""Changes from the command line: a running gateway is asked; without one they are made here, under its lock."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import click
import httpx

from gateway.cli import logs
from gateway.cli.output import journal_path
from gateway.cli.tables import inert
from gateway.commands import Commands
from gateway.config import Config
from gateway.config.values import local_url
from gateway.domain.inputs.topics import TopicTemplates
from gateway.errors import GatewayError, JournalInUseError
from gateway.ingest.restore import restored_pipeline
from gateway.journal import Journal, StateLock
from gateway.security.secrets import http_token

F = TypeVar("F", bound=Callable[..., Any])

_TIMEOUT = 60.0


def asker() -> str:
    """Return who asks: under sudo the person, not the account that the command runs as."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # an account that has a number only, as in a container
        return f"uid {os.getuid()}"


by_option = click.option("--by", default=asker, show_default="the user who asks", help="Who says so, or wants it.")


def said(function: F) -> F:
    """Add --by and --reason, as every change has them that may go without a reason."""
    return by_option(click.option("--reason", default="", help="Why, for those who look later.")(function))


def change(
    config: Config,
    path: str,
    body: Mapping[str, Any],
    make: Callable[[Commands], Awaitable[Mapping[str, Any]]],
    timeout: float = _TIMEOUT,
) -> Mapping[str, Any]:
    """Make a change and return what came of it. Raises GatewayError with what the gateway said.

    `timeout` is in seconds.
    """
    logs.set_up(config.secrets, "warning")
    try:
        lock = StateLock(config.gateway.state_dir)
    except JournalInUseError:
        return _ask(config, path, body, timeout)
    try:
        return asyncio.run(_alone(config, make))
    finally:
        lock.release()


async def _alone(config: Config, make: Callable[[Commands], Awaitable[Mapping[str, Any]]]) -> Mapping[str, Any]:
    journal = Journal(journal_path(config))
    try:
        if journal.missing is not None:
            raise GatewayError(f"{journal.missing}: put it back, or begin a new one with 'vibration-gateway init'")
        pipeline = restored_pipeline(config, journal, TopicTemplates(list(config.mqtt.topics)))
        outcome = await make(Commands(journal))
        await journal.call(pipeline.snapshot)
        return outcome
    finally:
        journal.close()


def _ask(config: Config, path: str, body: Mapping[str, Any], timeout: float) -> Mapping[str, Any]:
    if config.http is None:
        raise GatewayError("the gateway is running without [http], so it cannot be asked; stop it, or configure [http]")
    url = local_url(config.http.host, config.http.port) + path
    try:
        answer = httpx.post(
            url, json=body, headers={"Authorization": f"Bearer {http_token(config)}"}, timeout=timeout, trust_env=False
        )
    except httpx.HTTPError as error:
        raise GatewayError(f"the running gateway does not answer at {url}: {error}") from error
    if answer.is_success:
        outcome: dict[str, Any] = answer.json()
        return outcome
    raise GatewayError(inert(_detail(answer)))


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]
