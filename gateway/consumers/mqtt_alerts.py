"""Alerts on MQTT, for everybody: the current state of each sensor's alert, retained."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import structlog

from gateway.api import DeliveryError
from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.inputs.traceparent import NAME
from gateway.domain.model.alert_kinds import ALERT_KINDS
from gateway.domain.model.events import DomainEvent

log = structlog.get_logger(__name__)

_LEVELS = ("site", "area", "machine")
_NOT_IN_A_LEVEL = re.compile(r"[/+#\x00]")


class Announcer:
    """A consumer that publishes. `publish` takes topic, payload and traceparent, and returns when the broker has them.

    `trace_of` finds the traceparent of the reading that a fact followed from; it is empty if there is none.
    """

    def __init__(
        self, publish: Callable[[str, str, str], Awaitable[None]], trace_of: Callable[[DomainEvent], Awaitable[str]]
    ) -> None:
        self._publish = publish
        self._trace_of = trace_of

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:  # noqa: ARG002 - a consumer is handed both
        """Publish the last state of every alert in the step. Raises DeliveryError."""
        latest = {alert_topic(entry.fact.data): entry.fact for entry in entries if entry.fact.type in ALERT_FACTS}
        for topic, fact in latest.items():
            traceparent = await self._trace_of(fact)
            said = announcement(fact.data) | ({NAME: traceparent} if traceparent else {})
            try:
                await self._publish(topic, msgspec.json.encode(said).decode(), traceparent)
            except DeliveryError as error:
                if error.retry:
                    raise
                log.exception("an alert cannot be announced; it is left out", topic=topic)


def alert_topic(data: dict[str, Any]) -> str:
    """Return vibration/alerts/{site}/{area}/{machine}/{sensor}, with a dash for what the sensor's topic did not say.

    A kind may have a level more (`health`: about the sensor itself), since alerts of two kinds may be open at once.
    """
    levels = [*(data["tags"].get(name) or "-" for name in _LEVELS), data["sensorId"]]
    topic = "/".join(("vibration", "alerts", *(_NOT_IN_A_LEVEL.sub("_", level) for level in levels)))
    return "/".join(filter(None, (topic, ALERT_KINDS[data["kind"]].topic)))


def announcement(data: dict[str, Any]) -> dict[str, Any]:
    """Return the alert's object with its site, area and machine beside the rest."""
    shown = {key: value for key, value in data.items() if key not in {"tags", "finding", "openedNs"}}
    return {**shown, **{name: data["tags"].get(name) for name in _LEVELS}}
