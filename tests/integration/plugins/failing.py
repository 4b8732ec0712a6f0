"""A third party's plugins that fail as they are told to, in every way that somebody has thought of."""

import asyncio
import builtins
import contextlib
import ctypes
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from gateway.api import Context, DeliveryError, EventRecord, Notification, Refused, StoredReading, Taken, Wants
from gateway.errors import ConfigError, JournalError, JournalUnavailableError

FOREVER = 3600.0


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("I do not say")


class DeepError(BaseException):
    pass


def throw(error: BaseException) -> Callable[[], NoReturn]:
    def way() -> NoReturn:
        raise error

    return way


def recurse() -> None:
    recurse()


def eat_memory() -> None:
    eaten = []
    while True:
        eaten.append(bytearray(10_000_000))


def eat_memory_in_crumbs() -> None:
    dict.fromkeys(itertools.count())


def compute() -> None:
    while True:
        pass


def print_for_ever(text: str = "x\n") -> None:
    while True:
        os.write(1, (text * 1000).encode())


def close_everything() -> None:
    os.closerange(0, 256)


def write_everywhere() -> None:
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(number, b"\xff" * 64)


def fork_and_go_on() -> None:
    os.fork()


def fork_and_end() -> None:
    if os.fork():
        os._exit(0)
    time.sleep(FOREVER)


def leave_a_child_behind() -> None:
    subprocess.Popen(["sleep", "3600"])
    raise RuntimeError("it is left behind")


def exit_in_a_thread() -> None:
    thread = threading.Thread(target=os._exit, args=[9])
    thread.start()
    time.sleep(FOREVER)


def leave_a_thread() -> None:
    threading.Thread(target=time.sleep, args=[FOREVER]).start()
    raise RuntimeError("it is left behind")


def open_too_many_files() -> None:
    kept = [open(os.devnull) for _ in itertools.count()]  # noqa: SIM115, PTH123 - that is the defect
    raise AssertionError(len(kept))


def be_alarmed() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    time.sleep(FOREVER)


def recurse_to_the_end_of_the_stack() -> None:
    sys.setrecursionlimit(10**9)
    recurse()


def stop_the_loop() -> None:
    asyncio.get_running_loop().stop()


def forget_all_modules() -> None:
    sys.modules.clear()
    raise RuntimeError("they are gone")


def forget_a_builtin() -> None:
    del builtins.isinstance


def become_another_program() -> None:
    os.execv("/bin/true", ["true"])  # noqa: S606 - that is the defect


def a_background_exit() -> None:
    async def leave() -> None:
        raise SystemExit(5)

    asyncio.get_running_loop().create_task(leave())


