"""MQTT in: batches of whatever has come, acknowledged only when the caller says so.

paho runs its own network thread. Messages are handed over to the event loop in batches; an acknowledgement names the
connection it belongs to (its generation), and one for an earlier connection is dropped: the broker sends that message
again.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import structlog
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.config import MqttSection, TlsSection
from gateway.domain.events import Message

log = structlog.get_logger(__name__)

_BUFFERED_BYTES = 64 * 1024 * 1024
_BATCH_BYTES, _BATCH_MESSAGES = 4 * 1024 * 1024, 5000
_MESSAGE_BYTES = 400
"""What a message takes up beside its payload and its topic."""
_LASTING = 60.0
"""Seconds after which a connection counts as a success. It is longer than the longest pause, so that two gateways that
take a session from each other do so less and less often."""
_SUSPICIOUS = 3  # short connections in a row
_DIAGNOSIS = 3.0
_SECOND_NS = 1_000_000_000
_QOS = 1


class Subscriber(Protocol):
    """What the gateway asks of a subscriber, whichever client is behind it."""

    @property
    def problems(self) -> list[str]:
        """Why nothing can arrive right now; empty while connected and subscribed."""
        ...

    async def batch(self) -> list[Message]:
        """Wait for messages and return all that have come since the last call, in order."""
        ...

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these need not be sent again."""
        ...


