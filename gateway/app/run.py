"""The only wiring: builds everything, starts it, and stops it in reverse."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import structlog
from msgspec import Struct

from gateway.app.gauges import keep_gauges
from gateway.app.tasks import Tasks
from gateway.commands import Commands
from gateway.config import (
    Config,
    noise_of,
    route_table,
    standing_silences,
)
from gateway.consumers.delivery import Notifier, handler_subject
from gateway.consumers.influx.component import follow_influx
from gateway.consumers.mqtt_alerts import Announcer, take_up
from gateway.consumers.notification_planning import NAME as NOTIFIER
from gateway.consumers.otel.component import export_traces
from gateway.consumers.runner import Foreign, follow
from gateway.domain.engine.commands import Report
from gateway.domain.engine.unit_of_work import UnitOfWork
from gateway.domain.inputs.topics import TopicTemplates
from gateway.domain.model.events import Severity
from gateway.errors import JournalUnavailableError
from gateway.ingest.loop import ingest
from gateway.ingest.mapped import MappedInputs
from gateway.ingest.processor import Pipeline
from gateway.ingest.restore import restored_pipeline, signals_of
from gateway.ingest.subscriptions import BROKER, SUBSCRIPTIONS, remember_broker, remember_subscriptions
from gateway.ingest.ticker import pass_time
from gateway.ingest.waveforms import measure_waveforms
from gateway.journal import FILE_NAME, Journal, Outbox, QueryPool, StateLock, Stream, Upkeep, traceparent_behind
from gateway.journal.maintenance import rollups
from gateway.journal.queries.resolutions import RESOLUTIONS
from gateway.mqtt.incidents import Incidents, watch_incidents
from gateway.mqtt.losses import Dropped, Session, recall
from gateway.mqtt.publisher import Publisher
from gateway.mqtt.sparkplug_host import SparkplugHost
from gateway.mqtt.subscriber import make_subscriber
from gateway.mqtt.twins import Twins
from gateway.plugins.context import handler_context
from gateway.plugins.registry import Plugins, attach, build_plugins
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.readiness import Health, watch_broker
from gateway.web.component import open_listener, serve_page

log = structlog.get_logger(__name__)

ANNOUNCER = "announcer"


async def run(  # noqa: C901, PLR0915 - the one wiring, readable from top to bottom
    config: Config, started: Callable[[str | None], None] = lambda _: None, plugins: Plugins | None = None
) -> None:
    """Run the gateway until cancelled. `started` is called once it takes messages, with the address of its page.

    Who embeds the gateway may bring `plugins` of its own instead of those that the configuration names. Everything
    is built first, then started; what was built is taken down in reverse, whatever happens.
    """
    plugins = plugins or build_plugins(config)
    async with AsyncExitStack() as stack:
        lock = StateLock(config.gateway.state_dir)
        stack.callback(lock.release)
        path = config.gateway.state_dir / FILE_NAME
        journal = Journal(path)
        stack.callback(journal.close)
        stack.push(journal.suspect)
        stream = Stream(journal, path)
        stack.callback(stream.close)
        metrics = Metrics()
        templates = TopicTemplates(list(config.mqtt.topics))
        inputs = MappedInputs(plugins.inputs, 2 * config.mqtt.receive_maximum) if plugins.inputs else None
        filters = [*templates.filters, *signals_of(config).filters, *(inputs.filters if inputs else [])]
        filters = list(dict.fromkeys(filters))
        pipeline = restored_pipeline(config, journal, templates, inputs)
        stream.know(pipeline.sensors)
        stack.push_async_callback(_last_snapshot, journal, pipeline)

        client_id = config.mqtt.client_id or f"vibration-gateway-{config.gateway.id}"
        subscribed_once = json.loads(journal.note(SUBSCRIPTIONS) or "[]")
        obsolete = sorted(set(subscribed_once) - set(filters))
        incidents = Incidents()
        twins = Twins(incidents)
        session_name = f"{client_id} at {config.mqtt.host}:{config.mqtt.port}"
        known = recall(journal.note(BROKER), session_name)
        lasts = config.mqtt.session_expiry > 0
        session = Session(client_id, incidents, is_known=known.session != "", lasts=lasts, twins=twins)
        dropped = Dropped(incidents, known.dropped)
        subscriber = make_subscriber(config.mqtt, client_id, filters, obsolete, session)
        followers = [each.table for each in RESOLUTIONS]
        followers += [*(["influx"] if config.influxdb else []), *(f"consumer.{name}" for name in plugins.consumers)]
        upkeep = Upkeep(journal, stream, config.gateway.state_dir, config.retention, pipeline.snapshot)
        health = Health(subscriber, upkeep, lambda: twins.problem)
        publisher = Publisher(
            config.mqtt.for_publishing(), f"{client_id}-out", config.gateway.id, incidents, dropped=dropped, twins=twins
        )
        listener, page_url = open_listener(config, stack)
        edge_nodes = SparkplugHost(config.mqtt.for_publishing(), f"{client_id}-host", config.gateway.id)
        to_measure = asyncio.Event()

        async def report(subject: str, problem: str | None, severity: Severity = "warning") -> None:
            """Raise or clear an alert about a part of the gateway itself."""
            condition = PartCondition(subject, severity if problem else None, problem or "well again")
            await _report(journal, stream, condition)

        def stored(batch: UnitOfWork) -> None:
            """Do what a stored batch asks for beside the journal."""
            edge_nodes.send(batch.publications)
            if batch.waveforms:
                to_measure.set()

        announcer = Announcer(publisher, lambda fact: stream.read(traceparent_behind, fact), config.gateway.id)
        outbox = Outbox(journal, stream)
        operations = Commands(journal, stream)
        notifier = Notifier(
            outbox,
            route_table(config),
            noise=noise_of(config),
            silences=standing_silences(config),
            gateway_id=config.gateway.id,
            page_url=page_url or "",
            in_the_log={name for name, table in config.handlers.items() if table.type == "log"},
            told=metrics.count_notification,
            report=report,
        )
        await journal.call(journal.begin)
        await report("journal", journal.salvaged, "critical")
        await upkeep.check_disk(report)  # before anything comes in: what is acknowledged must have room
        for subject in await journal.call(_gone, journal, config):
            await report(subject, None)
        interrupted = await outbox.take_up(list(plugins.handlers))
        if interrupted:
            log.warning("messages were being sent when the gateway ended; they are sent again", count=interrupted)

        questions = QueryPool(path)
        stack.callback(questions.close)
        context = handler_context(config, journal, questions)
        tasks = await stack.enter_async_context(Tasks())
        tasks.start("notifier", notifier.plan(stream))
        for name, handler in plugins.handlers.items():
            attach(handler, context)
            table = config.handlers[name]
            tasks.start(f"handler {name}", notifier.deliver(name, handler, table.timeout, table.rate))
        await take_up(announcer, stream)
        tasks.start("publisher", publisher.run())
        tasks.start("announcer", follow(ANNOUNCER, announcer, stream, readings=False))
        if config.influxdb is not None:
            tasks.start("influx", follow_influx(config, config.influxdb, journal, stream, metrics, report))
        if config.otel is not None:
            tasks.start("otel", export_traces(config.otel, config.gateway.id, stream))
        for name, consumer in plugins.consumers.items():
            tasks.start(f"consumer {name}", follow(f"consumer.{name}", Foreign(consumer), stream))
        if listener is not None:
            tasks.start("http", serve_page(config, listener, stream, metrics, health, operations))
        tasks.start("rollups", rollups.follow_journal(journal, stream))
        tasks.start("time", pass_time(journal, pipeline, stream, health))
        tasks.start("upkeep", upkeep.run([NOTIFIER, ANNOUNCER, *followers], time.time_ns, report))
        tasks.start("inspection", upkeep.inspect(report))
        tasks.start("broker", watch_broker(lambda: health.broker_problems, report))
        tasks.start("incidents", watch_incidents(incidents, report))
        tasks.start("broker notes", remember_broker(journal, session_name, session, dropped))
        if config.heartbeat is not None:
            from gateway.telemetry.heartbeat import beat  # noqa: PLC0415 - httpx is 3 MB, only for those who have a heartbeat

            tasks.start("heartbeat", beat(config.heartbeat, health.reasons))
        if inputs is not None:
            limit = config.retention.waveforms
            tasks.start("waveforms", measure_waveforms(journal, pipeline, stream.announce, to_measure, limit))
        if any(each.format == "sparkplug" for each in plugins.inputs):
            tasks.start("sparkplug host", edge_nodes.run())
        tasks.start("gauges", keep_gauges(config, stream, metrics, subscriber))
        await stack.enter_async_context(subscriber)
        tasks.start("subscriptions", remember_subscriptions(subscriber, journal, filters, obsolete))
        tasks.start(
            "ingest",
            ingest(
                subscriber,
                journal=journal,
                pipeline=pipeline,
                stream=stream,
                metrics=metrics,
                health=health,
                stored=stored,
            ),
        )
        started(page_url)
        await tasks.failure()


async def _last_snapshot(journal: Journal, pipeline: Pipeline) -> None:
    """Save the sensors' state, so that the next start need not replay what has come since the last time."""
    with suppress(JournalUnavailableError):  # then it does replay it
        await journal.call(pipeline.snapshot)


class PartCondition(Struct, frozen=True):
    """How a part of the gateway is; without a severity it is well."""

    subject: str
    severity: Severity | None
    reason: str


async def _report(journal: Journal, stream: Stream, condition: PartCondition) -> None:
    try:
        await journal.ask(Report(condition.subject, condition.severity, condition.reason, time.time_ns()))
    except JournalUnavailableError as error:
        log.warning(
            "what is wrong with the gateway itself could not be recorded", about=condition.subject, error=str(error)
        )
    stream.announce()


def _gone(journal: Journal, config: Config) -> list[str]:
    """Return what there are open alerts about and what is not in the configuration any more."""
    subjects = {alert.sensor_id for alert in journal.open_alerts() if alert.kind == "gateway"}
    there = {handler_subject(name) for name in config.handlers} | ({"influxdb"} if config.influxdb else set())
    return sorted(name for name in subjects - there if name == "influxdb" or name.startswith(handler_subject("")))
