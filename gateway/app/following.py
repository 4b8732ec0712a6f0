"""The followers' process: InfluxDB, notifier and handlers, page, announcements, heartbeat, beside ingest's."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from typing import Any

import structlog

from gateway.app.followers import Ingest, start_followers
from gateway.app.gauges import LostLines, look_after_lines
from gateway.app.link import Begun, Failed, Job, framed
from gateway.app.own_alerts import OwnAlerts
from gateway.app.remote import RemoteIngest
from gateway.app.tasks import Tasks
from gateway.errors import GatewayError, JournalError
from gateway.journal import FILE_NAME, QueryPool, Stream
from gateway.plugins.registry import build_plugins
from gateway.telemetry.log_writer import standard_error
from gateway.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_LOG = "log of the followers"


async def follow(job: Job, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Follow the journal until told to stop. What ends it otherwise is said to ingest."""
    metrics = Metrics()
    metrics.beside({})
    path = job.config.gateway.state_dir / FILE_NAME
    ingest = RemoteIngest(path, job.last, job.last_fact, writer, metrics)
    listening = asyncio.ensure_future(ingest.listen(reader))
    listening.add_done_callback(_ended_with_ingest)
    living = asyncio.ensure_future(ingest.live())
    following = asyncio.ensure_future(_follow(job, ingest, writer, metrics))
    stopping = asyncio.ensure_future(ingest.stopping.wait())
    await asyncio.wait([following, stopping], return_when=asyncio.FIRST_COMPLETED)
    following.cancel()
    (error,) = await asyncio.gather(following, return_exceptions=True)
    if isinstance(error, Exception):
        reason = str(error) if isinstance(error, GatewayError) else f"{type(error).__name__}: see the log"
        writer.write(framed(Failed(reason, isinstance(error, JournalError))))
    listening.remove_done_callback(_ended_with_ingest)
    for each in (listening, living, stopping):
        each.cancel()
    writer.close()
    await writer.wait_closed()


def _ended_with_ingest(listening: asyncio.Future[None]) -> None:
    """End at once: who could be asked is gone, and who comes after him starts a process of his own."""
    if not listening.cancelled():
        if not isinstance(error := listening.exception(), EOFError):
            log.error("what the other process says is not understood", exc_info=error)
        os._exit(1)


async def _follow(job: Job, ingest: RemoteIngest, writer: asyncio.StreamWriter, metrics: Metrics) -> None:
    async with AsyncExitStack() as stack:
        plugins = build_plugins(job.config.model_copy(update={"inputs": ()}))  # those are ingest's
        stack.callback(plugins.end)
        path = job.config.gateway.state_dir / FILE_NAME
        stream = Stream(ingest, path)
        stack.callback(stream.close)
        ingest.announce = stream.announce
        questions = QueryPool(path)
        stack.callback(questions.close)
        listener: Any = None if job.listener is None else socket.socket(fileno=job.listener)
        tasks = await stack.enter_async_context(Tasks())
        port = Ingest(ingest, stream, ingest, ingest)
        await start_followers(job.config, plugins, port, metrics, questions, listener, tasks)
        report = OwnAlerts(ingest, stream).report
        lines = LostLines(lambda: standard_error().dropped, metrics, report, _LOG)
        tasks.start("lost lines", look_after_lines(lines))
        writer.write(framed(Begun()))
        await tasks.failure()
