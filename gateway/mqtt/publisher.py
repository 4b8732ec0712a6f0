"""MQTT out: a connection of its own for alerts and for the gateway's status, which is its last will.

It hears its own topics too, to put right what the broker does not have any more or somebody else has overwritten, and
how many messages the broker dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import suppress

import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.config import MqttSection
from gateway.domain.inputs.traceparent import NAME
from gateway.errors import DeliveryError
from gateway.mqtt.connection import LASTING, Pauses, refused, tls_of
from gateway.mqtt.incidents import TOPICS, Incidents
from gateway.mqtt.link import UNREACHABLE, Link, LinkEndedError, make_client
from gateway.mqtt.losses import DROPPED_TOPIC, Dropped
from gateway.mqtt.retained import SUSPICIOUS, Retained
from gateway.mqtt.twins import OUT, STAND_BACK, Twins

log = structlog.get_logger(__name__)

ALERTS, OWN = "vibration/alerts", "vibration/gateway"
"""What the topics of alerts begin with, and those of each gateway."""

_PATIENCE = 10.0
"""Seconds that the broker has to answer."""
_GOODBYE = 2.0
"""Seconds that it has for "offline": a stop does not wait for a mute broker."""
_LOOK_EVERY = 1.0
_LARGEST_PACKET = 1024 * 1024
"""Bytes. What others publish on the alert topics is not ours to buffer; an MQTT 5 broker drops what is larger."""
_RETAIN_NOT_SUPPORTED = 0x9A
_ASKED_AT_MOST = 3
"""How often a subscription may end the connection, as it does with brokers that punish what they do not allow."""
ONLINE, OFFLINE = b"online", b"offline"

_NOT_CONNECTED = "not connected to the broker"
_NOTHING_RETAINED = "the broker keeps no retained messages, and the state of an alert has to be retained"
_OVERWRITTEN = (
    "somebody else has published on {topic!r}, which is this gateway's own; it is put right, but whoever trusts that"
    " topic has been told something else meanwhile"
)
_DOES_NOT_LAST = (
    "the connection that publishes alerts and the status does not last; the broker may end it over what its account may"
    " not do"
)
_TURNED_AWAY = (
    "the broker ends the connection that publishes alerts and the status instead of answering it, as one does that"
    " keeps no retained messages (MQTT 3.1.1)"
)
_DOES_NOT_STAY = (
    "the broker acknowledges what this gateway publishes on {topic!r}, but it is not there: the gateway's account may"
    " not write there, or somebody else does"
)


class Publisher:
    """Publishes retained messages at QoS 1 while `run` keeps the connection, and watches over them."""

    def __init__(
        self,
        section: MqttSection,
        client_id: str,
        gateway_id: str,
        incidents: Incidents,
        *,
        dropped: Dropped,
        twins: Twins,
    ) -> None:
        self._section = section
        self._client_id = client_id
        self._status_topic = f"{OWN}/{gateway_id}/status"
        self._own_topics = (f"{OWN}/{gateway_id}/#", f"{ALERTS}/#")
        self._incidents = incidents
        self._dropped = dropped
        self._twins = twins
        self._retained = Retained()
        self._link: Link | None = None
        self._is_v5 = section.protocol == "5"
        self._will = (self._status_topic, OFFLINE)
        self._reads_back = True
        self._turned_away = 0
        self._unwelcome: Counter[str] = Counter()
        self._why_not = _NOT_CONNECTED

    def expect(self, topic: str, payload: str, *, may_go: bool = False) -> None:
        """Watch over what an earlier process has published."""
        self._retained.want(topic, payload.encode(), time.monotonic(), may_go=may_go)

    async def publish(self, topic: str, payload: str, traceparent: str = "", *, may_go: bool = False) -> None:
        """Publish and wait for the broker's answer; `may_go`: nobody misses it if somebody else deletes it.

        Raises DeliveryError when there is no connection, or the broker refuses it (MQTT 5); what is refused is tried
        again later all the same. MQTT 3.1.1 has no place for a traceparent, and no answer for a refusal: a broker that
        does not hand the message back is told of.
        """
        if self._link is None:
            raise DeliveryError(self._why_not)
        self._retained.want(topic, payload.encode(), time.monotonic(), may_go=may_go)
        try:
            reason = await self._send(self._link, topic, payload.encode(), self._properties(traceparent))
        except (TimeoutError, LinkEndedError) as error:
            raise DeliveryError(f"could not publish on {topic!r}: {str(error) or 'no answer'}") from error
        except ValueError as error:
            raise DeliveryError(f"could not publish on {topic!r}: {error}", retry=False) from error
        if reason.is_failure:
            raise DeliveryError(self._say_refused(topic, reason), retry=False)

    async def run(self) -> None:
        """Stay connected until cancelled; then say goodbye."""
        pauses = Pauses()
        while True:
            try:
                await self._connect_once(pauses)
            except (LinkEndedError, OSError) as error:  # a timeout is one
                self._why_not = f"{_NOT_CONNECTED}: {str(error) or 'no answer'}"
                log.debug("the announcer's connection has ended", error=str(error), pause=pauses.seconds)
            pauses.ended()
            if suspicion := pauses.suspicion(self._client_id):
                self._incidents.happened(TOPICS, "warning", f"{_DOES_NOT_LAST}{suspicion}")
            await asyncio.sleep(STAND_BACK if self._twins.problem else pauses.seconds)

    async def _connect_once(self, pauses: Pauses) -> None:
        """Connect, and stay until the connection ends. Raises LinkEndedError, OSError (a timeout, a file of TLS)."""
        tls = tls_of(self._section.tls) if self._section.tls else None  # its files may be others by now
        client = make_client(self._section, self._client_id, tls, reconnect_on_failure=False)
        client.will_set(self._status_topic, OFFLINE, 1, retain=True)
        link = Link(client, self._hear)
        try:
            reason = await self._open(link)
            if reason.is_failure:
                self._say_not_let_in(reason)
                return
            pauses.connected()
            self._twins.came(OUT)
            await self._begin(link)
            await self._watch_over(link)
        except LinkEndedError:
            self._twins.went(OUT)
            raise
        finally:
            await self._leave(link)

    async def _open(self, link: Link) -> ReasonCode:
        """Connect; tell of a broker that ends the connection instead of answering, again and again."""
        try:
            async with asyncio.timeout(_PATIENCE):
                reason = await link.open(self._section, _LARGEST_PACKET if self._is_v5 else None)
        except LinkEndedError as error:
            self._turned_away += str(error) != UNREACHABLE
            if self._turned_away >= _ASKED_AT_MOST:
                self._incidents.happened(TOPICS, "warning", _TURNED_AWAY)
            raise
        self._turned_away = 0
        return reason

    async def _begin(self, link: Link) -> None:
        """Say that we are there, then listen to what the broker has."""
        now = time.monotonic()
        self._dropped.connected()
        self._retained.doubt(now)
        self._retained.want(self._status_topic, ONLINE, now)
        reason = await self._send(link, self._status_topic, ONLINE)
        if reason.is_failure:
            self._say_refused(self._status_topic, reason)
        self._link = link
        await self._may_hear(link, DROPPED_TOPIC)
        own = [await self._may_hear(link, topic) for topic in self._own_topics]
        if self._reads_back and not all(own):
            log.info("the broker does not let the gateway read its own topics: what is missing there is not noticed")
        self._reads_back = all(own)

    async def _may_hear(self, link: Link, topic: str) -> bool:
        """Subscribe; tell whether the broker allows it. One that rather ends the connection is not asked for ever."""
        if self._unwelcome[topic] >= _ASKED_AT_MOST:
            return False
        self._unwelcome[topic] += 1
        async with asyncio.timeout(_PATIENCE):
            reason = await link.subscribe(topic)
        self._unwelcome[topic] = 0
        return not reason.is_failure

    async def _watch_over(self, link: Link) -> None:
        """Put right what is not as it should be, until the connection ends. Raises LinkEndedError, TimeoutError."""
        began = time.monotonic()
        while not link.ended.done():
            if self._twins.problem and time.monotonic() - began > LASTING:
                self._twins.well()
            for topic, payload, attempts in self._retained.due(time.monotonic()):
                with suppress(ValueError):  # said when it was published
                    await self._again(link, topic, payload, attempts)
            await asyncio.wait([link.ended], timeout=_LOOK_EVERY)
        raise LinkEndedError(link.ended.result())

    async def _again(self, link: Link, topic: str, payload: bytes, attempts: int) -> None:
        reason = await self._send(link, topic, payload)
        if reason.is_failure:
            self._say_refused(topic, reason)
        elif attempts >= SUSPICIOUS:
            self._incidents.happened(TOPICS, "warning", _DOES_NOT_STAY.format(topic=topic))

    async def _send(self, link: Link, topic: str, payload: bytes, properties: Properties | None = None) -> ReasonCode:
        """Publish; what the broker takes and does not let us read is taken for retained. Raises what Link's does."""
        try:
            async with asyncio.timeout(_PATIENCE):
                reason = await link.publish(topic, payload, properties)
        except ValueError:  # such as a topic of more than 65,535 bytes
            self._retained.forget(topic)
            raise
        if not reason.is_failure and not self._reads_back:
            self._retained.believe(topic)
        return reason

    def _hear(self, topic: str, payload: bytes) -> None:
        """Take what the broker says: its count, or what it has on one of our topics."""
        if topic == DROPPED_TOPIC:
            self._dropped.hear(payload)
        elif self._retained.hear(topic, payload, time.monotonic()) and (topic, payload) != self._will:
            self._incidents.happened(TOPICS, "warning", _OVERWRITTEN.format(topic=topic))

    async def _leave(self, link: Link) -> None:
        """End the connection; if it still stands, say so first."""
        if self._link is not None:
            self._link = None
            self._why_not = _NOT_CONNECTED
        if link.connected.done() and not link.ended.done():
            with suppress(LinkEndedError, TimeoutError):  # nobody listens any more
                async with asyncio.timeout(_GOODBYE):
                    await link.publish(self._status_topic, OFFLINE)
        await link.close()

    def _say_refused(self, topic: str, reason: ReasonCode) -> str:
        said = f"the broker refuses ({reason}) what this gateway publishes on {topic!r}; may its account write there?"
        self._incidents.happened(TOPICS, "warning", said)
        return said

    def _say_not_let_in(self, reason: ReasonCode) -> None:
        why = _NOTHING_RETAINED if reason.value == _RETAIN_NOT_SUPPORTED else refused(reason)
        self._why_not = f"alerts and the status are not published on MQTT: {why}"
        self._incidents.happened(TOPICS, "warning", self._why_not)

    def _properties(self, traceparent: str) -> Properties | None:
        if not traceparent or not self._is_v5:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's own lack
        properties.UserProperty = (NAME, traceparent)
        return properties
