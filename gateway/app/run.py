"""The only wiring: builds everything, starts it, and stops it in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

from gateway import __version__
from gateway.app.broker import broker_side
from gateway.app.component import IngestSide, start
from gateway.app.components import INGEST
from gateway.app.followers import Ingest, all_followers, start_followers
from gateway.app.own_alerts import OwnAlerts, clear_gone
from gateway.app.supervisor import Supervisor, job_of
from gateway.app.tasks import Tasks
from gateway.config import Config
from gateway.domain.inputs.topics import TopicTemplates
from gateway.errors import JournalUnavailableError
from gateway.ingest.loop import IngestLoop
from gateway.ingest.processor import Pipeline
from gateway.ingest.restore import mapped_inputs, restored_pipeline, signals_of
from gateway.ingest.subscriptions import is_first_start, remember_subscriptions
from gateway.journal import FILE_NAME, Journal, QueryPool, StateLock, Stream, Upkeep
from gateway.plugins.registry import Plugins, build_plugins
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.readiness import Health
from gateway.web.component import open_listener


async def run(
    config: Config,
    started: Callable[[str | None], None] = lambda _: None,
    plugins: Plugins | None = None,
    log_level: str = "info",
) -> None:
    """Run the gateway until cancelled. `started` is called once it takes messages, with the address of its page.

    Who embeds the gateway may bring `plugins` of its own instead of those that the configuration names; those that
    follow the journal are used where there is one process. Everything is built first, then started; what was built is
    taken down in reverse, whatever happens.
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
        metrics.info.labels(config.gateway.id, __version__).set(1)
        templates = TopicTemplates(list(config.mqtt.topics))
        inputs = mapped_inputs(plugins.inputs, config.mqtt.receive_maximum)
        pipeline = restored_pipeline(config, journal, templates, inputs)
        stream.know(pipeline.sensors)
        stack.push_async_callback(_last_snapshot, journal, pipeline)

        wanted = [*templates.filters, *signals_of(config).filters, *(inputs.filters if inputs else [])]
        wanted = wanted or [f"vibration/gateway/{config.gateway.id}/sensors"]  # a centre's: no subscription is without
        broker = broker_side(config, journal, wanted, plugins)
        listener, page_url = open_listener(config, stack)
        report = OwnAlerts(journal, stream).report
        is_first, session = is_first_start(journal), broker.session
        upkeep = Upkeep(
            journal,
            stream,
            config.gateway.state_dir,
            config.retention,
            pipeline.snapshot,
            is_foreign=lambda: is_first and session.is_older,
        )
        health = Health(broker.subscriber, upkeep, lambda: broker.twins.problem)
        for_followers = Ingest(journal, stream, health, broker.publisher)
        consumers = all_followers(config, plugins, for_followers)
        side = IngestSide(
            config=config,
            plugins=plugins,
            journal=journal,
            stream=stream,
            pipeline=pipeline,
            broker=broker,
            to_measure=asyncio.Event(),
            consumers=[each.name for each in consumers],
            waited_for=[each.name for each in consumers if each.wants.waits],
            upkeep=upkeep,
            health=health,
            metrics=metrics,
            report=report,
        )

        await journal.call(journal.begin)
        await report("journal", journal.salvaged, "critical")
        await upkeep.check_disk(report)  # before anything comes in: what is acknowledged must have room
        await clear_gone(journal, report, config.handlers, consumers, [each.subject for each in plugins.decoders])

        tasks = await stack.enter_async_context(Tasks())
        if config.gateway.processes == 1:
            questions = QueryPool(path)
            stack.callback(questions.close)
            await start_followers(config, plugins, for_followers, metrics, questions, listener, tasks)
        start(INGEST, side, tasks)
        begun = (
            _start_process(side, for_followers, listener, log_level, tasks) if config.gateway.processes > 1 else None
        )
        subscriber = await stack.enter_async_context(broker.subscriber)
        work = IngestLoop(
            subscriber,
            journal=journal,
            pipeline=pipeline,
            stream=stream,
            metrics=metrics,
            health=health,
            within=config.journal.commit_within / 1e9,
            stored=side.act_on,
        )
        stack.push_async_callback(work.finish)  # while the broker can still hear of it
        tasks.start("subscriptions", remember_subscriptions(subscriber, journal, broker.filters, broker.obsolete))
        tasks.start("ingest", work.run())
        if begun is not None:
            await tasks.until(begun)
        started(page_url)
        await tasks.failure()


def _start_process(side: IngestSide, ingest: Ingest, listener: Any, log_level: str, tasks: Tasks) -> asyncio.Event:
    """Start the process of what follows the journal; return what is set once it has begun."""
    side.plugins.end_followers()  # theirs are made again in the process where they are used
    job = partial(job_of, side.config, side.journal, ingest, listener, log_level)
    supervisor = Supervisor(job, side.journal, ingest, side.metrics, side.report)
    tasks.start("followers", supervisor.run())
    return supervisor.begun


async def _last_snapshot(journal: Journal, pipeline: Pipeline) -> None:
    """Save the sensors' state, so that the next start need not replay what has come since the last time."""
    with suppress(JournalUnavailableError):  # then it does replay it
        await journal.call(pipeline.snapshot)
