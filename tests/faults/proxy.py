"""A TCP proxy that fails on purpose, while it runs, in the ways that networks and brokers do."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from tests.servers.closing import stop_accepting
from tests.servers.ports import HOST, free_port

CHUNK = 65536
CONNACK = 0x20
PINGREQ = b"\xc0\x00"


class FaultProxy:
    """Passes connections to `target` on; `accepted` holds the time (monotonic) of each one that was made.

    `pings` counts the PINGREQs of clients for MQTT.

    Set at any time, for connections there are and to come:
    `delay`: seconds by which each piece of data is late, in both directions;
    `black_hole`: take everything and pass nothing on.
    For connections to come:
    `truncate_after`: cut after so many bytes from the server;
    `close_after_connack`: cut after the server's first packet, which in MQTT is the CONNACK.
    """

    host = HOST

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self.target = target
        self.delay = 0.0
        self.black_hole = False
        self.truncate_after: int | None = None
        self.close_after_connack = False
        self.accepted: list[float] = []
        self.pings = 0
        self._clients: set[asyncio.StreamWriter] = set()
        self._servers: set[asyncio.StreamWriter] = set()
        self._ended: set[asyncio.StreamWriter] = set()
        self._conversations: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._run(started)], daemon=True)
        self._thread.start()
        assert started.wait(10), "the proxy did not start"

    def stop(self) -> None:
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    def cut(self) -> None:
        """Reset every connection."""
        self._do(self._abort)

    def half_close(self) -> None:
        """Tell every client that the server will send no more, and go on passing on what the client sends."""
        self._do(self._end_all)

    def refuse(self) -> None:
        """Refuse new connections and reset those there are."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)

    def accept(self) -> None:
        """Take connections again."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def _end_all(self) -> None:
        self._ended |= self._clients
        for writer in self._clients:
            writer.write_eof()

    def _do(self, action: Callable[[], object]) -> None:
        done = threading.Event()

        def act() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(10), "the proxy hangs"

    async def _run(self, started: threading.Event) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        await self._listen()
        started.set()
        await self._stopping.wait()
        await self._close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def _close(self) -> None:
        if self._server is not None:
            await stop_accepting(self._server)
            self._server = None
        self._abort()
        for task in self._conversations:
            task.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    def _abort(self) -> None:
        for writer in self._clients | self._servers:
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted.append(time.monotonic())
        self._clients.add(writer)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._conversations.add(task)
        task.add_done_callback(self._conversations.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self.black_hole:
                await self._pass_on(reader, writer)
            else:
                await self._connect(reader, writer)
        except (OSError, EOFError):
            pass  # one end is gone, so the other is to go
        finally:
            self._drop(writer)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(HOST, self.target)
        self._servers.add(server_writer)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, server_writer))
                both.create_task(self._pass_back(server_reader, writer))
        except* (OSError, EOFError):
            pass  # as above
        finally:
            self._drop(server_writer)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        for known in (self._clients, self._servers, self._ended):
            known.discard(writer)

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what the server says, up to the limit that there may be."""
        limit = self.truncate_after
        if self.close_after_connack:
            head = await reader.readexactly(2)  # its kind, and its length: that of a CONNACK fits into one byte
            assert head[0] == CONNACK
            writer.write(head + await reader.readexactly(head[1]))
            limit = 0
        await self._pass_on(reader, writer, limit)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None = None
    ) -> None:
        """Pass data on until its source has no more; after `limit` bytes say that there are none."""
        while limit is None or limit > 0:
            data = await reader.read(CHUNK if limit is None else min(CHUNK, limit))
            if not data:
                with suppress(OSError):
                    writer.write_eof()
                return
            self.pings += data == PINGREQ  # of a client that has nothing else to say
            if limit is not None:
                limit -= len(data)
            if self.delay:
                await asyncio.sleep(self.delay)
            if not self.black_hole and writer not in self._ended:
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.write_eof()  # what comes on a closed connection takes along what the other end has not read yet
