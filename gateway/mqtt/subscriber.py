"""MQTT in: batches of whatever has come, acknowledged only when the caller says so.

An acknowledgement names the connection it belongs to (its generation), and one for an earlier connection is dropped:
the broker sends that message again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import structlog

from gateway.config import MqttSection
from gateway.domain.model.events import Message
from gateway.mqtt.losses import Session
from gateway.mqtt.paho_subscriber import PahoSubscriber

log = structlog.get_logger(__name__)


class Subscriber(Protocol):
    """What the gateway asks of a subscriber, whichever client is behind it. Connected inside its context.

    `subscribed` is set once the broker has granted every filter.
    """

    subscribed: asyncio.Event

    @property
    def problems(self) -> list[str]:
        """Why nothing can arrive right now; empty while connected and subscribed."""
        ...

    @property
    def most_under_way(self) -> int:
        """How many messages the broker may send before it waits for us, unless it has a limit of its own."""
        ...

    async def batch(self) -> list[Message]:
        """Wait for messages and return what has come since the last call, in order; of very much, the oldest."""
        ...

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Tell the broker that these need not be sent again; those of an earlier connection it sends again anyway."""
        ...

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect; the broker keeps the session."""
        ...


def make_subscriber(
    section: MqttSection,
    client_id: str,
    filters: Sequence[str],
    obsolete: Sequence[str] = (),
    session: Session | None = None,
) -> Subscriber:
    """Return the subscriber for `mqtt.protocol` and `mqtt.transport`: paho's for MQTT 3.1.1, and for WebSockets.

    `obsolete` are filters of an earlier start, which the broker's session still has. `session` is told what becomes of
    it.
    """
    if section.protocol == "5" and section.transport == "tcp":
        try:
            from gateway.mqtt.mqtt5_subscriber import Mqtt5Subscriber  # noqa: PLC0415 - see the log line
        except ImportError as error:
            log.warning("the mqtt5 package cannot be used here, so the slower paho-mqtt is", reason=str(error))
        else:
            return Mqtt5Subscriber(section, client_id, filters, obsolete, session)
    return PahoSubscriber(section, client_id, filters, obsolete, session)
