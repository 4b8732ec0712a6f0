"""The parts that run beside ingest: a row for each, and whether it is wanted."""

from __future__ import annotations

import time

from gateway.api import ConsumerContext
from gateway.app.component import Built, Component
from gateway.app.gauges import keep_gauges
from gateway.app.over_quota import watch_quotas
from gateway.app.tasks import Tasks
from gateway.consumers.notification_planning import NAME as NOTIFIER
from gateway.ingest.subscriptions import remember_broker
from gateway.ingest.ticker import pass_time
from gateway.journal import Reader
from gateway.journal.maintenance import rollups
from gateway.journal.queries.resolutions import RESOLUTIONS
from gateway.mqtt.incidents import watch_incidents
from gateway.plugins.context import handler_context
from gateway.plugins.registry import attach
from gateway.telemetry.certificates import watch_certificates
from gateway.telemetry.readiness import watch_broker
from gateway.web.component import serve_page


def _always(_built: Built) -> bool:
    return True


async def _measure(built: Built) -> None:
    from gateway.ingest.waveforms import measure_waveforms  # noqa: PLC0415 - only where there are inputs

    retention = built.config.retention
    most = min(retention.waveforms, retention.max_size // 2)  # or no reading would have room
    await measure_waveforms(built.journal, built.pipeline, built.stream.announce, built.to_measure, most)


async def _host(built: Built) -> None:
    assert built.broker.edge_nodes is not None  # noqa: S101 - else it is not wanted
    await built.broker.edge_nodes.run()


async def _watch_decoders(built: Built) -> None:
    from gateway.plugins.foreign import watch_decoders  # noqa: PLC0415 - only where there are decoders

    await watch_decoders(built.plugins.decoders, built.report)


async def _beat(built: Built) -> None:
    from gateway.telemetry.heartbeat import beat  # noqa: PLC0415 - httpx is 3 MB, only for those who have a heartbeat

    assert built.config.heartbeat is not None  # noqa: S101 - else it is not wanted
    await beat(built.config.heartbeat, built.health.reasons)


async def _look_after_journal(built: Built) -> None:
    """Keep the journal in bounds; what those who follow it have not had yet is kept for as long as possible."""
    waited_for = [name for name, runner in built.runners.items() if runner.follower.wants.waits]
    names = [NOTIFIER, *(each.table for each in RESOLUTIONS), *waited_for]
    await built.upkeep.run(names, time.time_ns, built.report)


COMPONENTS = (
    Component("notifier", _always, lambda built: built.notifier.plan(built.stream)),
    Component("publisher", _always, lambda built: built.broker.publisher.run()),
    Component(
        "http",
        lambda built: built.listener is not None,
        lambda b: serve_page(b.config, b.listener, b.stream, b.metrics, b.health, b.commands),
    ),
    Component("rollups", _always, lambda built: rollups.follow_journal(built.journal, built.stream)),
    Component("time", _always, lambda b: pass_time(b.journal, b.pipeline, b.stream, b.health)),
    Component("upkeep", _always, _look_after_journal),
    Component("inspection", _always, lambda built: built.upkeep.inspect(built.report)),
    Component("broker", _always, lambda built: watch_broker(lambda: built.health.broker_problems, built.report)),
    Component("certificates", _always, lambda built: watch_certificates(built.config, built.report)),
    Component("incidents", _always, lambda built: watch_incidents(built.broker.incidents, built.report)),
    Component(
        "broker notes",
        _always,
        lambda b: remember_broker(b.journal, b.broker.name, b.broker.session, b.broker.dropped),
    ),
    Component("decoders", lambda built: bool(built.plugins.decoders), _watch_decoders),
    Component("waveforms", lambda built: bool(built.plugins.inputs), _measure),
    Component("sparkplug host", lambda built: built.broker.edge_nodes is not None, _host),
    Component("heartbeat", lambda built: built.config.heartbeat is not None, _beat),
    Component("gauges", _always, keep_gauges),
    Component("quotas", _always, watch_quotas),
)


def start_handlers(built: Built, tasks: Tasks) -> None:
    """Start a task for each handler."""
    context = handler_context(built.config, built.journal, built.questions)
    for name, handler in built.plugins.handlers.items():
        attach(handler, context)
        table = built.config.handlers[name]
        tasks.start(f"handler {name}", built.notifier.deliver(name, handler, table.timeout, table.rate))


def start_consumers(built: Built, tasks: Tasks) -> None:
    """Start a task for each consumer."""
    context = ConsumerContext(
        built.config.gateway.id,
        built.metrics.values,
        lambda fact: built.stream.read(Reader.reading_behind, fact),
        lambda id_: built.stream.read(Reader.entries_with_id, id_),
    )
    for name, runner in built.runners.items():
        tasks.start(f"consumer {name}", runner.run(context))
