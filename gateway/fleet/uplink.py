"""This gateway as one of a fleet: a consumer sends its facts to the centre; beside it go its health, and answers."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import msgspec
import structlog

from gateway import __version__
from gateway.api import ConsumerContext, DeliveryError, Taken, Wants
from gateway.commands import Commands
from gateway.config import Config
from gateway.consumers.cursor import patiently
from gateway.domain.alerting.alert import describe, is_worse
from gateway.domain.engine.commands import WriteNote, Writer
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.model.events import Severity
from gateway.domain.model.timefmt import rfc3339
from gateway.errors import ConflictError, GatewayError, JournalUnavailableError
from gateway.fleet import wire
from gateway.fleet.connection import Line
from gateway.fleet.wire import Answer, Health, OpenAlert, Order
from gateway.journal import Reader, Stream
from gateway.journal.maintenance.retention import Report, disk_free

log = structlog.get_logger(__name__)

NAME = "fleet"
"""Of the cursor, and of what an alert about it is about."""

_EPOCH, _ANSWERED = "fleet_epoch", "fleet_answered"
_EVERY = 30.0
_UNHEARD = 300.0
"""Seconds without a word of the centre, on a connection that stands, until people are told."""
_AT_ONCE = 100
_MOST_ALERTS = 5000
_REMEMBERED = 200
"""Orders whose answers are kept: one that comes again is answered again, not obeyed again."""


class Uplink:
    """The consumer, and what `run` keeps up beside it."""

    wants = Wants(readings=False, start="now")

    def __init__(self, config: Config, writer: Writer, stream: Stream) -> None:
        assert config.fleet is not None  # noqa: S101 - else there is none
        self._config, self._writer, self._stream = config, writer, stream
        self._gateway = config.gateway.id
        self._orders_count = config.fleet.orders
        self._line = Line(
            config.fleet,
            f"vibration-gateway-{self._gateway}-fleet",
            [wire.topic(self._gateway, wire.ORDERS)],
            self._hear,
            self._begin,
        )
        self._epoch = ""
        self._instance = str(uuid4())
        self._last: int | None = None
        self._heard_at: float | None = None
        self._answered: dict[str, Answer] = {}
        self._sending = asyncio.Lock()
        self._digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:12]  # secrets are stars in it
        self._commands: Commands | None = None
        self._again: Callable[[int], None] = lambda _: None
        self._reasons: Callable[[], Sequence[str]] = list

    async def start(self, context: ConsumerContext) -> None:
        """Do nothing: `run` connects."""

    async def close(self) -> None:
        """Do nothing, as `start`."""

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Taken:  # noqa: ARG002 - a consumer is handed both
        """Send facts, each message with the place of the fact before its first. Raises DeliveryError."""
        epoch = await self._known_epoch()
        for start in range(0, len(entries), _AT_ONCE):
            some = entries[start : start + _AT_ONCE]
            after = self._last
            if after is None or after >= some[0].seq:  # the first since the start, or they are sent again
                after = await self._stream.read(Reader.fact_before, some[0].seq)
            await self._send(wire.FACTS, wire.Facts(self._gateway, epoch, after, wire.sent(some)))
            self._last = some[-1].seq
        return Taken()

    async def run(
        self, commands: Commands, again: Callable[[int], None], reasons: Callable[[], Sequence[str]], report: Report
    ) -> None:
        """Keep the connection, say how we are, and obey; `again` has the facts after a place sent once more."""
        self._commands, self._again, self._reasons = commands, again, reasons
        kept = await patiently(lambda: self._stream.read(Reader.note, _ANSWERED))
        for each in msgspec.json.decode(kept, type=list[Answer]) if kept else []:
            self._answered[each.id] = each
        await self._known_epoch()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._line.run(), name="fleet: connection")
            group.create_task(self._beat(report), name="fleet: health")

    async def _known_epoch(self) -> str:
        """Return what tells this journal from another one of the same gateway."""
        if not self._epoch:
            known = await patiently(lambda: self._stream.read(Reader.note, _EPOCH))
            if not known:
                known = str(uuid4())
                await patiently(lambda: self._writer.ask(WriteNote(_EPOCH, known)))
            self._epoch = known
        return self._epoch

    async def _send(self, what: str, message: Any) -> None:
        try:
            await self._line.publish(wire.topic(self._gateway, what), wire.write(message))
        except ConnectionError as error:
            raise DeliveryError(f"the fleet's centre: {error}") from error

    async def _begin(self) -> None:
        """Say how we are and what is open; what changed meanwhile follows from the cursor."""
        with suppress(DeliveryError):
            await self._say_health()
            await self._send_snapshot()

    async def _beat(self, report: Report) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            with suppress(DeliveryError, JournalUnavailableError):
                await self._say_health()
            await report(NAME, self._unheard(), "warning")

    def _unheard(self) -> str | None:
        """Say that the centre confirms nothing, though there is a connection: that is nobody else's to notice."""
        since, now = self._line.since, time.monotonic()
        if since is None:
            return None  # the consumer's own alert says that it cannot send
        if now - max(since, self._heard_at or since) < _UNHEARD:
            return None
        return (
            f"the fleet's centre has confirmed nothing for {_UNHEARD / 60:g} minutes, though its broker is reached:"
            f" does it run, and may this gateway's account write below {wire.topic(self._gateway, '')}?"
        )

    async def _say_health(self) -> None:
        epoch = await self._known_epoch()
        folder = self._config.gateway.state_dir
        sensors, open_, places, size = await self._stream.read(_figures)
        last = self._stream.last_seq
        await self._send(
            wire.HEALTH,
            Health(
                gateway=self._gateway,
                epoch=epoch,
                instance=self._instance,
                version=__version__,
                at_ns=time.time_ns(),
                sent=self._last or 0,
                reasons=list(self._reasons())[:10],
                sensors=sensors,
                open=open_,
                behind={name: max(0, last - seq) for name, seq in places.items()},
                free=disk_free(folder),
                journal=size,
                config=self._digest,
            ),
        )

    async def _send_snapshot(self) -> None:
        epoch = await self._known_epoch()
        until, sent, alerts, left_out = await self._stream.read(_open_alerts)
        sent = sent if self._last is None else self._last
        await self._send(wire.FACTS, wire.Snapshot(self._gateway, epoch, until, sent, alerts, left_out))

    async def _hear(self, _topic: str, payload: object) -> None:
        try:
            order = wire.read(payload, Order)
        except wire.NotUnderstoodError as error:
            log.warning("an order of the fleet's centre is not understood and not obeyed", problem=str(error))
            return
        try:
            await self._obey(order)
        except (DeliveryError, JournalUnavailableError) as error:  # the centre asks again
            log.info("an order of the fleet's centre is not done yet", do=order.do, problem=str(error))

    async def _obey(self, order: Order) -> None:
        if order.do == "heard":
            self._heard_at = time.monotonic()
        elif order.do == "again":
            self._again(max(0, order.after))
        elif order.do == "snapshot":
            await self._send_snapshot()
        else:
            await self._send(wire.ANSWERS, await self._answer(order))

    async def _answer(self, order: Order) -> Answer:
        """Do what is ordered, once; the answer is remembered before it is sent."""
        async with self._sending:
            known = self._answered.get(order.id)
            if known is None:
                known = Answer(self._gateway, order.id, *await self._do(order))
                self._answered[order.id] = known
                while len(self._answered) > _REMEMBERED:
                    del self._answered[next(iter(self._answered))]
                kept = msgspec.json.encode(list(self._answered.values())).decode()
                await self._writer.ask(WriteNote(_ANSWERED, kept))
                log.info("an order of the fleet's centre", do=order.do, by=order.by, done=known.done, said=known.said)
            return known

    async def _do(self, order: Order) -> tuple[bool, str]:
        """Return whether it was done, and in words what came of it. Raises JournalUnavailableError."""
        now = time.time_ns()
        alert = await self._stream.read(Reader.find_alert, order.alert)
        if alert is None or (why_not := self._why_not(order, alert.severity, now)):
            return False, "there is no such alert" if alert is None else why_not
        assert self._commands is not None  # noqa: S101 - before there was a connection
        try:
            return True, await self._done(self._commands, alert.id, order, now)
        except JournalUnavailableError:
            raise
        except GatewayError as error:
            return False, str(error)

    def _why_not(self, order: Order, severity: Severity, now: int) -> str:
        if not self._orders_count:
            return "this gateway takes no orders: its fleet.orders is false"
        if not order.by:
            return "it says nobody's name"
        if now > order.until_ns:
            return f"it came too late: it counted until {rfc3339(order.until_ns)}, by the centre's clock"
        if is_worse(severity, order.severity):
            return f"it is {severity} by now; who asked has seen a {order.severity}"
        return ""

    @staticmethod
    async def _done(commands: Commands, alert: str, order: Order, now: int) -> str:
        by = f"{order.by} (fleet)"
        if order.do == "acknowledge":
            await commands.acknowledge(alert, by, order.reason)
            return "acknowledged"
        if order.do == "unshelve":
            await commands.unshelve(alert, by, order.reason)
            return "not shelved any more"
        left = order.at_ns + order.for_ns - now
        if left <= 0:
            raise ConflictError("the time that it was to be shelved for is over")
        await commands.shelve(alert, left, by, order.reason)
        return "shelved"


def _figures(reader: Reader) -> tuple[int, dict[str, int], dict[str, int], int]:
    return reader.count_sensors(), reader.count_open_alerts(), dict(reader.cursors()), reader.size()


def _open_alerts(reader: Reader) -> tuple[int, int, list[OpenAlert], int]:
    """Return the place up to which this holds, the last fact sent, the open alerts, and how many did not fit."""
    with reader.at_once():
        until = reader.fact_before(2**62)
        sent = reader.fact_before(reader.cursors().get(NAME, until) + 1)
        alerts = reader.alerts(everything=False)
        shown = [OpenAlert(_last_change(reader, each.id), describe(each)) for each in alerts[:_MOST_ALERTS]]
    return until, sent, shown, max(0, len(alerts) - _MOST_ALERTS)


def _last_change(reader: Reader, alert_id: str) -> int:
    return max((each.seq for each in reader.alert_events(alert_id)), default=0)
