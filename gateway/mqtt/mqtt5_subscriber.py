"""The subscriber for MQTT 5: the mqtt5 package reads the packets, asyncio the socket.

Whatever has come at once is handed on at once, and a batch is acknowledged by one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import structlog
from mqtt5 import (
    ConnAckReasonCode,
    ConnectPacket,
    PubAckPacket,
    QoS,
    SubscribePacket,
    TopicFilter,
    UnsubscribePacket,
)

from gateway.config import MqttSection
from gateway.domain.model.events import Message
from gateway.mqtt.connection import Pauses, Problems, password_of, refused, tls_of, where, why_unreachable
from gateway.mqtt.inbox import Inbox
from gateway.mqtt.incidents import Incidents
from gateway.mqtt.losses import Session
from gateway.mqtt.mqtt5_connection import Connection, ConnectionEndedError, in_words
from gateway.mqtt.window import Window

log = structlog.get_logger(__name__)

_PATIENCE = 10.0
"""Seconds that a connection may take, with TLS handshake and the broker's answer."""
_SECOND_NS = 1_000_000_000
_UNSUBSCRIBE_ID, _SUBSCRIBE_ID = 1, 2
_FAILED = 0x80  # reason codes from here on are refusals


class Mqtt5Subscriber:
    """A subscriber for MQTT 5. An async context manager: connected, or connecting again, while inside.

    `obsolete` are filters of an earlier start, which the broker's session still has. `subscribed` is set once all is as
    it should be.
    """

    def __init__(
        self,
        section: MqttSection,
        client_id: str,
        filters: Sequence[str],
        obsolete: Sequence[str] = (),
        session: Session | None = None,
    ) -> None:
        self.subscribed = asyncio.Event()
        self._section = section
        self._client_id = client_id
        self._session = session or Session(client_id, Incidents())
        self._filters = list(filters)
        self._obsolete = list(obsolete)
        self._inbox = Inbox()
        self._arrived = asyncio.Event()
        self._arrived_at = 0.0
        self._window = Window(section.receive_maximum)
        self._next_batch_at = 0.0
        self._problems = Problems()
        self._pauses = Pauses()
        self._generation = 0
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def problems(self) -> list[str]:
        """Why nothing can arrive right now; empty while connected and subscribed."""
        return self._problems.all()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._stay_connected(), name="mqtt subscriber")
        self._task.add_done_callback(lambda _: self._arrived.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def most_under_way(self) -> int:
        """How many messages the broker may send before it waits for us, unless it has a limit of its own."""
        return self._section.receive_maximum

    async def batch(self) -> list[Message]:
        """Wait for messages and return what has come since the last call, in order; of very much, the oldest."""
        while not self._inbox:
            if self._task is not None and self._task.done():
                self._task.result()  # it runs for ever, so this raises what has ended it
            self._arrived.clear()
            await self._arrived.wait()
        loop = asyncio.get_running_loop()
        early = self._next_batch_at - loop.time()
        listened = self._connection is not None and not self._connection.is_paused
        await asyncio.sleep(early)
        messages = self._inbox.take()
        quiet = listened and not self._inbox and 0 < early < 2 * (loop.time() - self._arrived_at)
        self._window.take(len(messages), ended_in_silence=quiet)  # nothing came in the last half of the wait
        self._next_batch_at = loop.time() + self._window.pace
        if self._connection is not None:
            if early > 0:  # who is ahead reads what comes meanwhile at once, instead of packet by packet
                self._connection.pause()
                loop.call_at(self._next_batch_at, self._read_on, self._connection)
            else:
                self._read_on(self._connection)
        return messages

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these need not be sent again; those of an earlier connection it sends again anyway."""
        if self._connection is None:
            return
        now = self._generation
        ids = [message.packet_id for message in messages if message.generation == now and message.packet_id]
        self._connection.send(b"".join([PubAckPacket(packet_id).write() for packet_id in ids]))

    async def _stay_connected(self) -> None:
        while True:
            try:
                await self._connect_once()
            except ConnectionEndedError as error:
                self._pauses.ended()
                self._session.ended()
                self._say_ended(str(error))
            else:
                self._pauses.ended()
            await asyncio.sleep(self._pauses.seconds)

    async def _connect_once(self) -> None:
        """Connect, subscribe, and stay until the connection ends. Raises ConnectionEndedError if it had begun."""
        self._generation += 1
        self._window = Window(self._section.receive_maximum)
        connection = self._connection = Connection(self._generation, self._take_in)
        try:
            if await self._open(connection) and await self._log_in(connection):
                await self._subscribe(connection)
                await connection.ended
        finally:
            if connection.taken_over:
                self._session.taken()
            self._connection = None  # what is acknowledged from now on is nobody's
            await connection.close()

    async def _open(self, connection: Connection) -> bool:
        """Connect; say why if it is not possible."""
        section = self._section
        try:
            tls = tls_of(section.tls) if section.tls else None  # its files may be others by now
            async with asyncio.timeout(_PATIENCE):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, section.host, section.port, ssl=tls
                )
        except OSError:  # a timeout is one
            beginning = where(section)
            if not self._problems.of("connection").startswith(beginning):
                reason = await asyncio.to_thread(why_unreachable, section)
                self._problems.say("connection", f"{beginning} ({reason}); trying again")
            return False
        return True

    async def _log_in(self, connection: Connection) -> bool:
        """Take up the session; say why if the broker refuses."""
        section = self._section
        password = password_of(section)
        packet = ConnectPacket(
            self._client_id,
            username=section.username,
            password=None if password is None else password.encode(),
            clean_start=False,
            keep_alive=max(1, section.keepalive // _SECOND_NS),
            session_expiry_interval=min(section.session_expiry // _SECOND_NS, 0xFFFFFFFF),
            receive_max=section.receive_maximum,
            # No Maximum Packet Size: the broker would drop what is larger, and nobody would hear of it. Here it becomes
            # a dead letter.
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await connection.connect(packet)
        except (TimeoutError, ConnectionEndedError) as error:
            reason = str(error) or f"no answer in {_PATIENCE:g} s"
            self._problems.say("connection", f"{where(section)} ({reason}); trying again")
            return False
        if answer.reason_code is not ConnAckReasonCode.SUCCESS:
            self._problems.say("connection", refused(in_words(answer.reason_code)))
            return False
        self._pauses.connected()
        self._session.connected(present=answer.session_present)
        log.info(
            "connected to the broker", session="kept" if answer.session_present else "new", connection=self._generation
        )
        return True

    async def _subscribe(self, connection: Connection) -> None:
        """Make the session's subscriptions what they should be; say which ones the broker refuses."""
        if self._obsolete:  # the session remembers them, whatever the configuration says by now
            connection.send(UnsubscribePacket(_UNSUBSCRIBE_ID, self._obsolete).write())
        filters = [
            TopicFilter(name, max_qos=QoS.AT_LEAST_ONCE, retain_as_published=False)  # the retain flag says: not live
            for name in self._filters
        ]
        answer = await connection.subscribe(SubscribePacket(_SUBSCRIBE_ID, filters))
        self._problems.clear("connection")
        without = [
            f"{name} ({in_words(code)})"
            for name, code in zip(self._filters, answer.reason_codes, strict=False)
            if code.value >= _FAILED
        ]
        if without:
            self._problems.say("subscription", f"the broker refused the subscription to {', '.join(without)}")
        else:
            self._problems.clear("subscription")
            self.subscribed.set()

    def _take_in(self, messages: list[Message], size: int) -> None:
        self._inbox.put(messages, size)
        self._arrived.set()
        self._arrived_at = asyncio.get_running_loop().time()
        if self._inbox.is_full and self._connection is not None:
            self._connection.pause()

    def _read_on(self, connection: Connection) -> None:
        if not self._inbox.is_full:
            connection.resume()

    def _say_ended(self, reason: str) -> None:
        suspicion = self._pauses.suspicion(self._client_id)
        if suspicion:
            self._session.suspect(suspicion)
        self._problems.say(
            "connection", f"the connection to the broker has ended: {reason}; connecting again{suspicion}"
        )
