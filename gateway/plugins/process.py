"""A plugin in a process of its own: started, asked, bounded in time and size, and started again after a pause.

Nothing that happens to that process is more than an error of the call that was under way.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import msgspec
import structlog

from gateway.errors import ConfigError, DeliveryError
from gateway.plugins import wire
from gateway.plugins.wire import MOST_ANSWER, Answer, Ask, Call, Cancel, Failure, Gone, Job, Made, Problems, Reply, Up

log = structlog.get_logger(__name__)

START_WITHIN = 20.0
"""Seconds in which a plugin has to be imported and made; a small computer's card is slow."""

GRACE = 1.0
"""Seconds that a call has to end in once nobody waits for it."""

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_MINUTE, _LINES_A_MINUTE, _LONGEST_LINE = 60.0, 100, 500
_DROPPED, _BETWEEN_DROPS = 65536, 0.05
_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[2]);"
    " from gateway.plugins.child import main; main(int(sys.argv[1]))"
)

_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plugins")
"""Plugins are to end with us, and for the kernel that is the thread that has started them."""

Serve = Callable[[str, bytes], object]
"""Answers what a plugin asks for: its name, the argument in MessagePack. Called in the thread of the call."""


class EndedError(DeliveryError):
    """The process of a plugin has ended, or was ended, or is not to be started yet."""


class PluginProcess:
    """The process of one plugin. It is used by one thread at a time; `problem` says what is wrong with it, or is None.

    `made` is what it says of itself. `set_up` is what is called in it first each time, a method and its argument.
    """

    def __init__(self, job: Job) -> None:
        self.problem: str | None = None
        self.made = Made()
        self.set_up: tuple[str, bytes] | None = None
        self.serve: Serve = _nothing_to_ask
        self._job = job
        self._turn, self._sending = threading.Lock(), threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._running = list[tuple[subprocess.Popen[bytes], socket.socket]]()
        weakref.finalize(self, _end_all, self._running)
        self._is_made = self._is_set_up = self._is_calling = False
        self._failures, self._not_before, self._number = 0, 0.0, 0

    def begin(self) -> None:
        """Start it now. Raises ConfigError for settings to mend; whatever else is wrong is its `problem`."""
        with self._turn, contextlib.suppress(EndedError):
            self._ensure(time.monotonic() + START_WITHIN)

    def call(
        self,
        method: str,
        argument: bytes,
        type_: Any,
        within: float | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Any:
        """Return what a method returns. Raises what it raises, and EndedError if its process is not, or not any more.

        Without an answer `within` so many seconds its process is ended. What is not wanted any more once the process
        has been started is not called.
        """
        with self._turn:
            deadline = None if within is None else time.monotonic() + within
            self._ensure(time.monotonic() + START_WITHIN if deadline is None else deadline)
            if not is_wanted():
                raise EndedError("nobody waits for this call any more")
            if self.set_up is not None and not self._is_set_up:
                self._exchange(*self.set_up, Any, deadline)
                self._is_set_up = True
            answer = self._exchange(method, argument, type_, deadline)
            self._failures, self.problem = 0, None
            return answer

    @property
    def where(self) -> str:
        """The table of the configuration that it is of, or another name for it."""
        return self._job.where

    @property
    def is_up(self) -> bool:
        """Tell whether there is a process that can be asked."""
        return self._process is not None and self._process.poll() is None and self._is_made

    def cancel(self) -> None:
        """Ask for the end of the call that is under way; soon it is ended with its process."""
        process, number = self._process, self._number
        if self._is_calling and process is not None:
            threading.Thread(target=self._end_call, args=[process, number], daemon=True).start()

    def end(self) -> None:
        """End its process."""
        if self._process is not None:
            _kill(self._process)

    def _end_call(self, process: subprocess.Popen[bytes], number: int) -> None:
        connection = self._connection
        if connection is not None and self._sending.acquire(blocking=False):
            with contextlib.suppress(Gone, TimeoutError):
                wire.send(connection, Cancel(number))
            self._sending.release()
        end = time.monotonic() + GRACE
        while self._is_calling and self._number == number and time.monotonic() < end:
            time.sleep(0.01)
        if self._is_calling and self._number == number:
            _kill(process)

    def _ensure(self, deadline: float) -> None:
        """Have a process that can be asked. Raises EndedError, or ConfigError."""
        if self.is_up:
            return
        pause = self._not_before - time.monotonic()
        if pause > 0:
            raise EndedError(
                f"{self.problem}; it is started again in {pause:.0f} s", retry_after=pause, needs_person=True
            )
        self._start()
        try:
            frame = self._receive(deadline)
        except (Gone, TimeoutError) as error:
            raise self._ended("while it was made", error) from None
        if isinstance(frame, Problems):
            self.end()
            raise ConfigError(frame.problems)
        if not isinstance(frame, Made):
            raise self._ended("while it was made", Gone("what it says is no answer"))
        self.made, self._is_made = frame, True

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        words = [sys.executable, "-c", _BOOT, str(theirs.fileno()), json.dumps(sys.path)]
        self._process = process = _STARTER.submit(_started, words, theirs.fileno()).result()
        theirs.close()
        _end_all(self._running)
        self._running[:] = [(process, ours)]
        self._connection, self._is_made, self._is_set_up = ours, False, False
        assert process.stdout is not None  # noqa: S101 - as asked for
        threading.Thread(target=_pass_on, args=[self._job.where, process.stdout], daemon=True).start()
        ours.settimeout(START_WITHIN)
        with contextlib.suppress(Gone, TimeoutError):  # it has ended: receiving says so, too
            wire.send(ours, self._job)

    def _exchange(self, method: str, argument: bytes, type_: Any, deadline: float | None) -> Any:
        """Send a call and return its answer, with what the plugin asks for in between."""
        assert self._connection is not None  # noqa: S101 - it was just made sure of
        self._number += 1
        self._is_calling = True
        try:
            self._connection.settimeout(_left(deadline))
            with self._sending:
                wire.send(self._connection, Call(self._number, method, argument))
            while True:
                frame = self._receive(deadline)
                if isinstance(frame, Answer) and frame.number == self._number:
                    return msgspec.msgpack.decode(frame.value, type=type_)
                if isinstance(frame, Failure) and frame.number == self._number:
                    raise _raised(frame)
                self._answer(frame)
        except (Gone, TimeoutError, msgspec.MsgspecError) as error:
            raise self._ended(f"in {method}", error) from None
        finally:
            self._is_calling = False

    def _answer(self, question: Up) -> None:
        if not isinstance(question, Ask):
            raise Gone("what it says is no answer")
        assert self._connection is not None  # noqa: S101 - as above
        try:
            reply = Reply(msgspec.msgpack.encode(self.serve(question.what, question.argument)))
        except Exception as error:  # noqa: BLE001 - whatever it asked for so badly is its own mistake
            reply = Reply(error=f"{type(error).__name__}: {error}")
        with self._sending:
            wire.send(self._connection, reply)

    def _receive(self, deadline: float | None) -> Up:
        assert self._connection is not None  # noqa: S101 - as above
        self._connection.settimeout(_left(deadline))
        return wire.receive(self._connection, Up, MOST_ANSWER)  # type: ignore[arg-type] # a union of types is one to msgspec

    def _ended(self, when: str, error: Exception) -> EndedError:
        """Take note of the end of its process, and see to it; return the error that says so."""
        assert self._process is not None  # noqa: S101 - else nobody could be asked
        code = self._process.poll() if isinstance(error, TimeoutError) else _code(self._process)
        _kill(self._process)
        if isinstance(error, TimeoutError):
            why = "it does not answer, and was ended"
        else:
            why = "it was ended: " + str(error) if code is None else f"it has ended {_how(code)}"
        pause = min(_FIRST_PAUSE * 2**self._failures, _LONGEST_PAUSE)
        self._failures = min(self._failures + 1, 16)
        self._not_before = time.monotonic() + pause
        self.problem = f"the process of {self._job.where} failed {when}: {why}"
        log.error(self.problem, plugin=self._job.where, again_in=pause)
        return EndedError(self.problem, retry_after=pause, delivered_maybe=True, needs_person=True)


def _started(words: list[str], descriptor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=[descriptor],
        start_new_session=True,
    )


def _nothing_to_ask(what: str, _argument: bytes) -> object:
    raise LookupError(f"there is no {what}")


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.001, deadline - time.monotonic())