def stop_oneself() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def send_signal(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def answer(value: object) -> Callable[[], object]:
    return lambda: value


WAYS: dict[str, Callable[[], object]] = {
    "raises ValueError": throw(ValueError("a defect")),
    "raises KeyError": throw(KeyError("a key")),
    "raises without words": throw(SilentError()),
    "raises SystemExit": lambda: sys.exit(3),
    "raises KeyboardInterrupt": throw(KeyboardInterrupt()),
    "raises GeneratorExit": throw(GeneratorExit()),
    "raises CancelledError": throw(asyncio.CancelledError()),
    "raises TimeoutError": throw(TimeoutError("its own")),
    "raises StopIteration": throw(StopIteration(1)),
    "raises StopAsyncIteration": throw(StopAsyncIteration()),
    "raises MemoryError": throw(MemoryError()),
    "raises JournalError": throw(JournalError("is damaged")),
    "raises JournalUnavailableError": throw(JournalUnavailableError("is full")),
    "raises ConfigError": throw(ConfigError(["a line"])),
    "raises a BaseException": throw(DeepError("deep")),
    "raises a group": throw(ExceptionGroup("several", [ValueError("one")])),
    "raises fifty megabytes": throw(ValueError("x" * 50_000_000)),
    "raises half a character": throw(ValueError("\ud800")),
    "raises what has no name": throw(type("not a name", (Exception,), {})("odd")),
    "raises BlockingIOError": throw(BlockingIOError(11, "again")),
    "raises a delivery error of junk": throw(DeliveryError("junk", retry_after="soon")),  # type: ignore[arg-type] # that is the defect
    "raises a delivery error of other rows": throw(DeliveryError("rows", rows=["x", None])),  # type: ignore[list-item] # as above
    "recurses": recurse,
    "recurses to the end of the stack": recurse_to_the_end_of_the_stack,
    "exits": lambda: os._exit(0),
    "exits with a code": lambda: os._exit(7),
    "exits in a thread": exit_in_a_thread,
    "exits in the background": a_background_exit,
    "is killed": send_signal(signal.SIGKILL),
    "is terminated": send_signal(signal.SIGTERM),
    "is hung up": send_signal(signal.SIGHUP),
    "aborts": os.abort,
    "reads where nothing is": lambda: ctypes.string_at(0),
    "is alarmed": be_alarmed,
    "stops itself": stop_oneself,
    "sleeps": lambda: time.sleep(FOREVER),
    "computes": compute,
    "eats memory": eat_memory,
    "eats memory in crumbs": eat_memory_in_crumbs,
    "prints for ever": print_for_ever,
    "prints one line for ever": lambda: print_for_ever("x"),
    "closes every file": close_everything,
    "writes into every file": write_everywhere,
    "opens too many files": open_too_many_files,
    "forks and goes on": fork_and_go_on,
    "forks and ends": fork_and_end,
    "leaves a child behind": leave_a_child_behind,
    "leaves a thread behind": leave_a_thread,
    "becomes another program": become_another_program,
    "stops its event loop": stop_the_loop,
    "forgets all modules": forget_all_modules,
    "forgets a builtin": forget_a_builtin,
    "returns None": answer(None),
    "returns an object": answer(object()),
    "returns bytes": answer(b"\xff"),
    "returns fifty megabytes": answer("x" * 50_000_000),
    "returns half a character": answer("\ud800"),
}


class Handler:
    def __init__(self, _name: str, settings: Mapping[str, Any]) -> None:
        self.word = settings.get("word", "well")
        self.context = Context()
        fail = settings.get("made")
        if fail:
            WAYS[fail]()

    def attach(self, context: Context) -> None:
        self.context = context

    async def send(self, notification: Notification) -> Any:
        if notification.reason == "asks":
            trend = await self.context.trend("VB-1", 1, 2)
            return f"{list(trend.levels)} {self.context.timezone} {self.context.acknowledge_url('a', 'anna')}"
        if notification.reason == "asks for junk":
            return await self.context.trend(None, "x", object())  # type: ignore[arg-type] # that is the defect
        if notification.reason == "waits":
            await asyncio.Event().wait()
        if notification.reason == "waits whatever":
            while True:
                try:
                    await asyncio.sleep(FOREVER)
                except asyncio.CancelledError:
                    continue
        if notification.reason in WAYS:
            found = WAYS[notification.reason]()
            await asyncio.sleep(0)
            return found
        return f"{self.word}, {os.getpid()}"


class NoHandler:
    def __init__(self, _name: str, _settings: Mapping[str, Any]) -> None: ...


class Consumer:
    """Fails as the id of the first reading says."""

    def __init__(self, _name: str, _settings: Mapping[str, Any]) -> None: ...

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Any:
        way = readings[0].event_id
        if way in WAYS:
            return WAYS[way]()
        return Taken([Refused(one.seq, "not mine") for one in readings if one.level is None], skipped=len(entries))


class Wanting(Consumer):
    wants = Wants(facts=False, start="now")

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.started = ""

    async def start(self, context: Any) -> None:
        metrics = context.own_metrics()
        facts = await context.facts_with_id("x")
        self.started = f"{context.gateway_id} {metrics} {len(facts)} {await context.reading_behind(facts[0].fact)}"

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Any:
        await super().consume(readings, entries)
        return Taken([Refused(readings[0].seq, self.started)])

    async def close(self) -> None: ...


def decode(topic: str, payload: bytes, _received_ns: int, state: dict[Any, Any]) -> Iterable[Any]:
    """Fail as the payload says; else return a reading with the number of messages so far."""
    way = payload.decode()
    if way in WAYS:
        return [WAYS[way]()]
    if way == "odd state":
        state[1] = 2
    state["count"] = state.get("count", 0) + 1
    return [{"sensor": topic, "values": {"level": float(state["count"])}}]
