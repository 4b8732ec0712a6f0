"""A sensor's bare connection says as little as keeps it, whatever the broker says."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from simulator import presence, wire
from simulator.presence import Presence, keep_presence
from simulator.publishing import Broker, Message, Publisher
from tests.faults.proxy import FaultProxy
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST
from tests.servers.waiting import until_async

PATIENCE = 20.0  # seconds
CONNACK, PINGRESP = b"\x20\x02\x00\x00", b"\xd0\x00"
TOPIC = "vibration/plant/hall/pump/VB-1/status"
WILL = Message(TOPIC, b"offline", retain=True)


def publisher(port: int) -> Publisher:
    return Publisher(Broker(HOST, port, "3.1.1"), say=lambda _: None)


async def test_a_ping_every_half_keepalive_holds_the_connection(
    mosquitto: Mosquitto, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "KEEPALIVE", 1)
    began = time.monotonic()
    with mosquitto.record(TOPIC) as recording:
        async with keep_presence(publisher(proxy.port), [Presence(WILL)], began):
            await until_async(lambda: proxy.pings >= 6, PATIENCE, "six pings, for which the broker waits 1.5 s at most")
            elapsed, pings = time.monotonic() - began, proxy.pings
    assert pings <= math.ceil(2 * elapsed)
    assert len(proxy.accepted) == 1
    assert recording.messages == []  # the will


class Talkative:
    """A broker that writes to its client all the time."""

    def __init__(self) -> None:
        self.pings: list[float] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        async with await asyncio.start_server(self._serve, HOST) as server:
            yield server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking = asyncio.create_task(self._talk(writer))
        buffer = bytearray()
        while received := await reader.read(4096):
            buffer += received
            self.pings += [time.monotonic() for kind, _ in wire.split(buffer) if kind == wire.PINGREQ[0]]
        talking.cancel()
        writer.close()

    async def _talk(self, writer: asyncio.StreamWriter) -> None:
        writer.write(CONNACK)
        while True:
            await asyncio.sleep(0.01)
            writer.write(PINGRESP)


async def test_what_the_broker_writes_neither_delays_a_ping_nor_calls_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "KEEPALIVE", 1)
    broker = Talkative()
    async with broker.serving() as port:
        began = time.monotonic()
        async with keep_presence(publisher(port), [Presence(WILL)], began):
            await until_async(lambda: len(broker.pings) >= 4, PATIENCE, "four pings")
            pings = len(broker.pings)
            assert pings <= math.ceil(2 * (time.monotonic() - began))
