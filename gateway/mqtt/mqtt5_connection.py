"""One connection for MQTT 5: bytes to packets and back, keep-alive, and why it ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import cast

import mqtt5
from mqtt5 import (
    ConnAckPacket,
    ConnectPacket,
    DisconnectPacket,
    DisconnectReasonCode,
    PingReqPacket,
    PublishPacket,
    SubAckPacket,
    SubscribePacket,
)

from gateway.domain.inputs.traceparent import of_properties
from gateway.domain.model.events import Message
from gateway.mqtt.mqtt5_lenient import (
    HEAD,
    LARGEST_PACKET,
    MalformedError,
    packet_length,
    read_beginning,
    read_publish,
    reason_of,
)

_GOODBYE = 1.0  # seconds that a connection may take to close
_SECOND_NS = 1_000_000_000
_APART_NS = 1000
"""Between two messages: with equal ones that have no time of their own, each is a reading by when it came, in µs."""


class ConnectionEndedError(Exception):
    """The connection has ended; its text says why."""


class Connection(asyncio.Protocol):
    """A connection. Messages are handed to `received`: those of one read at once, with the bytes they took up.

    `ended` raises ConnectionEndedError when it ends; `taken_over`: because another connection has our client id.
    """

    def __init__(self, generation: int, received: Callable[[list[Message], int], None]) -> None:
        self._generation = generation
        self._received = received
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._connack: asyncio.Future[ConnAckPacket] = self._loop.create_future()
        self._suback: asyncio.Future[SubAckPacket] = self._loop.create_future()
        self._closed = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self.taken_over = False
        self._reason = ""
        self._buffer = bytearray()
        self._needed = 0
        self._skipping = 0
        self._newest_ns = 0
        self._paused = False
        self._keepalive = 0
        self._heard_at = self._sent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def connect(self, packet: ConnectPacket) -> ConnAckPacket:
        """Take up the session; the answer may be a refusal. Raises ConnectionEndedError."""
        self.send(packet.write())
        answer = await self._connack
        self._keepalive = packet.keep_alive if answer.server_keep_alive is None else answer.server_keep_alive
        self._watch()
        return answer

    async def subscribe(self, packet: SubscribePacket) -> SubAckPacket:
        """Subscribe; each filter may be refused. Raises ConnectionEndedError."""
        self.send(packet.write())
        return await self._suback

    def send(self, data: bytes) -> None:
        """Write; what cannot be sent any more is dropped."""
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
            self._sent_at = self._loop.time()

    @property
    def is_paused(self) -> bool:
        """Whether nothing is read for now."""
        return self._paused

    def pause(self) -> None:
        """Read no more for now: the broker keeps what does not fit into the system's buffers."""
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and self._paused:
            self._paused = False
            self._heard_at = self._loop.time()
            self._transport.resume_reading()

    async def close(self) -> None:
        """Say goodbye and let the broker close the connection; it keeps the session.

        A connection that we close ourselves takes acknowledgements along that Mosquitto has not looked at yet.
        """
        if self._transport is None or self._closed.is_set():
            return
        self.send(DisconnectPacket().write())
        self.resume()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await self._closed.wait()
        finally:
            self._transport.abort()  # if it is still open
        await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)
        self._heard_at = self._sent_at = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who waits."""
        self._closed.set()
        if self._timer is not None:
            self._timer.cancel()
        reason = self._reason or (str(exc) if exc else "the broker closed it")
        for future in (self.ended, self._connack, self._suback):
            if not future.done():
                future.set_exception(ConnectionEndedError(reason))
                future.exception()  # seen: not everybody waits for all three

    def data_received(self, data: bytes) -> None:
        """Take every whole packet out of what has come."""
        self._heard_at = self._loop.time()
        try:
            self._take_in(data)
        except MalformedError as error:
            self._give_up(f"the broker has sent what is not MQTT 5: {error}", DisconnectReasonCode.MALFORMED_PACKET)

    def _take_in(self, data: bytes) -> None:
        if self._skipping:
            data = self._skip(data)
        self._buffer += data
        if self._skipping or len(self._buffer) < self._needed:
            return  # a large packet is not looked at again and again while it comes
        messages, used = self._read()
        del self._buffer[:used]
        if self._needed > LARGEST_PACKET:
            self._skipping = self._needed - len(self._buffer)
        if messages:
            self._received(messages, used)

    def _skip(self, data: bytes) -> bytes:
        """Let the rest of a packet go by that is too large; of what follows it return the beginning.

        Its first bytes stay in the buffer until it is through, and are then handed on.
        """
        gone, rest = data[: self._skipping], data[self._skipping :]
        self._buffer += gone[: max(0, HEAD - len(self._buffer))]
        self._skipping -= len(gone)
        if not self._skipping:
            head, size = bytes(self._buffer[:HEAD]), self._needed
            self._buffer.clear()
            self._needed = 0
            self._received([read_beginning(head, size, time.time_ns(), self._generation)], len(head))
        return rest

    def _read(self) -> tuple[list[Message], int]:
        """Return the messages in the buffer, and the bytes up to the first packet that is not whole."""
        read, received_ns, generation = mqtt5.read, self._now_ns(), self._generation
        messages: list[Message] = []
        self._needed = 0
        position, end = 0, len(self._buffer)
        with memoryview(self._buffer) as view:
            while position < end:
                received_ns += _APART_NS
                try:
                    packet, size = read(view[position:])
                except BaseException as error:  # noqa: BLE001 - a panic of the codec's is no Exception
                    reason = reason_of(error)
                    size = packet_length(view[position:])
                    if position + size > end:
                        self._needed = size
                        break
                    whole = bytes(view[position : position + size])
                    messages.append(read_publish(whole, reason, received_ns, generation))
                else:
                    if isinstance(packet, PublishPacket):
                        messages.append(
                            Message(
                                packet.topic,
                                packet.payload,
                                received_ns,
                                packet.packet_id or 0,
                                packet.duplicate,
                                packet.retain,
                                generation,
                                of_properties(properties) if (properties := packet.user_properties) else "",
                            )
                        )
                    else:
                        self._take(packet)
                position += size
        self._newest_ns = received_ns
        return messages, position

    def _now_ns(self) -> int:
        """Return the time, or that of the newest message if that is a little later."""
        now_ns, newest_ns = time.time_ns(), self._newest_ns
        return newest_ns if now_ns < newest_ns < now_ns + _SECOND_NS else now_ns

    def _take(self, packet: mqtt5.Packet) -> None:
        """Take a packet that is no message."""
        if isinstance(packet, ConnAckPacket) and not self._connack.done():
            self._connack.set_result(packet)
        elif isinstance(packet, SubAckPacket) and not self._suback.done():
            self._suback.set_result(packet)
        elif isinstance(packet, DisconnectPacket):
            self._reason = in_words(packet.reason_code)
            self.taken_over = packet.reason_code is DisconnectReasonCode.SESSION_TAKEN_OVER
            if self._transport is not None:
                self._transport.close()

    def _watch(self) -> None:
        """Ping when it is quiet; give up when nothing has come for one and a half times the keep-alive."""
        if not self._keepalive or self._closed.is_set():
            return
        now = self._loop.time()
        if self._paused:
            self._heard_at = now  # it is we who do not listen
        if now - self._heard_at >= 1.5 * self._keepalive:
            self._give_up("Keep alive timeout", DisconnectReasonCode.KEEP_ALIVE_TIMEOUT)
            return
        if now - min(self._sent_at, self._heard_at) >= self._keepalive / 2:
            self.send(PingReqPacket().write())
        self._timer = self._loop.call_later(self._keepalive / 4, self._watch)

    def _give_up(self, reason: str, code: DisconnectReasonCode) -> None:
        self._reason = reason
        self.send(DisconnectPacket(reason_code=code).write())
        if self._transport is not None:
            self._transport.abort()


def in_words(code: IntEnum) -> str:
    """Return a reason code as a person would write it: "Not authorized"."""
    return code.name.replace("_", " ").capitalize()
