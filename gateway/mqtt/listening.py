"""A look at what is published, for as long as somebody wants to see it: no session, no acknowledgement that matters."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence

import aiomqtt

from gateway.config import MqttSection
from gateway.domain.model.events import Message
from gateway.errors import GatewayError
from gateway.mqtt.connection import password_of

MAX_MESSAGES = 20_000
MAX_BYTES = 64 * 1024 * 1024
"""Of all payloads: a look ends early where more is said."""
_PATIENCE = 10.0
"""Seconds that the broker has to answer."""


async def listen(section: MqttSection, filters: Sequence[str], seconds: float) -> list[Message]:
    """Return what is published within some seconds, retained messages first. Raises GatewayError.

    The client has a name of its own, so that the gateway keeps its session.
    """
    client = aiomqtt.Client(
        section.host,
        section.port,
        identifier=f"vibration-gateway-look-{uuid.uuid4().hex[:8]}",
        username=section.username,
        password=password_of(section),
        protocol=aiomqtt.ProtocolVersion.V5 if section.protocol == "5" else aiomqtt.ProtocolVersion.V311,
        transport=section.transport,
        websocket_path=section.websocket_path,
        tls_context=section.tls.context() if section.tls else None,
        timeout=_PATIENCE,
    )
    found: list[Message] = []
    try:
        async with client:
            for each in filters:
                await client.subscribe(each, qos=0)
            await _collect(client, found, seconds)
    except (aiomqtt.MqttError, ValueError) as error:
        raise GatewayError(f"could not listen at {section.host}:{section.port}: {error}") from error
    return found


async def _collect(client: aiomqtt.Client, found: list[Message], seconds: float) -> None:
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for message in client.messages:
                payload = message.payload if isinstance(message.payload, bytes) else b""
                size += len(payload)
                if len(found) >= MAX_MESSAGES or size > MAX_BYTES:
                    return
                found.append(Message(str(message.topic), payload, time.time_ns(), retained=message.retain))
    except TimeoutError:
        pass  # the time is over
