"""What a start leaves behind that fails, and what does not make one fail."""

import asyncio
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import run as app
from gateway.config import Config, load
from gateway.consumers import cursor as following
from gateway.errors import JournalUnavailableError
from gateway.journal import FILE_NAME, Outbox, Reader
from gateway.journal.maintenance import retention as upkeep
from tests.programs import to_toml
from tests.servers.ports import HOST, free_port
from tests.servers.waiting import until_async


@asynccontextmanager
async def started(loaded: Config) -> AsyncIterator[asyncio.Future[None]]:
    """Run a gateway for the length of the block, once it has started."""
    ready = asyncio.Event()
    running = asyncio.ensure_future(app.run(loaded, lambda _: ready.set()))
    try:
        await until_async(lambda: running.done() or ready.is_set(), 20, "the gateway to start")
        yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_start_that_fails_gives_the_port_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> int:
        raise JournalUnavailableError("the journal cannot be written: database or disk is full")

    monkeypatch.setattr(Outbox, "take_up", fail)
    port = free_port()
    with pytest.raises(JournalUnavailableError) as caught:
        await app.run(config(tmp_path, port))
    with socket.create_server((HOST, port)):  # while the error, and with it everything it passed, is still held
        assert caught.value.retry


async def test_first_reads_that_fail_for_now_are_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_FIRST_PAUSE", 0.001)
    for name in ("alerts", "sensors", "last_readings", "cursors"):
        monkeypatch.setattr(Reader, name, failing_at_first(getattr(Reader, name)))
    port = free_port()
    async with started(config(tmp_path, port)) as running:
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"http://{HOST}:{port}/-/healthy", timeout=20)).status_code == 200
        await until_async(lambda: running.done() or follows(tmp_path, "otel"), 20, "traces to be exported")
        assert not running.done(), running.exception()


async def test_the_disk_is_looked_at_before_anything_comes_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def later(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(upkeep.Upkeep, "run", later)
    monkeypatch.setattr(upkeep, "disk_free", lambda _: 0)
    port = free_port()
    async with started(config(tmp_path, port)), httpx.AsyncClient(trust_env=False) as client:
        assert "retention.reserve" in (await client.get(f"http://{HOST}:{port}/-/ready", timeout=20)).text


def config(folder: Path, port: int) -> Config:
    path = folder / "gateway.toml"
    tables = {
        "gateway": {"id": "edge-1", "state_dir": str(folder / "state")},
        "mqtt": {"topics": ["vibration/{sensor}/reading"], "port": free_port()},
        "http": {"host": HOST, "port": port},
        "otel": {"endpoint": f"http://{HOST}:{free_port()}"},
    }
    path.write_text(to_toml(tables))
    return load(path, {})


def failing_at_first(function: Callable[..., Any]) -> Callable[..., Any]:
    attempts = count()

    def fail(*arguments: object, **more: object) -> Any:
        if next(attempts) < 10:
            raise sqlite3.OperationalError("disk I/O error")
        return function(*arguments, **more)

    return fail


def follows(folder: Path, consumer: str) -> bool:
    with closing(sqlite3.connect(folder / "state" / FILE_NAME)) as db:
        return db.execute("SELECT 1 FROM cursors WHERE consumer = ?", (consumer,)).fetchone() is not None
