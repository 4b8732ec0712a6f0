import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from gateway.consumers.live_state import Live
from gateway.web import stream as stream_module
from gateway.web.stream import Stream, Watcher
from tests.plant import alert_entry, alert_of, stored
from tests.servers.waiting import until_async

WAIT = 5.0


class Viewer:
    """The far end of a stream: an ASGI server's part, which can stop reading and can go."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._gone = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.start: Message = {}
        self.text = ""
        self.ended = False

    async def watch(self) -> None:
        headers = [(b"host", b"localhost"), (b"accept-encoding", b"gzip")]
        scope = {"type": "http", "method": "GET", "path": "/api/v1/stream", "headers": headers, "query_string": b""}
        await self._app({**scope, "asgi": {"version": "3.0"}, "http_version": "1.1"}, self._receive, self._send)

    def go(self) -> None:
        self._gone.set()

    def events(self, name: str) -> list[dict[str, Any]]:
        blocks = [dict(line.split(": ", 1) for line in block.split("\n")) for block in self.text.split("\n\n")[:-1]]
        return [json.loads(block["data"]) for block in blocks if block.get("event") == name]

    async def until_event(self, name: str, amount: int = 1) -> dict[str, Any]:
        await until_async(lambda: len(self.events(name)) >= amount, WAIT, f"{amount} {name} events")
        return self.events(name)[amount - 1]

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            return
        await self.reading.wait()
        self.text += message["body"].decode()
        self.ended = not message.get("more_body", False)


@asynccontextmanager
async def watching(app: FastAPI) -> AsyncIterator[Viewer]:
    viewer = Viewer(app)
    task = asyncio.create_task(viewer.watch())
    await until_async(lambda: viewer.start, WAIT, "an answer")
    yield viewer
    viewer.reading.set()
    viewer.go()
    await asyncio.wait_for(task, WAIT)


async def test_a_viewer_gets_everything_then_what_changes(app: FastAPI, live: Live) -> None:
    await live.consume([stored("VB-1"), stored("VB-2")], [])
    async with watching(app) as viewer:
        snapshot = await viewer.until_event("snapshot")
        assert snapshot["gateway"] == "edge-1"
        assert snapshot["topics"] == ["vibration/{site}/{sensor}/reading"]
        assert (snapshot["warningRatio"], snapshot["criticalRatio"]) == (1.6, 2.5)
        assert [sensor[0] for sensor in snapshot["sensors"]] == ["VB-1", "VB-2"]
        assert snapshot["alerts"] == []
        await live.consume([stored("VB-2", 9.0, second=1)], [alert_entry(alert_of("VB-2"))])
        update = await viewer.until_event("update")
        assert [(sensor[0], sensor[2], sensor[1]) for sensor in update["sensors"]] == [("VB-2", 9.0, "warning")]
        assert update["alerts"][0]["reason"].startswith("RMS 8.0")


async def test_the_stream_is_neither_compressed_nor_buffered(app: FastAPI, live: Live) -> None:
    await live.consume([stored(f"VB-{number}") for number in range(50)], [])
    async with watching(app) as viewer:
        await viewer.until_event("snapshot")
        headers = dict(viewer.start["headers"])
        assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
        assert b"content-encoding" not in headers
        assert headers[b"x-accel-buffering"] == b"no"
        assert b"content-security-policy" in headers
        assert viewer.text.startswith("retry: 3000\nevent: snapshot\n")


async def test_changes_within_a_beat_come_as_one(app: FastAPI, live: Live) -> None:
    async with watching(app) as viewer:
        await viewer.until_event("snapshot")
        for second in range(20):
            await live.consume([stored(level=float(second), second=second)], [])
            await asyncio.sleep(0)  # the viewer could send now
        await until_async(lambda: '"VB-1","ok",19.0' in viewer.text, WAIT, "the newest level")
        assert len(viewer.events("update")) <= 3


async def test_who_does_not_read_gets_the_newest_state_later(app: FastAPI, live: Live) -> None:
    async with watching(app) as slow, watching(app) as fast:
        await slow.until_event("snapshot")
        await fast.until_event("snapshot")
        slow.reading.clear()
        for second in range(1, 4):
            await live.consume([stored(level=float(second), second=second)], [])
            await fast.until_event("update", second)
        slow.reading.set()
        await until_async(
            lambda: slow.events("update")[-1:] and slow.events("update")[-1]["sensors"][0][2] == 3.0,
            WAIT,
            "the newest",
        )
        assert len(slow.events("update")) <= 2


async def test_viewers_with_the_same_version_share_the_work(
    app: FastAPI, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    changes = live.changes

    def counted(since: int) -> dict[str, Any]:
        made.append(since)
        return changes(since)

    monkeypatch.setattr(live, "changes", counted)
    async with watching(app) as one, watching(app) as two, watching(app) as three:
        for viewer in (one, two, three):
            await viewer.until_event("snapshot")
        await live.consume([stored()], [])
        for viewer in (one, two, three):
            await viewer.until_event("update")
    assert made == [0, 1]


async def test_nothing_is_made_when_nobody_watches(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "changes", None)
    await live.consume([stored()], [alert_entry(alert_of())])
    assert live.version == 2


async def test_a_quiet_stream_says_that_it_is_alive(app: FastAPI) -> None:
    async with watching(app) as viewer:
        await until_async(lambda: viewer.text.count(": ping\nevent: ping\ndata: ping\n\n") >= 2, WAIT, "two pings")
        assert len(viewer.events("snapshot")) == 1


async def test_one_viewer_too_many_is_told_when_to_come_back(
    app: FastAPI, client: httpx.AsyncClient, stream: Stream
) -> None:
    async with watching(app), watching(app):
        async with watching(app):
            refused = await asyncio.wait_for(client.get("/api/v1/stream"), WAIT)
            assert refused.status_code == 503
            assert refused.headers["Retry-After"] == "30"
            assert "3 viewers" in refused.json()["detail"]
        async with watching(app) as viewer:
            await viewer.until_event("snapshot")
    assert stream.viewers == 0


async def test_one_address_does_not_watch_in_every_place(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "MOST_OF_ONE", 2)
    refused: list[str] = []
    stream = Stream(live, {}, refused=refused.append)

    def watch(host: str) -> asyncio.Task[list[int]]:
        return asyncio.create_task(followed(stream, host))

    watchers = [watch(host) for host in ("192.0.2.7", "192.0.2.7", "192.0.2.8", "127.0.0.1", "127.0.0.1", "127.0.0.1")]
    await until_async(lambda: stream.viewers == len(watchers), WAIT, "every viewer")
    assert await watch("192.0.2.7") == [503]
    assert refused == ["viewers"]
    stream.close()
    assert await asyncio.gather(*watchers) == [[200]] * len(watchers)
    assert not stream._of  # noqa: SLF001 - nobody is remembered


async def followed(stream: Stream, host: str) -> list[int]:
    """Watch until the stream ends; return the status."""
    found: list[int] = []

    async def send(message: Message) -> None:
        found.extend([message["status"]] if message["type"] == "http.response.start" else [])

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {}

    await stream.serve({"type": "http", "client": (host, 5)}, receive, send, Watcher())
    return found


async def test_closing_ends_every_stream(app: FastAPI, stream: Stream) -> None:
    async with watching(app) as one, watching(app) as two:
        await one.until_event("snapshot")
        await two.until_event("snapshot")
        stream.close()
        await until_async(lambda: one.ended and two.ended, WAIT, "the ends")


async def test_an_error_while_sending_is_not_swallowed(
    app: FastAPI, live: Live, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_since: int) -> dict[str, Any]:
        raise RuntimeError("broken")

    monkeypatch.setattr(live, "changes", broken)
    with pytest.raises(RuntimeError, match="broken"):
        await asyncio.wait_for(Viewer(app).watch(), WAIT)
    assert stream.viewers == 0


async def test_hostile_text_stays_inside_its_event(app: FastAPI, live: Live) -> None:
    name = "</script>\r\n\r\nevent: update\ndata: {}\n\n\u2028"
    await live.consume([stored(name)], [])
    async with watching(app) as viewer:
        snapshot = await viewer.until_event("snapshot")
        assert snapshot["sensors"][0][0] == name
        assert viewer.events("update") == []