def _code(process: subprocess.Popen[bytes]) -> int | None:
    """Return how a process has ended that has closed its connection, or None if it has not."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(0.5)
    return None


def _how(code: int) -> str:
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and whatever it has started, as far as that has not left its group."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)


def _raised(failure: Failure) -> Exception:
    """Return the error of a plugin as one that has its name, its words, and as a note where it was."""
    more = failure.delivery
    if more is not None:
        return DeliveryError(
            failure.text,
            retry=more.retry,
            retry_after=more.retry_after,
            delivered_maybe=more.delivered_maybe,
            rows=more.rows,
            needs_person=more.needs_person,
        )
    name = failure.name if failure.name.isidentifier() else "Exception"
    error: Exception = type(name, (Exception,), {"__module__": "builtins"})(failure.text)
    error.add_note(failure.trace)
    return error


def _pass_on(where: str, output: IO[bytes]) -> None:
    """Pass what a plugin prints on to the log, so many lines a minute; the rest is taken slowly, and dropped."""
    minute, lines = time.monotonic(), 0
    with output:
        while True:
            if time.monotonic() - minute >= _MINUTE:
                minute, lines = time.monotonic(), 0
            line = output.readline(_LONGEST_LINE) if lines < _LINES_A_MINUTE else output.read(_DROPPED)
            if not line:
                return
            lines += 1
            if lines < _LINES_A_MINUTE:
                log.info("a plugin says", plugin=where, text=line.decode(errors="replace").rstrip())
            elif lines == _LINES_A_MINUTE:
                log.warning("a plugin says too much; what it says in this minute is dropped", plugin=where)
            else:
                time.sleep(_BETWEEN_DROPS)


def _end_all(running: list[tuple[subprocess.Popen[bytes], socket.socket]]) -> None:
    for process, connection in running:
        connection.close()
        _kill(process)
