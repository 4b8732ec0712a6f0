"""What the gateway tells Sparkplug's edge nodes: that it is there to hear them, and which of them should be born again.

A connection of its own, only where an input reads Sparkplug: its last will is the host's STATE.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import aiomqtt
import structlog

from gateway.config import MqttSection
from gateway.domain.inputs import sparkplug
from gateway.domain.inputs.results import Publication
from gateway.mqtt.connection import password_of, tls_of

log = structlog.get_logger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_LASTING = 60.0
"""Seconds after which a connection counts as a success."""
_PATIENCE = 10.0
_WAITING = 1000
"""Requests; a node that is not asked now asks for itself by its next message."""


class SparkplugHost:
    """Publishes the STATE of the host `host_id` while `run` keeps the connection, and what `send` is given."""

    def __init__(self, section: MqttSection, client_id: str, host_id: str) -> None:
        self._section = section
        self._client_id = client_id
        self._host_id = host_id
        self._waiting: asyncio.Queue[Publication] = asyncio.Queue(_WAITING)

    def send(self, publications: Sequence[Publication]) -> None:
        """Publish as soon as there is a connection. What does not fit any more is left out, and logged."""
        for each in publications:
            try:
                self._waiting.put_nowait(each)
            except asyncio.QueueFull:
                log.warning("too many requests wait for the broker; one is left out", topic=each.topic)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            try:
                await self._stay()
            except (aiomqtt.MqttError, OSError) as error:
                log.debug("the connection of the Sparkplug host has ended", error=str(error), pause=pause)
            if time.monotonic() - began > _LASTING:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _stay(self) -> None:
        """Say that the host is there, then what is asked for. The will has the same time, as Sparkplug 3.0 wants it."""
        section, since_ms = self._section, time.time_ns() // 1_000_000
        gone = self._state(online=False, since_ms=since_ms)
        async with aiomqtt.Client(
            section.host,
            section.port,
            identifier=self._client_id,
            username=section.username,
            password=password_of(section),
            protocol=aiomqtt.ProtocolVersion.V5 if section.protocol == "5" else aiomqtt.ProtocolVersion.V311,
            transport=section.transport,
            websocket_path=section.websocket_path,
            tls_context=tls_of(section.tls) if section.tls else None,  # its files may be others by now
            will=aiomqtt.Will(gone.topic, gone.payload, qos=gone.qos, retain=gone.retain),
            keepalive=max(1, section.keepalive // 1_000_000_000),
            timeout=_PATIENCE,
        ) as client:
            here = self._state(online=True, since_ms=since_ms)
            await client.subscribe(here.topic, qos=1, timeout=_PATIENCE)
            await _publish(client, here)
            try:
                await self._pass_on(client, here)
            except asyncio.CancelledError:
                await _publish(client, gone)
                raise

    def _state(self, *, online: bool, since_ms: int) -> Publication:
        return Publication(*sparkplug.state(self._host_id, online=online, since_ms=since_ms))

    async def _pass_on(self, client: aiomqtt.Client, here: Publication) -> None:
        """Publish what is asked for until the connection ends; put right what somebody else says of this host."""
        publishing = asyncio.create_task(self._publish_all(client), name="requests to edge nodes")
        try:
            async for message in client.messages:
                if isinstance(message.payload, bytes) and sparkplug.contradicted(message.payload):
                    await _publish(client, here)
        finally:
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    async def _publish_all(self, client: aiomqtt.Client) -> None:
        while True:
            await _publish(client, await self._waiting.get())


async def _publish(client: aiomqtt.Client, each: Publication) -> None:
    await client.publish(each.topic, each.payload, qos=each.qos, retain=each.retain, timeout=_PATIENCE)
