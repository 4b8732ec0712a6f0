"""What the followers' process runs; `run` starts it, nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pickle
import signal
import socket

from gateway.app.following import follow
from gateway.app.link import Job, received
from gateway.cli import logs
from gateway.cli.run import SETTLING, share_memory, spare_what_stays

_PR_SET_PDEATHSIG = 1


def main(descriptor: int, parent: int) -> None:
    """Follow the journal for the process `parent`, which is on the other end of a socket, and end with it.

    Signals are that process's business: it says when to stop.
    """
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):  # where it is not Linux, the end of the socket says it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    share_memory()
    asyncio.run(_run(descriptor))


async def _run(descriptor: int) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor))
    job = pickle.loads(await received(reader))  # noqa: S301 - our own process's, over a socket that nobody else has
    assert isinstance(job, Job)  # noqa: S101 - as above
    logs.set_up(job.config.secrets, job.log_level)
    asyncio.get_running_loop().call_later(SETTLING, spare_what_stays)
    await follow(job, reader, writer)
