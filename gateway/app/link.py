"""What the gateway's two processes say to each other: MessagePack over a socket of theirs, each frame with its length.

The socket has no name: nobody else can connect to it. Commands and answers are decoded by type.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Union

import msgspec
from msgspec import Struct

from gateway.config import Config
from gateway.domain.engine.commands import COMMANDS, Command
from gateway.errors import (
    ConflictError,
    DeliveryError,
    GatewayError,
    JournalError,
    JournalUnavailableError,
    NotFoundError,
    RefusedError,
    TooMuchError,
)
from gateway.telemetry.metrics import Families

EVERY = 1.0
"""Seconds between two signs of life, in both directions."""

HUNG = 15.0
"""Seconds without one after which the other process is taken to hang."""

_LENGTH = struct.Struct(">I")
_ERRORS: dict[str, type[Exception]] = {
    each.__name__: each
    for each in (
        ConflictError, GatewayError, JournalError, JournalUnavailableError, NotFoundError, RefusedError, TooMuchError,
        ValueError,
    )
}  # fmt: skip
_COMMAND: msgspec.msgpack.Decoder[Command[Any]] = msgspec.msgpack.Decoder(Union[COMMANDS])  # noqa: UP007 - made of a tuple


class Job(Struct, frozen=True):
    """What the followers' process is for. `listener` is the page's socket, one of the descriptors that it is given."""

    config: Config
    log_level: str
    listener: int | None
    last: int
    last_fact: int


class Asked(Struct, tag=True, frozen=True):
    """A follower asks the one writer; the command is in MessagePack."""

    number: int
    command: bytes


class Publish(Struct, tag=True, frozen=True):
    """A follower publishes over MQTT."""

    number: int
    topic: str
    payload: str
    traceparent: str
    may_go: bool


class Expect(Struct, tag=True, frozen=True):
    """Something is to be watched over that an earlier process has published."""

    topic: str
    payload: str
    may_go: bool


class Begun(Struct, tag=True, frozen=True):
    """The followers have taken up what was under way, and follow."""


class Alive(Struct, tag=True, frozen=True):
    """The followers' event loop turns."""


class Failed(Struct, tag=True, frozen=True):
    """The followers cannot go on. `is_final`: neither can a new process."""

    reason: str
    is_final: bool


Up = Asked | Publish | Expect | Begun | Alive | Failed


class Failure(Struct, frozen=True):
    """What was raised instead of an answer: its name and text, and of a DeliveryError whether to try again."""

    name: str
    text: str
    retry: bool = False
    retry_after: float | None = None
    delivered_maybe: bool = False
    needs_person: bool = False


class Answered(Struct, tag=True, frozen=True):
    """The answer in MessagePack, and how far the journal is by now: last number, and after which there is no fact."""

    number: int
    value: bytes
    failure: Failure | None
    last: int
    last_fact: int


class News(Struct, tag=True, frozen=True):
    """Something is new in the journal."""

    last: int
    last_fact: int


class State(Struct, tag=True, frozen=True):
    """How ingest is: why it cannot do its job, why nothing comes from the broker, what it counts."""

    reasons: list[str]
    broker: list[str]
    families: Families


class Stop(Struct, tag=True, frozen=True):
    """The followers are to end; what they ask meanwhile is answered."""


Down = Answered | News | State | Stop


def framed(frame: Struct | bytes) -> bytes:
    """Return what is sent for a frame, or for bytes that are one."""
    content = frame if isinstance(frame, bytes) else msgspec.msgpack.encode(frame)
    return _LENGTH.pack(len(content)) + content


async def received(reader: asyncio.StreamReader) -> bytes:
    """Return the next frame's content. Raises EOFError when the other side has ended."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return await reader.readexactly(length)
    except ConnectionError as error:
        raise EOFError from error


UP: Callable[[bytes], Up] = msgspec.msgpack.Decoder(Up).decode
DOWN: Callable[[bytes], Down] = msgspec.msgpack.Decoder(Down).decode
command_of: Callable[[bytes], Command[Any]] = _COMMAND.decode


def failure_of(error: Exception) -> Failure:
    """Return an error as it crosses. What nobody raised on purpose is the other side's own, and in its log."""
    if isinstance(error, DeliveryError):
        return Failure(
            "DeliveryError", str(error), error.retry, error.retry_after, error.delivered_maybe, error.needs_person
        )
    for each in type(error).__mro__:
        if each.__name__ in _ERRORS:
            return Failure(each.__name__, str(error))
    return Failure("GatewayError", f"an error of the gateway's own ({type(error).__name__}); see its log")


def error_of(failure: Failure) -> Exception:
    """Return the error that a failure stands for."""
    if failure.name == "DeliveryError":
        return DeliveryError(
            failure.text,
            retry=failure.retry,
            retry_after=failure.retry_after,
            delivered_maybe=failure.delivered_maybe,
            needs_person=failure.needs_person,
        )
    return _ERRORS.get(failure.name, GatewayError)(failure.text)
