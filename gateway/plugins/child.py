"""The process of one plugin: makes it, and does what the gateway asks of it, one call at a time.

Everything of third parties runs here, within limits. Whatever it does, the gateway sees an answer, an error, or an end.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pickle
import queue
import resource
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import EntryPoint
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gateway.api import (
    ConsumerContext,
    Context,
    DeliveryError,
    EventRecord,
    Notification,
    StoredReading,
    Taken,
    Trend,
    Wants,
)
from gateway.api import DomainEvent as Fact
from gateway.domain.inputs.decoders import MAX_READINGS
from gateway.errors import ConfigError
from gateway.plugins import wire
from gateway.plugins.contract import check_consumer, check_handler, loaded_decoder
from gateway.plugins.loader import build_foreign
from gateway.plugins.wire import Answer, Ask, Call, Cancel, Delivery, Down, Failure, Made, Problems, Reply, Up

MEMORY = 512 * 1024 * 1024
"""Bytes that a plugin may take."""

OPEN_FILES = 256
_NICER = 5
"""A plugin that computes without end leaves the processor to the gateway."""

_PR_SET_PDEATHSIG = 1
_LOCALTIME = Path("/etc/localtime")
_LONGEST_TEXT, _LONGEST_TRACE = 1000, 8000
_encode = msgspec.msgpack.encode


def main(descriptor: int) -> None:
    """Serve the gateway on a socket until it closes that."""
    gateway = Gateway(socket.socket(fileno=descriptor))
    job = gateway.receive()
    assert isinstance(job, wire.Job)  # noqa: S101 - the gateway's own word
    _limit(is_waited_for=job.role == "decoder")
    try:
        plugin = _made(job)
    except ConfigError as error:
        gateway.send(Problems(error.problems))
        return
    wants = getattr(plugin, "wants", None)
    gateway.send(Made(wants if isinstance(wants, Wants) else None))
    if job.role == "decoder":
        _decode_all(gateway, plugin)
    else:
        asyncio.run(_serve(gateway, plugin))


def _limit(*, is_waited_for: bool) -> None:
    for what, most in ((resource.RLIMIT_DATA, MEMORY), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, OPEN_FILES)):
        _, allowed = resource.getrlimit(what)
        limit = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(what, (limit, limit))
    if not is_waited_for:
        os.nice(_NICER)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _made(job: wire.Job) -> Any:
    point = EntryPoint(*job.entry)
    if job.role == "decoder":
        return loaded_decoder(point)
    plugin = build_foreign(job.where, point, pickle.loads(job.settings))  # noqa: S301 - pickled by the gateway
    (check_handler if job.role == "handler" else check_consumer)(job.where, point.name, plugin)
    return plugin


class Gateway:
    """The other side: its calls, and what it answers to questions."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self.asking = threading.Lock()
        self.replies = queue.SimpleQueue[Reply]()

    def send(self, frame: Up) -> None:
        """Tell the gateway."""
        with self._sending:
            wire.send(self._connection, frame)

    def receive(self) -> Down:
        """Return what the gateway says next; ends the process when it says nothing more."""
        try:
            return wire.receive(self._connection, Down)  # type: ignore[arg-type] # a union of types is one to msgspec
        except wire.Gone:
            os._exit(0)

    def ask(self, what: str, argument: object, type_: Any) -> Any:
        """Return what the gateway answers; wait for it. Raises RuntimeError if it cannot say."""
        with self.asking:
            self.send(Ask(what, _encode(argument)))
            reply = self.replies.get()
        if reply.error:
            raise RuntimeError(reply.error)
        return msgspec.msgpack.decode(reply.value, type=type_)


async def _serve(gateway: Gateway, plugin: Any) -> None:
    """Do what the gateway asks, for ever."""
    loop, calls = asyncio.get_running_loop(), asyncio.Queue[Call]()
    running: dict[int, asyncio.Task[None]] = {}

    def cancel(number: int) -> None:
        if number in running:
            running[number].cancel()

    def listen() -> None:
        while True:
            frame = gateway.receive()
            if isinstance(frame, Reply):
                gateway.replies.put(frame)
            elif isinstance(frame, Cancel):
                loop.call_soon_threadsafe(cancel, frame.number)
            elif isinstance(frame, Call):
                loop.call_soon_threadsafe(calls.put_nowait, frame)

    threading.Thread(target=listen, name="gateway", daemon=True).start()
    while True:
        call = await calls.get()
        running[call.number] = task = asyncio.ensure_future(_do(gateway, plugin, call))
        await asyncio.wait([task])
        del running[call.number]


async def _do(gateway: Gateway, plugin: Any, call: Call) -> None:
    try:
        answer: Up = Answer(call.number, _encode(await _METHODS[call.method](gateway, plugin, call.argument)))
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, SystemExit too: all of it is its outcome
        answer = _failure(call.number, error)
    gateway.send(answer)


def _failure(number: int, error: BaseException) -> Failure:
    trace = "".join(traceback.format_exception(error)) if _can_say(error) else ""
    text = str(error) if _can_say(error) else "it does not say why"
    delivery = None
    if isinstance(error, DeliveryError):
        after = error.retry_after if isinstance(error.retry_after, int | float) else None
        rows = [row for row in islice(error.rows, 100_000) if isinstance(row, int)]
        delivery = Delivery(
            bool(error.retry), after, bool(error.delivered_maybe), rows, needs_person=bool(error.needs_person)
        )
    return Failure(
        number, type(error).__name__[:100], _text(text[:_LONGEST_TEXT]), _text(trace[-_LONGEST_TRACE:]), delivery
    )


