"""A connection whose session the broker keeps: what is said while it is away arrives later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import aiomqtt
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import SecretStr

from gateway.config.tls import TlsSection
from gateway.mqtt.connection import Pauses, tls_of

log = structlog.get_logger(__name__)

PATIENCE = 10.0
"""Seconds that the broker has to answer."""
_KEPT = 7 * 86_400
"""Seconds that an MQTT 5 broker keeps the session of who is away."""


class BrokerKeys(Protocol):
    """What is needed of a section of the configuration that names a broker."""

    @property
    def host(self) -> str: ...  # noqa: D102
    @property
    def port(self) -> int: ...  # noqa: D102
    @property
    def username(self) -> str | None: ...  # noqa: D102
    @property
    def password(self) -> SecretStr | None: ...  # noqa: D102
    @property
    def tls(self) -> TlsSection | None: ...  # noqa: D102
    @property
    def protocol(self) -> str: ...  # noqa: D102
    @property
    def keepalive(self) -> int: ...  # noqa: D102


class Line:
    """Stays connected and subscribed, and hands each message to `heard`; `begin` is called with each connection."""

    def __init__(
        self,
        section: BrokerKeys,
        client_id: str,
        filters: list[str],
        heard: Callable[[str, object], Awaitable[None]],
        begin: Callable[[], Awaitable[None]],
    ) -> None:
        self._section, self._client_id, self._filters = section, client_id, filters
        self._heard, self._begin = heard, begin
        self._client: aiomqtt.Client | None = None
        self.problem = f"not connected to the broker at {section.host}:{section.port} yet"
        self.since: float | None = None
        """When this connection began, monotonic; None without one."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish at QoS 1 and wait for the broker's answer. Raises ConnectionError in words."""
        if self._client is None:
            raise ConnectionError(self.problem)
        try:
            await self._client.publish(topic, payload, qos=1, timeout=PATIENCE)
        except (aiomqtt.MqttError, ValueError) as error:
            raise ConnectionError(f"could not publish on {topic!r}: {error}") from error

    async def run(self) -> None:
        """Stay connected until cancelled."""
        pauses = Pauses()
        while True:
            try:
                await self._stay(pauses)
            except (aiomqtt.MqttError, OSError) as error:
                self._say(f"no connection to the broker at {self._section.host}:{self._section.port}: {error}")
            finally:
                self._client, self.since = None, None
            pauses.ended()
            await asyncio.sleep(pauses.seconds)

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            log.warning("the fleet's connection has ended, or could not be made; trying again", problem=problem)

    async def _stay(self, pauses: Pauses) -> None:
        section, is_v5 = self._section, self._section.protocol == "5"
        kept = None
        if is_v5:
            kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's own lack
            kept.SessionExpiryInterval = _KEPT
        async with aiomqtt.Client(
            section.host,
            section.port,
            identifier=self._client_id,
            username=section.username,
            password=section.password.get_secret_value() if section.password else None,
            protocol=aiomqtt.ProtocolVersion.V5 if is_v5 else aiomqtt.ProtocolVersion.V311,
            clean_session=None if is_v5 else False,
            clean_start=False if is_v5 else 3,
            properties=kept,
            tls_context=tls_of(section.tls) if section.tls else None,  # its files may be others by now
            keepalive=max(1, section.keepalive // 1_000_000_000),
            timeout=PATIENCE,
        ) as client:
            for each in self._filters:
                await client.subscribe(each, qos=1, timeout=PATIENCE)
            pauses.connected()
            self._client, self.since, self.problem = client, time.monotonic(), ""
            log.info("the fleet's connection stands", host=section.host, port=section.port)
            beginning = asyncio.create_task(self._begun(), name="fleet: beginning")
            try:
                async for message in client.messages:
                    await self._heard(message.topic.value, message.payload)
            finally:
                beginning.cancel()
                await asyncio.gather(beginning, return_exceptions=True)

    async def _begun(self) -> None:
        try:
            await self._begin()
        except ConnectionError as error:  # the next connection begins anew
            log.debug("the beginning of the fleet's connection failed", error=str(error))
