"""The subscriber over paho-mqtt: for MQTT 3.1.1, and for MQTT 5 where the mqtt5 package does not exist.

paho runs a network thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import structlog
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.config import MqttSection
from gateway.domain.inputs.traceparent import of_properties
from gateway.domain.model.events import Message
from gateway.mqtt.connection import Pauses, Problems, where, why_unreachable
from gateway.mqtt.inbox import Inbox
from gateway.mqtt.incidents import Incidents
from gateway.mqtt.link import make_client
from gateway.mqtt.losses import Session

log = structlog.get_logger(__name__)

_SECOND_NS = 1_000_000_000
_QOS = 1
_SESSION_TAKEN_OVER = 0x8E
_MOST_UNDER_WAY = 20
"""What MQTT 3.1.1 leaves to the broker; Mosquitto's default, and less than that of every other."""


class PahoSubscriber:
    """A subscriber over paho-mqtt, for MQTT 5 and 3.1.1. An async context manager: connected while inside.

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
        self._section = section
        self._filters = list(filters)
        self._obsolete = list(obsolete)
        self.subscribed = asyncio.Event()
        self._is_v5 = section.protocol == "5"
        self._lock = threading.Condition()
        self._inbox = Inbox()
        self._generation = 0
        self._problems = Problems()
        self._pauses = Pauses()
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        self._client_id = client_id
        self._session = session or Session(client_id, Incidents())
        self._tls = section.tls.context() if section.tls else None
        self._client = self._make_client(client_id)

    @property
    def problems(self) -> list[str]:
        """Why nothing can arrive right now; empty while connected and subscribed."""
        return self._problems.all()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        section = self._section
        properties: dict[str, Any] = {"properties": self._wishes()} if self._is_v5 else {}
        self._client.connect_async(
            section.host,
            section.port,
            keepalive=max(1, section.keepalive // _SECOND_NS),
            clean_start=False if self._is_v5 else MQTT_CLEAN_START_FIRST_ONLY,
            **properties,
        )
        self._client.loop_start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stopping = True
            self._lock.notify_all()
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        self._generation += 1  # what is acknowledged from now on is nobody's
        del self._client  # paho closes a pair of sockets of its own only when nobody holds it any more

    @property
    def most_under_way(self) -> int:
        """How many messages the broker may send before it waits for us, unless it has a limit of its own."""
        most = self._section.receive_maximum
        return most if self._is_v5 else min(most, _MOST_UNDER_WAY)

    async def batch(self) -> list[Message]:
        """Wait for messages and return what has come since the last call, in order; of very much, the oldest."""
        await self._arrived.wait()
        with self._lock:
            messages = self._inbox.take()
            if not self._inbox:
                self._arrived.clear()
            self._lock.notify_all()
        return messages

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these need not be sent again; those of an earlier connection it sends again anyway."""
        for message in messages:
            if message.packet_id and message.generation == self._generation:
                self._client.ack(message.packet_id, _QOS)

    def _make_client(self, client_id: str) -> Client:
        clean = None if self._is_v5 else False
        client = make_client(
            self._section, client_id, self._tls, clean_session=clean, reconnect_on_failure=True, manual_ack=True
        )
        client.reconnect_delay_set(self._pauses.seconds, self._pauses.longest)  # type: ignore[arg-type] # annotated as int, used as a number of seconds
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _wishes(self) -> Properties:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own lack
        properties.SessionExpiryInterval = min(self._section.session_expiry // _SECOND_NS, 0xFFFFFFFF)
        properties.ReceiveMaximum = self._section.receive_maximum
        return properties

    def _on_connect(
        self, client: Client, _data: object, flags: ConnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        self._generation += 1
        if reason.is_failure:
            self._problems.say(
                "connection", f"the broker refused the connection: {reason}; check [mqtt] in the configuration"
            )
            return
        self._problems.clear("connection")
        self._pauses.connected()
        self._session.connected(present=flags.session_present)
        log.info(
            "connected to the broker", session="kept" if flags.session_present else "new", connection=self._generation
        )
        if self._obsolete:  # the session remembers them, whatever the configuration says by now
            client.unsubscribe(self._obsolete)
        if self._is_v5:
            client.subscribe([(name, SubscribeOptions(qos=_QOS)) for name in self._filters])
        else:
            client.subscribe([(name, _QOS) for name in self._filters])

    def _on_connect_fail(self, _client: Client, _data: object) -> None:
        self._refresh_tls()
        beginning = where(self._section)
        if not self._problems.of("connection").startswith(beginning):
            self._problems.say("connection", f"{beginning} ({why_unreachable(self._section)}); trying again")

    def _refresh_tls(self) -> None:
        """Read the files of TLS again: paho keeps its context for good. Why they cannot be read is said elsewhere."""
        if self._section.tls is not None and self._tls is not None:
            with suppress(ValueError):
                self._section.tls.refresh(self._tls)

    def _on_disconnect(
        self, client: Client, _data: object, _flags: DisconnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        self._generation += 1
        self._refresh_tls()
        # paho itself forgets its pause at every CONNACK
        self._pauses.ended()
        client.reconnect_delay_set(self._pauses.seconds, self._pauses.longest)  # type: ignore[arg-type] # see _make_client
        if self._stopping or "refused" in self._problems.of("connection"):
            return
        self._session.ended()
        suspicion = self._pauses.suspicion(self._client_id)
        if reason.value == _SESSION_TAKEN_OVER:
            self._session.taken()
        elif suspicion:
            self._session.suspect(suspicion)
        self._problems.say(
            "connection", f"the connection to the broker has ended: {reason}; connecting again{suspicion}"
        )

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        without = [
            f"{name} ({reason})" for name, reason in zip(self._filters, reasons, strict=False) if reason.is_failure
        ]
        if without:
            self._problems.say("subscription", f"the broker refused the subscription to {', '.join(without)}")
        else:
            self._problems.clear("subscription")
            if self._loop is not None and not self._stopping:
                self._loop.call_soon_threadsafe(self.subscribed.set)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        arrived = Message(
            topic=_topic(message),
            payload=bytes(message.payload),
            received_ns=time.time_ns(),
            packet_id=message.mid if message.qos else 0,
            duplicate=message.dup,
            retained=message.retain,
            generation=self._generation,
            traceparent=of_properties(getattr(message.properties, "UserProperty", ())),
        )
        with self._lock:
            while self._inbox.is_full and not self._stopping:
                self._lock.wait()  # paho's thread reads no more
            is_first = not self._inbox
            self._inbox.put([arrived], len(arrived.payload) + len(arrived.topic))
        if is_first and self._loop is not None and not self._stopping:
            self._loop.call_soon_threadsafe(self._arrived.set)


def _topic(message: MQTTMessage) -> str:
    """Return the topic; one that is not UTF-8, which a broker should not pass on, with its bytes spelled out."""
    try:
        return message.topic
    except UnicodeDecodeError as error:
        return bytes(error.object).decode(errors="backslashreplace")
