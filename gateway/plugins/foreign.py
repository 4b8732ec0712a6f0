"""Plugins as the gateway uses them: what it calls is passed to their processes, and what they ask for is answered."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from importlib.metadata import EntryPoint
from typing import Any, TypeVar

import msgspec

from gateway.api import (
    ConsumerContext,
    Context,
    DeliveryError,
    EventRecord,
    Notification,
    Refused,
    StoredReading,
    Taken,
    Wants,
)
from gateway.api import DomainEvent as Fact
from gateway.plugins import wire
from gateway.plugins.process import PluginProcess
from gateway.plugins.wire import Job, Role

T = TypeVar("T")

CONSUME_WITHIN = 300.0
"""Seconds that a consumer may take for one step; people are told after as many."""

DECODE_WITHIN = 1.0
"""Seconds that a decoder may take for one message: so long everybody waits for it, once."""

_CLOSE_WITHIN, _ASK_WITHIN = 3.0, 30.0
_LOOK_EVERY = 2.0

Report = Callable[[str, str | None], Awaitable[None]]
_encode = msgspec.msgpack.encode


def apart(role: Role, where: str, point: EntryPoint, settings: object) -> PluginProcess:
    """Return the process of what an entry point makes of a table. Raises ConfigError for settings to mend."""
    job = Job(role, where, (point.name, point.value, point.group), pickle.dumps(settings))
    process = PluginProcess(job)
    process.begin()
    return process


class ForeignHandler:
    """A third party's handler."""

    def __init__(self, process: PluginProcess) -> None:
        self.process = process

    def attach(self, context: Context) -> None:
        """Offer it what the gateway offers, each time that it is started."""
        ours = asyncio.get_running_loop()
        self.process.set_up = "attach", _encode(str(context.timezone))
        offers: dict[str, Callable[..., object]] = {
            "trend": partial(_awaited, ours, context.trend),
            "acknowledge_url": context.acknowledge_url,
        }
        types = {"trend": tuple[str, int, int], "acknowledge_url": tuple[str, str]}
        self.process.serve = partial(_serve, offers, types)

    async def send(self, notification: Notification) -> str:
        """Return what the handler returns, and raise what it raises; DeliveryError if its process ends."""
        return await _call(self.process, "send", lambda: _encode(notification), str)

    async def preview(self, notification: Notification) -> Mapping[str, str]:
        """Return what the handler would send. Raises DeliveryError if it cannot say."""
        return await _call(self.process, "preview", lambda: _encode(notification), dict[str, str])


class ForeignConsumer:
    """A third party's consumer that says nothing of what it wants."""

    def __init__(self, process: PluginProcess) -> None:
        self.process = process
        self._wants = process.made.wants

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Taken:
        """Hand over one step. Raises what it raises; DeliveryError if its process ends."""
        if self.process.made.wants != self._wants:
            raise DeliveryError("it wants something else than at the start; reload the gateway", needs_person=True)
        refused, skipped = await _call(
            self.process,
            "consume",
            lambda: _encode(wire.Rows(list(readings), list(entries))),
            tuple[list[tuple[int, str]], int],
            CONSUME_WITHIN,
        )
        return Taken([Refused(seq, reason) for seq, reason in refused], skipped)


class FullForeignConsumer(ForeignConsumer):
    """One that says what it wants, and is started and closed."""

    def __init__(self, process: PluginProcess, wants: Wants) -> None:
        super().__init__(process)
        self.wants = wants

    async def start(self, context: ConsumerContext) -> None:
        """Start it, and again each time that its process is."""
        ours = asyncio.get_running_loop()
        self.process.set_up = "start", _encode(context.gateway_id)
        offers: dict[str, Callable[..., object]] = {
            "own_metrics": context.own_metrics,
            "reading_behind": partial(_awaited, ours, context.reading_behind),
            "facts_with_id": partial(_awaited, ours, context.facts_with_id),
        }
        types: dict[str, Any] = {
            "own_metrics": tuple[()],
            "reading_behind": tuple[Fact],
            "facts_with_id": tuple[str],
        }
        self.process.serve = partial(_serve, offers, types)
        await _call(self.process, "ready", bytes, None, CONSUME_WITHIN)

    async def close(self) -> None:
        """Close it, and end its process."""
        try:
            await _call(self.process, "close", bytes, None, _CLOSE_WITHIN)
        finally:
            self.process.end()


def foreign_consumer(process: PluginProcess) -> ForeignConsumer:
    """Return the consumer in a process, with what it wants if it says so."""
    wants = process.made.wants
    return ForeignConsumer(process) if wants is None else FullForeignConsumer(process, wants)


class ForeignDecoder:
    """A third party's decoder, called in the journal's thread: what is not there at once is not waited for."""

    def __init__(self, process: PluginProcess) -> None:
        self.process = process
        self._is_starting = threading.Lock()

    def __call__(
        self, topic: str, payload: bytes, received_ns: int, state: dict[str, Any]
    ) -> Iterable[Mapping[str, Any]]:
        """Return what the decoder returns, and change its state. Raises what it raises, or EndedError."""
        if not self.process.is_up:
            if self._is_starting.acquire(blocking=False):
                threading.Thread(target=self._begin, daemon=True).start()
            raise RuntimeError(
                f"{self.process.problem or 'its process is started'}; 'deadletters replay' reads it again"
            )
        argument = _encode(wire.Message(topic, payload, received_ns, _encode(state)))
        found, kept = self.process.call("decode", argument, tuple[list[Any], dict[Any, Any]], DECODE_WITHIN)
        state.clear()
        state.update(kept)
        return found  # type: ignore[no-any-return] # what is in it is checked by who asked

    @property
    def subject(self) -> str:
        """What an alert about it is about."""
        return self.process.where

    def _begin(self) -> None:
        try:
            self.process.begin()
        finally:
            self._is_starting.release()


async def _call(
    process: PluginProcess,
    method: str,
    argument: Callable[[], bytes],
    type_: type[T] | None,
    within: float | None = None,
) -> T:
    """Call a method in a thread of its own, which nobody has to wait for."""
    done, given_up = Future[T](), threading.Event()

    def run() -> None:
        done.set_running_or_notify_cancel()
        try:
            result = process.call(method, argument(), type_, within, lambda: not given_up.is_set())
        except BaseException as error:  # noqa: BLE001 - whoever awaits it is told
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, name="plugin", daemon=True).start()
    try:
        return await asyncio.wrap_future(done)
    except asyncio.CancelledError:
        given_up.set()
        process.cancel()
        raise


async def watch_decoders(decoders: Iterable[ForeignDecoder], report: Report) -> None:
    """Say which decoders cannot be asked, for ever; what they were to read meanwhile are dead letters."""
    every = {each.subject: each for each in decoders}
    while True:
        for subject, each in every.items():
            await report(subject, each.process.problem)
        await asyncio.sleep(_LOOK_EVERY)


def _awaited(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *arguments: object) -> object:
    """Return what a coroutine of the gateway's event loop gives, from another thread."""
    return asyncio.run_coroutine_threadsafe(function(*arguments), loop).result(_ASK_WITHIN)


def _serve(offers: Mapping[str, Callable[..., object]], types: Mapping[str, Any], what: str, argument: bytes) -> object:
    """Answer what a plugin asks for. Raises whatever is wrong with the question."""
    return offers[what](*msgspec.msgpack.decode(argument, type=types[what]))
