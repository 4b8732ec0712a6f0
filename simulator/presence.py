"""One bare connection for each sensor that holds its last will: when it is lost, the broker publishes `offline`.

MQTT gives a connection one will. So the readings of all sensors share one connection, and each sensor's will has one.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from simulator import wire
from simulator.publishing import Broker, Message, Publisher

KEEPALIVE = 30  # s
RETRY = 2.0  # s
ANSWER_WITHIN = 5.0  # s


@dataclass(frozen=True, slots=True)
class Presence:
    """What the broker says when the connection is lost, and what the sensor says when it is back after an accident.

    `losses` are when it loses its connection: from and until, in real seconds since the start.
    """

    will: Message
    back: tuple[Message, ...] = ()
    losses: tuple[tuple[float, float], ...] = ()


@asynccontextmanager
async def keep_presence(publisher: Publisher, present: Iterable[Presence], began: float) -> AsyncIterator[None]:
    """Hold the connections while the body runs, and end them in order: then no will is published."""
    tasks = [asyncio.create_task(_keep(publisher, each, began)) for each in present]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep(publisher: Publisher, presence: Presence, began: float) -> None:
    """Connect, again and again; after an accident, say with the next connection that the sensor is back."""
    losses, lost = list(presence.losses), False
    while True:
        until = began + losses[0][0] if losses else None
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, wire.ProtocolError):
            if await _present(publisher, presence.will, presence.back if lost else (), until):
                await asyncio.sleep(began + losses.pop(0)[1] - time.monotonic())
                lost = False
                continue
        lost = True
        await asyncio.sleep(RETRY)


async def _present(publisher: Publisher, will: Message, back: Iterable[Message], until: float | None) -> bool:
    """Hold one connection until a moment of the monotonic clock; True if that has come, and it was cut."""
    reader, writer = await _connected(publisher.broker, will)
    try:
        for message in back:
            await publisher.put(message)
        if not await _ping_until(until, reader, writer):
            return False
        writer.transport.abort()
    except asyncio.CancelledError:
        writer.write(wire.DISCONNECT)
        raise
    finally:
        writer.close()
    return True


async def _ping_until(until: float | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Ping every half keepalive until a moment of the monotonic clock; False if the connection ends before it.

    The broker misses us by what we write, whatever it writes itself: what comes neither calls for a ping nor delays it.
    """
    ping = time.monotonic() + KEEPALIVE / 2
    while until is None or time.monotonic() < until:
        with suppress(TimeoutError):
            async with asyncio.timeout((ping if until is None else min(ping, until)) - time.monotonic()):
                if not await reader.read(4096):
                    return False
        if time.monotonic() >= ping:
            writer.write(wire.PINGREQ)
            ping = time.monotonic() + KEEPALIVE / 2
    return True


async def _connected(broker: Broker, will: Message) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect with the will; ProtocolError if the broker refuses."""
    name = f"vibration-presence-{secrets.token_hex(6)}"
    packet = wire.connect(name, broker.protocol, broker.username, broker.password, will, KEEPALIVE)
    async with asyncio.timeout(ANSWER_WITHIN):
        reader, writer = await asyncio.open_connection(broker.host, broker.port, ssl=broker.tls())
        try:
            writer.write(packet)
            head = await reader.readexactly(2)
            wire.receive_maximum(await reader.readexactly(head[1]), broker.protocol)
        except BaseException:
            writer.transport.abort()
            raise
    return reader, writer
