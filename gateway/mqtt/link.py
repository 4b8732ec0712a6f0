"""One connection over paho-mqtt, with the broker's answers as futures of the event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.config import MqttSection
from gateway.mqtt.connection import password_of

_CONNECTING = 5.0
"""Seconds that paho's thread has for a TCP connection; it cannot be ended meanwhile."""

T = TypeVar("T")

_CALLBACKS = ("on_connect", "on_connect_fail", "on_disconnect", "on_publish", "on_subscribe", "on_message")

UNREACHABLE = "it cannot be reached"

Heard = Callable[[str, bytes], None]


class LinkEndedError(Exception):
    """The connection has ended, or there never was one; the text says why."""


def make_client(section: MqttSection, client_id: str, tls: ssl.SSLContext | None, **options: Any) -> Client:
    """Return a client that knows the login and speaks the configured protocol."""
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5 if section.protocol == "5" else MQTTProtocolVersion.MQTTv311,
        transport=section.transport,
        **options,
    )
    if section.username is not None:
        client.username_pw_set(section.username, password_of(section))
    if section.transport == "websockets":
        client.ws_set_options(section.websocket_path)
    if tls is not None:
        client.tls_set_context(tls)
    return client


class Link:
    """A connection that is made once. `heard` is called with each message's topic and payload, in the event loop."""

    def __init__(self, client: Client, heard: Heard) -> None:
        self._loop = asyncio.get_running_loop()
        self._client = client
        self._heard = heard
        self._answers: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        self.connected: asyncio.Future[ReasonCode] = self._loop.create_future()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        client.connect_timeout = _CONNECTING
        client.on_connect = lambda _client, _data, _flags, reason, _properties: self._post(self._let_in, reason)
        client.on_connect_fail = lambda *_: self._post(self._end, UNREACHABLE)
        client.on_disconnect = lambda _client, _data, _flags, reason, _properties: self._post(self._end, str(reason))
        client.on_publish = lambda _client, _data, mid, reason, _properties: self._post(self._answer, mid, [reason])
        client.on_subscribe = lambda _client, _data, mid, reasons, _properties: self._post(self._answer, mid, reasons)
        client.on_message = self._on_message

    async def open(self, section: MqttSection, largest_packet: int | None = None) -> ReasonCode:
        """Connect; the broker's answer may be a refusal. Raises LinkEndedError.

        `largest_packet` is what an MQTT 5 broker may send, in bytes.
        """
        limits = None
        if largest_packet is not None:
            limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own lack
            limits.MaximumPacketSize = largest_packet
        seconds = max(1, section.keepalive // 1_000_000_000)
        self._client.connect_async(section.host, section.port, keepalive=seconds, properties=limits)
        self._client.loop_start()
        return await self._unless_ended(self.connected)

    async def publish(self, topic: str, payload: bytes, properties: Properties | None = None) -> ReasonCode:
        """Publish retained at QoS 1 and return the broker's answer. Raises LinkEndedError, ValueError for the topic."""
        sent = self._client.publish(topic, payload, 1, retain=True, properties=properties)
        return (await self._answer_to(sent.mid))[0]

    async def subscribe(self, topic: str) -> ReasonCode:
        """Subscribe at QoS 1 and return the broker's answer. Raises LinkEndedError."""
        _, mid = self._client.subscribe(topic, 1)
        if mid is None:
            raise LinkEndedError("the connection has just ended")
        return (await self._answer_to(mid))[0]

    async def close(self) -> None:
        """Say goodbye, and wait for paho's thread.

        The client and what it calls know each other: a pair of sockets would stay open until the collector comes.
        """
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        for name in _CALLBACKS:
            setattr(self._client, name, None)

    async def _answer_to(self, mid: int) -> list[ReasonCode]:
        answer: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self._answers[mid] = answer  # before paho's thread could post it: that needs the event loop
        try:
            return await self._unless_ended(answer)
        finally:
            self._answers.pop(mid, None)

    async def _unless_ended(self, awaited: asyncio.Future[T]) -> T:
        either: list[asyncio.Future[Any]] = [awaited, self.ended]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not awaited.done():
            awaited.cancel()
            raise LinkEndedError(self.ended.result())
        return awaited.result()

    def _post(self, call: Callable[..., None], *arguments: Any) -> None:
        """Have the event loop do something; one that has ended needs nothing any more."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        with suppress(UnicodeDecodeError):  # none of ours
            self._post(self._heard, message.topic, bytes(message.payload))

    def _let_in(self, reason: ReasonCode) -> None:
        if not self.connected.done():
            self.connected.set_result(reason)

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    def _answer(self, mid: int, reasons: list[ReasonCode]) -> None:
        if (answer := self._answers.get(mid)) is not None and not answer.done():
            answer.set_result(reasons)
