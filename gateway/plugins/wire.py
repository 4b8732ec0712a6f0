"""What the gateway and the process of a plugin say to each other: MessagePack over a socket, each frame with a length.

What comes from the plugin's side is decoded by type and bounded in size; nothing of it is ever executed.
"""

from __future__ import annotations

import socket
import struct
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from gateway.api import EventRecord, StoredReading, Wants

T = TypeVar("T")

MOST_ANSWER = 16 * 1024 * 1024
"""Bytes of one frame from a plugin."""

_LENGTH = struct.Struct(">I")
_CHUNK = 1024 * 1024

Role = Literal["handler", "consumer", "decoder"]


class Job(Struct, tag=True):
    """What the process is for: the table, the entry point (name, value, group), and its settings, pickled by us."""

    role: Role
    where: str
    entry: tuple[str, str, str]
    settings: bytes


class Call(Struct, tag=True):
    """A call of a method, with its argument in MessagePack."""

    number: int
    method: str
    argument: bytes


class Cancel(Struct, tag=True):
    """Nobody waits for a call any more."""

    number: int


class Reply(Struct, tag=True):
    """What the gateway says to an Ask: a value in MessagePack, or why there is none."""

    value: bytes = b""
    error: str = ""


Down = Job | Call | Cancel | Reply


class Made(Struct, tag=True):
    """The plugin is there, with what a consumer wants, if it says so."""

    wants: Wants | None = None


class Problems(Struct, tag=True):
    """It cannot be made of these settings, with a line for each to mend."""

    problems: list[str]


class Answer(Struct, tag=True):
    """What a call has returned, in MessagePack."""

    number: int
    value: bytes


class Delivery(Struct):
    """What a DeliveryError says beside its text."""

    retry: bool
    retry_after: float | None
    delivered_maybe: bool
    rows: list[int]
    needs_person: bool


class Failure(Struct, tag=True):
    """What a call has raised: the type's name, the text, where it was, and more if it was a DeliveryError."""

    number: int
    name: str
    text: str
    trace: str
    delivery: Delivery | None = None


class Ask(Struct, tag=True):
    """The plugin asks for something that the gateway offers."""

    what: str
    argument: bytes


Up = Made | Problems | Answer | Failure | Ask


class Rows(Struct):
    """What a consumer is handed."""

    readings: list[StoredReading]
    entries: list[EventRecord]


class Message(Struct):
    """What a decoder is handed; `state` is what it keeps between messages, in MessagePack."""

    topic: str
    payload: bytes
    received_ns: int
    state: bytes


class Gone(Exception):  # noqa: N818 - what has happened, and not only a mistake
    """The other side has ended, or says what it cannot mean."""


def send(connection: socket.socket, frame: Struct) -> None:
    """Send a frame. Raises Gone, and TimeoutError if the other side does not read."""
    content = msgspec.msgpack.encode(frame)
    try:
        connection.sendall(_LENGTH.pack(len(content)) + content)
    except TimeoutError:
        raise
    except OSError as error:
        raise Gone(str(error)) from error


def receive(connection: socket.socket, type_: type[T], most: int | None = None) -> T:
    """Return the next frame, of `most` bytes. Raises Gone, and TimeoutError if nothing comes within its time-out."""
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if most is not None and length > most:
        raise Gone(f"it answers more than {most / 1e6:.0f} MB")
    try:
        return msgspec.msgpack.decode(_exactly(connection, length), type=type_)
    except msgspec.MsgspecError as error:
        raise Gone("what it says is no answer") from error


def _exactly(connection: socket.socket, length: int) -> bytes:
    content = bytearray()
    while len(content) < length:
        try:
            chunk = connection.recv(min(_CHUNK, length - len(content)))
        except TimeoutError:
            raise
        except OSError as error:
            raise Gone(str(error)) from error
        if not chunk:
            raise Gone("it has ended")
        content += chunk
    return bytes(content)
