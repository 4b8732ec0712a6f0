"""The half that follows the journal: built, taken up, and started, wherever it runs."""

from __future__ import annotations

from typing import Any

import structlog
from msgspec import Struct

from gateway.api import ConsumerContext
from gateway.app.component import FollowerSide, start
from gateway.app.components import FOLLOWERS
from gateway.app.own_alerts import OwnAlerts
from gateway.app.tasks import Tasks
from gateway.commands import Commands
from gateway.config import Config, noise_of, route_table, standing_silences
from gateway.consumers.account import ConsumerAccount
from gateway.consumers.delivery import Notifier
from gateway.consumers.mqtt_alerts import Announcer, Publisher, take_up
from gateway.consumers.runner import Follower, Runner
from gateway.domain.engine.commands import Writer
from gateway.journal import Outbox, QueryPool, Reader, Stream, traceparent_behind
from gateway.journal.maintenance.retention import Report
from gateway.plugins.context import handler_context
from gateway.plugins.registry import Plugins, attach, followers
from gateway.security.reachable import page_address
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.readiness import Condition

log = structlog.get_logger(__name__)

ANNOUNCER = "announcer"


class Ingest(Struct, frozen=True):
    """What this half has of the other one: the writer, the journal as a stream, how it is, and who publishes."""

    writer: Writer
    stream: Stream
    condition: Condition
    publisher: Publisher


def all_followers(config: Config, plugins: Plugins, ingest: Ingest) -> list[Follower]:
    """Return everybody with a cursor of his own."""
    announcer = Announcer(
        ingest.publisher, lambda fact: ingest.stream.read(traceparent_behind, fact), config.gateway.id
    )
    return [Follower(ANNOUNCER, announcer), *_uplink(config, ingest), *followers(config, plugins)]


def _uplink(config: Config, ingest: Ingest) -> list[Follower]:
    if config.fleet is None:
        return []
    from gateway.fleet.uplink import NAME, Uplink  # noqa: PLC0415 - only for one of a fleet

    return [Follower(NAME, Uplink(config, ingest.writer, ingest.stream), "fleet.centre")]


async def start_followers(  # noqa: PLR0917 - it builds from what it is given
    config: Config,
    plugins: Plugins,
    ingest: Ingest,
    metrics: Metrics,
    questions: QueryPool,
    listener: Any,
    tasks: Tasks,
) -> None:
    """Take up what was under way, and start everything that follows the journal."""
    report = OwnAlerts(ingest.writer, ingest.stream).report
    outbox = Outbox(ingest.writer, ingest.stream)
    consumers = all_followers(config, plugins, ingest)
    runners = {
        each.name: Runner(each, ingest.stream, ConsumerAccount(each, metrics, ingest.writer, report))
        for each in consumers
    }
    side = FollowerSide(
        config=config,
        plugins=plugins,
        writer=ingest.writer,
        stream=ingest.stream,
        questions=questions,
        notifier=Notifier(
            outbox,
            route_table(config),
            noise=noise_of(config),
            silences=standing_silences(config),
            gateway_id=config.gateway.id,
            page_url=f"{address}/" if (address := page_address(config)) else "",
            in_the_log={name for name, table in config.handlers.items() if table.type == "log"},
            told=metrics.count_notification,
            report=report,
        ),
        runners=runners,
        commands=Commands(ingest.writer, ingest.stream, runners),
        condition=ingest.condition,
        metrics=metrics,
        listener=listener,
        report=report,
        centre=_centre(config, report, metrics),
    )
    interrupted = await outbox.take_up(list(plugins.handlers))
    if interrupted:
        log.warning("messages were being sent when the gateway ended; they are sent again", count=interrupted)
    announcer = consumers[0].consumer
    assert isinstance(announcer, Announcer)  # noqa: S101 - made above
    await take_up(announcer, ingest.stream)
    _start_handlers(side, tasks)
    _start_consumers(side, tasks)
    start(FOLLOWERS, side, tasks)


def _centre(config: Config, report: Report, metrics: Metrics) -> Any:
    if config.centre is None:
        return None
    from gateway.fleet.centre import Centre  # noqa: PLC0415 - only where there is one
    from gateway.fleet.store import FILE_NAME, FleetStore  # noqa: PLC0415 - as above

    store = FleetStore(config.gateway.state_dir / FILE_NAME, frozenset(config.centre.gateways))
    return Centre(config, store, report, metrics.count_refused_report)


def _start_handlers(side: FollowerSide, tasks: Tasks) -> None:
    context = handler_context(side.config, side.writer, side.questions)
    for name, handler in side.plugins.handlers.items():
        attach(handler, context)
        table = side.config.handlers[name]
        tasks.start(f"handler {name}", side.notifier.deliver(name, handler, table.timeout, table.rate))


def _start_consumers(side: FollowerSide, tasks: Tasks) -> None:
    context = ConsumerContext(
        side.config.gateway.id,
        side.metrics.values,
        lambda fact: side.stream.read(Reader.reading_behind, fact),
        lambda id_: side.stream.read(Reader.entries_with_id, id_),
    )
    for name, runner in side.runners.items():
        tasks.start(f"consumer {name}", runner.run(context))
