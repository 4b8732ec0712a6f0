"""MQTT out: the announcer's connection, and the gateway's own status as its last will."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiomqtt
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.config import MqttSection
from gateway.domain.inputs.traceparent import NAME
from gateway.errors import DeliveryError
from gateway.mqtt.connection import password_of

log = structlog.get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_LASTING = 60.0
"""Seconds after which a connection counts as a success."""
_PATIENCE = 10.0
"""Seconds that the broker has to answer."""
_GOODBYE = 2.0
"""Seconds that it has for each of "offline" and the end of the connection: a stop does not wait for a mute broker."""


class Publisher:
    """Publishes retained messages at QoS 1 while `run` keeps the connection."""

    def __init__(self, section: MqttSection, client_id: str, status_topic: str) -> None:
        self._section = section
        self._client_id = client_id
        self._status_topic = status_topic
        self._tls = section.tls.context() if section.tls else None
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()

    async def publish(self, topic: str, payload: str, traceparent: str = "") -> None:
        """Publish and wait for the acknowledgement. Raises DeliveryError when there is no connection.

        MQTT 3.1.1 has no place for a traceparent.
        """
        if self._client is None:
            raise DeliveryError("not connected to the broker")
        try:
            await self._client.publish(
                topic, payload, qos=1, retain=True, timeout=_PATIENCE, properties=self._properties(traceparent)
            )
        except (aiomqtt.MqttError, ValueError) as error:
            raise DeliveryError(
                f"could not publish on {topic!r}: {error}", retry=isinstance(error, aiomqtt.MqttError)
            ) from error

    def _properties(self, traceparent: str) -> Properties | None:
        if not traceparent or self._section.protocol != "5":
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own lack
        properties.UserProperty = (NAME, traceparent)
        return properties

    async def run(self) -> None:
        """Stay connected until cancelled; then say goodbye."""
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                async with self._connection():
                    await self._until_lost()
            except aiomqtt.MqttError as error:
                _stop_if_cancelled()
                log.debug("the announcer's connection has ended", error=str(error), pause=pause)
            if time.monotonic() - began > _LASTING:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[None]:
        section = self._section
        async with aiomqtt.Client(
            section.host,
            section.port,
            identifier=self._client_id,
            username=section.username,
            password=password_of(section),
            protocol=aiomqtt.ProtocolVersion.V5 if section.protocol == "5" else aiomqtt.ProtocolVersion.V311,
            tls_context=self._tls,
            will=aiomqtt.Will(self._status_topic, "offline", qos=1, retain=True),
            keepalive=max(1, section.keepalive // 1_000_000_000),
            timeout=_PATIENCE,
        ) as client:
            client.timeout = _GOODBYE  # from now on it is that of the exit
            await client.publish(self._status_topic, "online", qos=1, retain=True, timeout=_PATIENCE)
            self._client = client
            try:
                yield
            except asyncio.CancelledError:
                with suppress(aiomqtt.MqttError):  # nobody listens any more
                    await client.publish(self._status_topic, "offline", qos=1, retain=True, timeout=_GOODBYE)
                raise
            finally:
                self._client = None

    async def _until_lost(self) -> None:
        """Wait for messages that never come: nothing is subscribed, so it ends only with the connection."""
        assert self._client is not None  # noqa: S101 - inside _connection
        async for _ in self._client.messages:
            pass


def _stop_if_cancelled() -> None:
    """Let a cancellation go on that an error has taken the place of, as when the exit finds the broker mute."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
