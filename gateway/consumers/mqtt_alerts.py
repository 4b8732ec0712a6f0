"""Alerts on MQTT, for everybody: the current state of each sensor's alert, retained."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from gateway.api import ConsumerContext, DeliveryError, Refused, Taken, Wants
from gateway.consumers.cursor import patiently
from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.inputs.traceparent import NAME
from gateway.domain.model.alert_kinds import ALERT_KINDS
from gateway.domain.model.events import DomainEvent
from gateway.journal import Reader, Stream

_LEVELS = ("site", "area", "machine")
_NOT_IN_A_LEVEL = re.compile(r"[/+#%\x00]")
"""They are written as in an address: A+B is A%2BB, so that it is neither a wildcard nor another sensor's A_B."""
NAMELESS = "-"


class Publisher(Protocol):
    """What the announcer asks of the connection."""

    async def publish(self, topic: str, payload: str, traceparent: str = "", *, may_go: bool = False) -> None:
        """Publish and wait for the broker's answer. Raises DeliveryError."""
        ...

    def expect(self, topic: str, payload: str, *, may_go: bool = False) -> None:
        """Watch over what an earlier process has published."""
        ...


class Announcer:
    """A consumer that publishes, and has the publisher watch over what it has published.

    `trace_of` finds the traceparent of the reading that a fact followed from; it is empty if there is none.
    """

    wants = Wants(readings=False, types=frozenset(ALERT_FACTS))

    def __init__(
        self, publisher: Publisher, trace_of: Callable[[DomainEvent], Awaitable[str]], gateway_id: str = ""
    ) -> None:
        self._publisher = publisher
        self._gateway_id = gateway_id
        self._trace_of = trace_of

    async def take_up(self, facts: Iterable[DomainEvent]) -> None:
        """Expect the broker to have what was announced of the open alerts; `facts` are their last changes."""
        for fact in facts:
            self._publisher.expect(self._topic(fact), said(fact, await self._trace_of(fact)))

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Taken:  # noqa: ARG002 - a consumer is handed both
        """Publish the last state of every alert in the step. Raises DeliveryError."""
        latest = {self._topic(entry.fact): entry for entry in entries if entry.fact.type in ALERT_FACTS}
        refused: list[Refused] = []
        for topic, entry in latest.items():
            fact = entry.fact
            traceparent, is_over = await self._trace_of(fact), fact.data["state"] == "cleared"
            try:
                await self._publisher.publish(topic, said(fact, traceparent), traceparent, may_go=is_over)
            except DeliveryError as error:
                if error.retry:
                    raise
                refused.append(Refused(entry.seq, str(error)))
        return Taken(refused)

    def _topic(self, fact: DomainEvent) -> str:
        return alert_topic(fact.data, self._gateway_id)

    async def start(self, context: ConsumerContext) -> None:
        """Do nothing: the connection is another part's."""

    async def close(self) -> None:
        """Do nothing, as `start`."""


async def take_up(announcer: Announcer, stream: Stream) -> None:
    """Let the announcer know what is open; while the journal cannot be read, try again."""
    await patiently(lambda: _take_up(announcer, stream))


async def _take_up(announcer: Announcer, stream: Stream) -> None:
    await announcer.take_up(await stream.read(_last_changes))


def _last_changes(reader: Reader) -> list[DomainEvent]:
    """Return the last change of every open alert."""
    facts = []
    for alert in reader.alerts(everything=False):
        facts += [each.fact for each in reader.alert_events(alert.id) if each.fact.type in ALERT_FACTS][-1:]
    return facts


def said(fact: DomainEvent, traceparent: str) -> str:
    """Return what is published of a change of an alert, as JSON."""
    return msgspec.json.encode(announcement(fact.data) | ({NAME: traceparent} if traceparent else {})).decode()


def alert_topic(data: dict[str, Any], gateway_id: str) -> str:
    """Return vibration/alerts/{site}/{area}/{machine}/{sensor}, with a dash for what the sensor's topic did not say.

    A kind may have a level more (`health`: about the sensor itself), since alerts of two kinds may be open at once. One
    about a part of a gateway is below that gateway's own topics: another gateway may have one about the same part.
    """
    kind = ALERT_KINDS[data["kind"]]
    if not kind.is_of_sensor:
        return f"vibration/gateway/{gateway_id}/alerts/{_level(data['sensorId'])}"
    sensor = data.get("publishedId") or data["sensorId"]  # its place is in the topic already
    levels = [*(_level(data["tags"].get(name) or "") for name in _LEVELS), _level(sensor)]
    topic = "/".join(("vibration", "alerts", *levels))
    return "/".join(filter(None, (topic, kind.topic)))


def _level(name: str) -> str:
    """Return a name as one level of a topic that may be published on: another one for each name."""
    if name == NAMELESS:
        return f"%{ord(name):02X}"
    return _NOT_IN_A_LEVEL.sub(lambda found: f"%{ord(found[0]):02X}", name) or NAMELESS


def announcement(data: dict[str, Any]) -> dict[str, Any]:
    """Return the alert's object with its site, area and machine beside the rest."""
    shown = {key: value for key, value in data.items() if key not in {"tags", "finding", "openedNs", "newcomer"}}
    return {**shown, **{name: data["tags"].get(name) for name in _LEVELS}}
