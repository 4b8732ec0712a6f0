"""Ingest as the followers' process sees it: one object for its writer, its journal's news, how it is, its publisher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gateway.app.link import (
    DOWN,
    EVERY,
    HUNG,
    Alive,
    Answered,
    Asked,
    Expect,
    News,
    Publish,
    State,
    Stop,
    error_of,
    framed,
    received,
)
from gateway.domain.engine.commands import Command, answer_of
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.journal import ReadErrors
from gateway.telemetry.metrics import Metrics

T = TypeVar("T")

SILENT = "the process that takes readings does not answer the one that tells of them"


class RemoteIngest:
    """What `link` brings, and what goes over it. `announce` is called when something is new in the journal."""

    def __init__(self, path: Path, last: int, last_fact: int, writer: asyncio.StreamWriter, metrics: Metrics) -> None:
        self.reading = ReadErrors(path)
        self.next_seq, self.last_fact = last + 1, last_fact
        self.on_written: Callable[[UnitOfWork], None] = lambda _: None
        self.announce: Callable[[], None] = lambda: None
        self.stopping = asyncio.Event()
        self._writer = writer
        self._metrics = metrics
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._number = 0
        self._state = State([], [], {})
        self._heard = time.monotonic()

    @property
    def broker_problems(self) -> Sequence[str]:
        """Why nothing comes from the broker, as last said."""
        return self._state.broker

    def reasons(self) -> list[str]:
        """Return why the gateway cannot do its job, this process's reasons too."""
        problem = self.reading.problem
        return [*self.dead(), *self._state.reasons, *([problem] if problem else [])]

    def dead(self) -> list[str]:
        """Say that the other process hangs, if it does."""
        return [SILENT] if time.monotonic() - self._heard > HUNG else []

    async def ask(self, command: Command[T]) -> T:
        """Have a command executed by the one writer."""
        value = await self._exchange(lambda number: Asked(number, msgspec.msgpack.encode(command)))
        answer: T = msgspec.msgpack.decode(value, type=answer_of(type(command)))
        return answer

    async def publish(self, topic: str, payload: str, traceparent: str = "", *, may_go: bool = False) -> None:
        """Publish and wait for the broker's answer. Raises DeliveryError."""
        await self._exchange(lambda number: Publish(number, topic, payload, traceparent, may_go))

    def expect(self, topic: str, payload: str, *, may_go: bool = False) -> None:
        """Have an earlier publication watched over."""
        self._writer.write(framed(Expect(topic, payload, may_go)))

    async def _exchange(self, frame: Callable[[int], Asked | Publish]) -> bytes:
        self._number += 1
        number = self._number
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(framed(frame(number)))
            return await answer
        finally:
            del self._waiting[number]

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Take what comes, for as long as the other process lives. Raises EOFError."""
        while True:
            content = await received(reader)
            self._heard = time.monotonic()
            self._take(DOWN(content))

    def _take(self, frame: Any) -> None:
        match frame:
            case News(last, last_fact):
                self._move_on(last, last_fact)
            case Answered(number, value, failure, last, last_fact):
                self._move_on(last, last_fact)
                answer = self._waiting.get(number)
                if answer is None or answer.done():  # nobody waits for it any more
                    return
                if failure is None:
                    answer.set_result(value)
                else:
                    answer.set_exception(error_of(failure))
            case State() as state:
                self._state = state
                self._metrics.beside(state.families)
            case Stop():
                self.stopping.set()

    def _move_on(self, last: int, last_fact: int) -> None:
        self.last_fact = max(self.last_fact, last_fact)
        if last >= self.next_seq:
            self.next_seq = last + 1
            self.announce()

    async def live(self) -> None:
        """Show that this process's event loop turns, for ever."""
        while True:
            self._writer.write(framed(Alive()))
            await asyncio.sleep(EVERY)
