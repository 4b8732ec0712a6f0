"""How the gateway itself is, as it says over its own HTTP: what the journal holds does not tell that it runs."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread
from typing import TypeVar

import click
import msgspec

from gateway.cli.tables import shown
from gateway.config import load_http
from gateway.config.sections import HttpSection
from gateway.config.values import local_url, reached_at
from gateway.domain.inputs.results import InputHeard

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds for the whole answer. One that comes by the byte is none."""

_LARGEST = 64 * 1024
_MOST_REASONS = 10
_LONGEST_REASON = 300
_OK, _UNAVAILABLE = 200, 503


class GatewayStatus(msgspec.Struct, frozen=True):
    """Whether the gateway answers at `url`, and why it is not ready; no reasons of one that answers: it is."""

    url: str
    answers: bool
    reasons: list[str] = []

    def __str__(self) -> str:
        if not self.answers:
            return f"does not answer at {self.url}"
        return f"running, not ready: {'; '.join(self.reasons)}" if self.reasons else "running and ready"


class _Readiness(msgspec.Struct):
    ready: bool
    reasons: list[str]


def condition(config_path: Path) -> GatewayStatus | None:
    """Ask the gateway how it is, for a second at most; None if its configuration does not say where to ask."""
    section = load_http(config_path)
    if section is None or section.port == 0:
        return None
    found = _answer(section, "/-/ready", reasons_in)
    url = shown(local_url(section.host, section.port))
    return GatewayStatus(url, answers=bool(found), reasons=found[0] if found else [])


def inputs_heard(config_path: Path) -> dict[str, InputHeard]:
    """Ask a running gateway what its inputs have done; nothing if none answers."""
    section = load_http(config_path)
    found = [] if section is None or section.port == 0 else _answer(section, "/api/v1/inputs", _inputs_in)
    return {each.name: each for each in (found[0] if found else [])}


def _inputs_in(_status: int, body: bytes) -> list[InputHeard]:
    return msgspec.json.decode(body, type=list[InputHeard])


def _answer(section: HttpSection, path: str, read: Callable[[int, bytes], T]) -> list[T]:
    """Return what `read` makes of the answer, or nothing if none comes in time."""
    found: list[T] = []
    where = reached_at(section.host), section.port
    asking = Thread(target=_ask, args=(*where, path, read, found), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return found


def warn(config_path: Path) -> None:
    """Say below a table, on the standard error, that the gateway is not ready or does not answer."""
    found = condition(config_path)
    if found is not None and not found.answers:
        click.echo(f"The gateway {found}: this is what the journal holds", err=True)
    elif found is not None and found.reasons:
        click.echo(f"The gateway is {found}", err=True)


def _ask(host: str, port: int, path: str, read: Callable[[int, bytes], T], found: list[T]) -> None:
    """Add what `read` makes of the answer to `found`, or nothing if no gateway answers. No token is sent."""
    connection = HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        found.append(read(answer.status, answer.read(_LARGEST + 1)))
    except (OSError, ValueError, HTTPException, msgspec.MsgspecError, RecursionError):
        pass
    finally:
        connection.close()


def reasons_in(status: int, body: bytes) -> list[str]:
    """Return the reasons in an answer, fit to be shown.

    Raises ValueError, RecursionError or one of msgspec's errors for an answer that is not a gateway's.
    """
    if len(body) > _LARGEST:
        raise ValueError("too long")
    said = msgspec.json.decode(body, type=_Readiness)
    if said.ready != (status == _OK) or said.ready == bool(said.reasons) or status not in {_OK, _UNAVAILABLE}:
        raise ValueError("not what a gateway says")
    return [_short(shown(reason)) for reason in said.reasons[:_MOST_REASONS]]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"