def _can_say(error: BaseException) -> bool:
    try:
        str(error)
        traceback.format_exception(error)
    except Exception:  # noqa: BLE001 - the exception is a third party's, too
        return False
    return True


def _text(text: str) -> str:
    return text.encode(errors="replace").decode()


def _short(value: object) -> str:
    """Return what is shown of an answer that should be a text."""
    return _text((value if isinstance(value, str) else type(value).__name__)[:_LONGEST_TEXT])


async def _attach(gateway: Gateway, plugin: Any, argument: bytes) -> None:
    async def trend(sensor_id: str, since_ns: int, until_ns: int) -> Trend:
        found: Trend = await asyncio.to_thread(gateway.ask, "trend", (sensor_id, since_ns, until_ns), Trend)
        return found

    def acknowledge_url(alert_id: str, person: str) -> str:
        address: str = gateway.ask("acknowledge_url", (alert_id, person), str)
        return address

    if hasattr(plugin, "attach"):
        plugin.attach(Context(_zone(msgspec.msgpack.decode(argument, type=str)), trend, acknowledge_url))


def _zone(name: str) -> ZoneInfo:
    """Return the gateway's time zone; the system's own has no name of its own."""
    if name != "localtime":
        return ZoneInfo(name)
    with _LOCALTIME.open("rb") as file:
        return ZoneInfo.from_file(file, name)


async def _send(_gateway: Gateway, plugin: Any, argument: bytes) -> str:
    return _short(await plugin.send(msgspec.msgpack.decode(argument, type=Notification)))


async def _preview(_gateway: Gateway, plugin: Any, argument: bytes) -> dict[str, str]:
    if not hasattr(plugin, "preview"):
        raise DeliveryError("a handler of this type cannot show what it would send", retry=False)
    parts: Mapping[object, object] = await plugin.preview(msgspec.msgpack.decode(argument, type=Notification))
    return {_short(name): _text(str(part)) for name, part in parts.items()}


async def _start(gateway: Gateway, plugin: Any, argument: bytes) -> None:
    def own_metrics() -> Any:
        return gateway.ask("own_metrics", (), list[tuple[dict[str, str], dict[str, float]]])

    async def reading_behind(fact: Fact) -> StoredReading | None:
        found: StoredReading | None = await asyncio.to_thread(
            gateway.ask, "reading_behind", (fact,), StoredReading | None
        )
        return found

    async def facts_with_id(id_: str) -> list[EventRecord]:
        found: list[EventRecord] = await asyncio.to_thread(gateway.ask, "facts_with_id", (id_,), list[EventRecord])
        return found

    gateway_id = msgspec.msgpack.decode(argument, type=str)
    await plugin.start(ConsumerContext(gateway_id, own_metrics, reading_behind, facts_with_id))


async def _consume(_gateway: Gateway, plugin: Any, argument: bytes) -> tuple[list[tuple[int, str]], int]:
    """Return what it refuses and why, and how many rows it leaves out."""
    rows = msgspec.msgpack.decode(argument, type=wire.Rows)
    taken = await plugin.consume(rows.readings, rows.entries)
    if not isinstance(taken, Taken):
        return [], 0
    refused = [
        (one.seq, _text(one.reason[:_LONGEST_TEXT]))
        for one in taken.refused
        if isinstance(one.seq, int) and isinstance(one.reason, str)
    ]
    skipped = taken.skipped if isinstance(taken.skipped, int) else 0
    return refused, min(max(skipped, 0), len(rows.readings) + len(rows.entries))


async def _ready(_gateway: Gateway, _plugin: Any, _argument: bytes) -> None:
    """Do nothing: what comes first each time has come then."""


async def _close(_gateway: Gateway, plugin: Any, _argument: bytes) -> None:
    await plugin.close()


def _decode_all(gateway: Gateway, decode: Any) -> None:
    """Decode messages for ever, each at once: the journal waits."""
    while True:
        call = gateway.receive()
        if not isinstance(call, Call):
            continue
        try:
            answer: Up = Answer(call.number, _encode(_decoded(decode, call.argument)))
        except BaseException as error:  # noqa: BLE001 - as for the others
            answer = _failure(call.number, error)
        gateway.send(answer)


def _decoded(decode: Any, argument: bytes) -> tuple[list[Any], dict[str, Any]]:
    message = msgspec.msgpack.decode(argument, type=wire.Message)
    state: dict[str, Any] = msgspec.msgpack.decode(message.state)
    found = decode(message.topic, message.payload, message.received_ns, state)
    return [dict(each) for each in islice(found, MAX_READINGS + 1)], state


_METHODS: dict[str, Callable[[Gateway, Any, bytes], Awaitable[Any]]] = {
    "attach": _attach,
    "send": _send,
    "preview": _preview,
    "start": _start,
    "consume": _consume,
    "ready": _ready,
    "close": _close,
}

if __name__ == "__main__":
    main(int(sys.argv[1]))
