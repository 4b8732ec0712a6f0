"""The only wiring: builds everything, starts it, and stops it in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress

import structlog

from gateway.app.broker import broker_side
from gateway.app.component import Built, start
from gateway.app.components import COMPONENTS, start_consumers, start_handlers
from gateway.app.own_alerts import OwnAlerts
from gateway.app.tasks import Tasks
from gateway.commands import Commands
from gateway.config import Config, noise_of, route_table, standing_silences
from gateway.consumers.account import ConsumerAccount
from gateway.consumers.delivery import Notifier
from gateway.consumers.mqtt_alerts import Announcer, take_up
from gateway.consumers.runner import Follower, Runner
from gateway.domain.inputs.topics import TopicTemplates
from gateway.errors import JournalUnavailableError
from gateway.ingest.loop import ingest
from gateway.ingest.processor import Pipeline
from gateway.ingest.restore import mapped_inputs, restored_pipeline, signals_of
from gateway.ingest.subscriptions import is_first_start, remember_subscriptions
from gateway.journal import FILE_NAME, Journal, Outbox, QueryPool, StateLock, Stream, Upkeep, traceparent_behind
from gateway.journal.maintenance.retention import Report
from gateway.plugins.registry import Plugins, build_plugins, followers
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.readiness import Health
from gateway.web.component import open_listener

log = structlog.get_logger(__name__)

ANNOUNCER = "announcer"


async def run(
    config: Config, started: Callable[[str | None], None] = lambda _: None, plugins: Plugins | None = None
) -> None:
    """Run the gateway until cancelled. `started` is called once it takes messages, with the address of its page.

    Who embeds the gateway may bring `plugins` of its own instead of those that the configuration names. Everything
    is built first, then started; what was built is taken down in reverse, whatever happens.
    """
    plugins = plugins or build_plugins(config)
    async with AsyncExitStack() as stack:
        stack.callback(plugins.end)
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
        inputs = mapped_inputs(plugins.inputs, config.mqtt.receive_maximum)
        pipeline = restored_pipeline(config, journal, templates, inputs)
        stream.know(pipeline.sensors)
        stack.push_async_callback(_last_snapshot, journal, pipeline)

        wanted = [*templates.filters, *signals_of(config).filters, *(inputs.filters if inputs else [])]
        broker = broker_side(config, journal, wanted, plugins)
        subscriber = broker.subscriber
        listener, page_url = open_listener(config, stack)
        own_alerts = OwnAlerts(journal, stream)
        outbox = Outbox(journal, stream)
        announcer = Announcer(broker.publisher, lambda fact: stream.read(traceparent_behind, fact), config.gateway.id)
        consumers = [Follower(ANNOUNCER, announcer), *followers(config, plugins)]
        runners = {
            each.name: Runner(each, stream, ConsumerAccount(each, metrics, journal, own_alerts.report))
            for each in consumers
        }
        is_first, session = is_first_start(journal), broker.session
        upkeep = Upkeep(
            journal,
            stream,
            config.gateway.state_dir,
            config.retention,
            pipeline.snapshot,
            is_foreign=lambda: is_first and session.is_older,
        )
        questions = QueryPool(path)
        stack.callback(questions.close)
        built = Built(
            config=config,
            plugins=plugins,
            journal=journal,
            stream=stream,
            pipeline=pipeline,
            questions=questions,
            broker=broker,
            to_measure=asyncio.Event(),
            notifier=_notifier(config, outbox, metrics, own_alerts.report, page_url),
            runners=runners,
            commands=Commands(journal, stream, runners),
            upkeep=upkeep,
            health=Health(subscriber, upkeep, lambda: broker.twins.problem),
            metrics=metrics,
            report=own_alerts.report,
            listener=listener,
        )

        await journal.call(journal.begin)
        await own_alerts.report("journal", journal.salvaged, "critical")
        await upkeep.check_disk(own_alerts.report)  # before anything comes in: what is acknowledged must have room
        await own_alerts.clear_gone(config.handlers, consumers, [each.subject for each in plugins.decoders])
        interrupted = await outbox.take_up(list(plugins.handlers))
        if interrupted:
            log.warning("messages were being sent when the gateway ended; they are sent again", count=interrupted)

        await take_up(announcer, stream)
        tasks = await stack.enter_async_context(Tasks())
        start_handlers(built, tasks)
        start_consumers(built, tasks)
        start(COMPONENTS, built, tasks)
        await stack.enter_async_context(subscriber)
        tasks.start("subscriptions", remember_subscriptions(subscriber, journal, broker.filters, broker.obsolete))
        tasks.start(
            "ingest",
            ingest(
                subscriber,
                journal=journal,
                pipeline=pipeline,
                stream=stream,
                metrics=metrics,
                health=built.health,
                stored=built.act_on,
            ),
        )
        started(page_url)
        await tasks.failure()


def _notifier(config: Config, outbox: Outbox, metrics: Metrics, report: Report, page_url: str | None) -> Notifier:
    return Notifier(
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


async def _last_snapshot(journal: Journal, pipeline: Pipeline) -> None:
    """Save the sensors' state, so that the next start need not replay what has come since the last time."""
    with suppress(JournalUnavailableError):  # then it does replay it
        await journal.call(pipeline.snapshot)
