"""The followers' process as ingest sees it: started, served, watched, and started again when it ends or hangs.

Nothing is lost with it: what it has done is in the journal, and what it was doing is taken up by the next one.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from gateway.app.followers import Ingest
from gateway.app.link import (
    EVERY,
    HUNG,
    UP,
    Answered,
    Asked,
    Begun,
    Expect,
    Failed,
    Job,
    News,
    Publish,
    State,
    Stop,
    command_of,
    failure_of,
    framed,
    received,
)
from gateway.config import Config
from gateway.errors import GatewayError, JournalError
from gateway.journal import Journal
from gateway.journal.maintenance.retention import Report
from gateway.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

SUBJECT = "followers"
"""What the alert is about that the process has ended."""

STOP_WITHIN, _END_WITHIN = 4.0, 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_LASTING = 60.0
"""Seconds after which a process counts as a success."""

_MOST_WAITING = 256 * 1024
"""Bytes that wait for a process that does not read; what comes later is said by the next sign of life."""

_BOOT = "from gateway.cli.followers import main; import sys; main(int(sys.argv[1]), int(sys.argv[2]))"


class Supervisor:
    """Keeps the followers' process. `begun` is set once one has taken up its work."""

    def __init__(
        self, job: Callable[[], Job], journal: Journal, ingest: Ingest, metrics: Metrics, report: Report
    ) -> None:
        self.begun = asyncio.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self._job, self._journal, self._ingest = job, journal, ingest
        self._metrics, self._report = metrics, report
        self._working = set[asyncio.Future[None]]()
        self._failed: Failed | None = None

    async def run(self) -> None:
        """Keep it for ever. Raises GatewayError if it cannot be started, JournalError for a damaged journal."""
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            how = await self._one()
            if self._failed is not None and self._failed.is_final:
                raise JournalError(self._failed.reason)
            if not self.begun.is_set():
                raise GatewayError(
                    self._failed.reason if self._failed else f"the followers' process {how} at its start"
                )
            if time.monotonic() - began > _LASTING:
                pause = _FIRST_PAUSE
            problem = f"the process of the page and of all who are told and written to {how}; it is started again"
            log.error(problem, again_in=pause)
            self._metrics.follower_restarts.inc()
            await self._report(SUBJECT, problem)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _one(self) -> str:
        """Start one and serve it until it ends; return how it did."""
        job, self._failed = self._job(), None
        ours, theirs = socket.socketpair()
        given = [theirs.fileno(), *([] if job.listener is None else [job.listener])]
        words = [sys.executable, "-c", _BOOT, str(theirs.fileno()), str(os.getpid())]
        self.process = process = subprocess.Popen(  # noqa: ASYNC220 - short, and our own words
            words, stdin=subprocess.DEVNULL, pass_fds=given, start_new_session=True
        )
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(framed(pickle.dumps(job)))
        serving = asyncio.ensure_future(self.serve(reader, writer))
        telling = asyncio.ensure_future(self.tell(writer, job.last))
        try:
            await asyncio.wait([serving])
        except asyncio.CancelledError:
            writer.write(framed(Stop()))
            await asyncio.wait([serving], timeout=STOP_WITHIN)
            raise
        finally:
            ending: list[asyncio.Future[Any]] = [serving, telling, *self._working]
            for each in ending:
                each.cancel()  # what the journal has begun is done before what the next process asks
            await asyncio.gather(*ending, return_exceptions=True)
            writer.close()
            code = await _ended(process)
        return "hangs, and was ended" if serving.cancelled() or serving.result() else _how(code)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Do what it asks for until it ends, which is False, or hangs, which is True."""
        frame = asyncio.ensure_future(received(reader))
        silent = 0
        try:
            while True:
                done, _ = await asyncio.wait([frame], timeout=HUNG / 2)
                silent = 0 if done else silent + 1  # the first may be our own doing: we were stopped, or slept
                if silent > 1:
                    return True
                if done:
                    self._take(frame.result(), writer)
                    frame = asyncio.ensure_future(received(reader))
        except (EOFError, msgspec.MsgspecError):
            return False
        finally:
            frame.cancel()

    def _take(self, content: bytes, writer: asyncio.StreamWriter) -> None:
        match UP(content):
            case Asked(number, command):
                self._work(self._answer(number, self._executed(command), writer))
            case Publish(number, topic, payload, traceparent, may_go):
                publishing = self._ingest.publisher.publish(topic, payload, traceparent, may_go=may_go)
                self._work(self._answer(number, publishing, writer))
            case Expect(topic, payload, may_go):
                self._ingest.publisher.expect(topic, payload, may_go=may_go)
            case Begun():
                self.begun.set()
                self._work(self._report(SUBJECT, None))
            case Failed() as failed:
                self._failed = failed
            case _:
                pass

    def _work(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _executed(self, command: bytes) -> Any:
        try:
            return await self._journal.ask(command_of(command))
        finally:
            self._ingest.stream.announce()

    async def _answer(self, number: int, work: Awaitable[Any], writer: asyncio.StreamWriter) -> None:
        value, failure = b"", None
        try:
            value = msgspec.msgpack.encode(await work)
        except Exception as error:  # whatever it is, the one who asked is to hear of it
            failure = failure_of(error)
            if failure.name == "GatewayError":
                log.exception("what a follower asked for has failed")
        last, last_fact = self._journal.next_seq - 1, self._journal.last_fact
        _send(writer, framed(Answered(number, value, failure, last, last_fact)))

    async def tell(self, writer: asyncio.StreamWriter, last: int) -> None:
        """Wake it for what is new, and say how ingest is."""
        stream, loop = self._ingest.stream, asyncio.get_running_loop()
        due = 0.0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await stream.wait(last)
            if writer.transport.get_write_buffer_size() < _MOST_WAITING:
                if loop.time() >= due:
                    _send(writer, framed(self._state()))
                _send(writer, framed(News(stream.last_seq, self._journal.last_fact)))
            last = stream.last_seq
            if loop.time() >= due:
                due = loop.time() + EVERY

    def _state(self) -> State:
        condition = self._ingest.condition
        return State(condition.reasons(), list(condition.broker_problems), self._metrics.families())


def job_of(config: Config, journal: Journal, ingest: Ingest, listener: socket.socket | None, log_level: str) -> Job:
    """Return what a process begins with that is started now. `listener` is the page's socket."""
    descriptor = None if listener is None else listener.fileno()
    return Job(config, log_level, descriptor, ingest.stream.last_seq, journal.last_fact)


def _send(writer: asyncio.StreamWriter, content: bytes) -> None:
    if not writer.is_closing():
        writer.write(content)


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """Return how it has ended; it has closed its socket, so whatever is left of it may be killed."""
    try:
        return await asyncio.to_thread(process.wait, _END_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        return await asyncio.to_thread(process.wait)


def _how(code: int) -> str:
    return f"has ended by signal {signal.Signals(-code).name}" if code < 0 else f"has ended with exit code {code}"