class PahoSubscriber:
    """A subscriber over paho-mqtt, for MQTT 5 and 3.1.1. An async context manager: connected while inside.

    `obsolete` are filters of an earlier start, which the broker's session still has. `subscribed` is set once all is as
    it should be.
    """

    def __init__(
        self, section: MqttSection, client_id: str, filters: Sequence[str], obsolete: Sequence[str] = ()
    ) -> None:
        self._section = section
        self._filters = list(filters)
        self._obsolete = list(obsolete)
        self.subscribed = asyncio.Event()
        self._is_v5 = section.protocol == "5"
        self._lock = threading.Condition()
        self._buffer: list[Message] = []
        self._bytes = 0
        self._generation = 0
        self._problems: dict[str, str] = {"connection": "not connected to the broker yet"}
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False
        # A first pause drawn at random spreads a fleet of gateways out when their broker comes back.
        self._first_pause, self._longest_pause = random.uniform(0.5, 1.5), random.uniform(20, 40)
        self._short_lived = 0  # connections in a row
        self._connected_at: float | None = None
        self._client_id = client_id
        self._client = self._make_client(client_id)

    @property
    def problems(self) -> list[str]:
        """Why nothing can arrive right now; empty while connected and subscribed."""
        return list(self._problems.values())

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        section = self._section
        properties: dict[str, Any] = {"properties": self._session()} if self._is_v5 else {}
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

    async def batch(self) -> list[Message]:
        """Wait for messages and return what has come since the last call, in order; of very much, the oldest."""
        await self._arrived.wait()
        with self._lock:
            messages = self._take_some()
            self._bytes -= sum(map(_weight, messages))
            if not self._buffer:
                self._arrived.clear()
            self._lock.notify_all()
        return messages

    def _take_some(self) -> list[Message]:
        """Take the oldest messages out of the buffer, as many as one transaction may well hold."""
        count = weight = 0
        for message in self._buffer:
            weight += _weight(message)
            if count == _BATCH_MESSAGES or (count and weight > _BATCH_BYTES):
                break
            count += 1
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these need not be sent again; those of an earlier connection it sends again anyway."""
        for message in messages:
            if message.packet_id and message.generation == self._generation:
                self._client.ack(message.packet_id, _QOS)

    def _make_client(self, client_id: str) -> Client:
        section = self._section
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if self._is_v5 else False,
            protocol=MQTTProtocolVersion.MQTTv5 if self._is_v5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=True,
            manual_ack=True,
        )
        if section.username is not None:
            client.username_pw_set(section.username, password_of(section))
        if section.tls is not None:
            client.tls_set_context(tls_context(section.tls))
        client.reconnect_delay_set(self._first_pause, self._longest_pause)  # type: ignore[arg-type] # annotated as int, used as a number of seconds
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _session(self) -> Properties:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own lack
        properties.SessionExpiryInterval = min(self._section.session_expiry // _SECOND_NS, 0xFFFFFFFF)
        properties.ReceiveMaximum = self._section.receive_maximum
        return properties

    def _on_connect(
        self, client: Client, _data: object, flags: ConnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        self._generation += 1
        if reason.is_failure:
            self._say("connection", f"the broker refused the connection: {reason}; check [mqtt] in the configuration")
            return
        self._problems.pop("connection", None)
        self._connected_at = time.monotonic()
        log.info("connected to the broker", session_present=flags.session_present, generation=self._generation)
        if self._obsolete:  # the session remembers them, whatever the configuration says by now
            client.unsubscribe(self._obsolete)
        if self._is_v5:
            client.subscribe([(name, SubscribeOptions(qos=_QOS)) for name in self._filters])
        else:
            client.subscribe([(name, _QOS) for name in self._filters])

    def _on_connect_fail(self, _client: Client, _data: object) -> None:
        section = self._section
        where = f"no connection to the broker at {section.host}:{section.port}"
        if not self._problems.get("connection", "").startswith(where):
            self._say("connection", f"{where} ({why_unreachable(section)}); trying again")

    def _on_disconnect(
        self, client: Client, _data: object, _flags: DisconnectFlags, reason: ReasonCode, _properties: object
    ) -> None:
        self._generation += 1
        self._back_off(client)
        if self._stopping or "refused" in self._problems.get("connection", ""):
            return
        problem = f"the connection to the broker has ended: {reason}; connecting again"
        if self._short_lived >= _SUSPICIOUS:
            problem += (
                f"; {self._short_lived} in a row were short: does another program use our client id"
                f" {self._client_id!r}, such as a second gateway with this gateway.id?"
            )
        self._say("connection", problem)

    def _back_off(self, client: Client) -> None:
        """Make the next pause longer, unless the connection lasted. paho itself forgets its pause at every CONNACK."""
        lasted = self._connected_at is not None and time.monotonic() - self._connected_at > _LASTING
        self._connected_at = None
        self._short_lived = 0 if lasted else self._short_lived + 1
        pause = min(self._first_pause * 2 ** min(max(0, self._short_lived - 1), 10), self._longest_pause)
        client.reconnect_delay_set(pause, self._longest_pause)  # type: ignore[arg-type] # see _make_client

    def _on_subscribe(
        self, _client: Client, _data: object, _mid: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        refused = [
            f"{name} ({reason})" for name, reason in zip(self._filters, reasons, strict=False) if reason.is_failure
        ]
        if refused:
            self._say("subscription", f"the broker refused the subscription to {', '.join(refused)}")
        else:
            self._problems.pop("subscription", None)
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
        )
        with self._lock:
            # Not reading the socket is what bounds the memory in bytes; Receive Maximum bounds it in messages.
            while self._bytes > _BUFFERED_BYTES and not self._stopping:
                self._lock.wait()
            self._buffer.append(arrived)
            self._bytes += _weight(arrived)
            is_first = len(self._buffer) == 1
        if is_first and self._loop is not None and not self._stopping:
            self._loop.call_soon_threadsafe(self._arrived.set)

    def _say(self, part: str, problem: str) -> None:
        """Log a problem once for as long as it lasts."""
        if self._problems.get(part) != problem:
            self._problems[part] = problem
            log.warning(problem)


def _topic(message: MQTTMessage) -> str:
    """Return the topic; one that is not UTF-8, which a broker should not pass on, with its bytes spelled out."""
    try:
        return message.topic
    except UnicodeDecodeError as error:
        return bytes(error.object).decode(errors="backslashreplace")


def _weight(message: Message) -> int:
    return len(message.payload) + len(message.topic) + _MESSAGE_BYTES


def why_unreachable(section: MqttSection) -> str:
    """Return what stands in the way of a connection, in the words of the system: paho does not say."""
    try:
        with socket.create_connection((section.host, section.port), timeout=_DIAGNOSIS) as plain:
            if section.tls is None:
                return "the broker closes the connection"
            with tls_context(section.tls).wrap_socket(plain, server_hostname=section.host):
                return "the broker closes the connection after the TLS handshake"
    except ssl.SSLCertVerificationError as error:
        return f"its certificate is not to be trusted: {error.verify_message}; check mqtt.tls.ca and mqtt.host"
    except ssl.SSLError as error:
        return f"TLS: {error.reason or error}; check mqtt.tls and mqtt.port"
    except OSError as error:
        return error.strerror or str(error)


def password_of(section: MqttSection) -> str | None:
    """Return the password in the clear, for the client that needs it."""
    return section.password.get_secret_value() if section.password else None


def tls_context(section: TlsSection) -> ssl.SSLContext:
    """Return a context that verifies the broker, by its host name too."""
    context = ssl.create_default_context(cafile=section.ca)
    if section.cert is not None:
        context.load_cert_chain(section.cert, section.key)
    return context
