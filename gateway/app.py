"""The only wiring: builds everything, starts it, and stops it in reverse."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import structlog
from msgspec import Struct

from gateway.answers import Answers
from gateway.config import (
    Config,
    InfluxSection,
    OtelSection,
    expected_sensors,
    noise_of,
    route_table,
    rules_for,
    standing_silences,
    zone_of,
)
from gateway.config.values import local_url
from gateway.consumers.announcer import Announcer
from gateway.consumers.dispatch import NAME as NOTIFIER
from gateway.consumers.following import Foreign, follow, patiently, watch
from gateway.consumers.live import Live
from gateway.consumers.notifier import Notifier, handler_subject
from gateway.domain.alerts import describe
from gateway.domain.batch import Batch, DeadLetter
from gateway.domain.events import SEVERITIES, Rejected, Severity
from gateway.domain.recent import LOOK_BACK
from gateway.domain.signals import Signals, state_topics, status_topics
from gateway.domain.topics import TopicTemplates
from gateway.domain.watch import Reception
from gateway.errors import JournalUnavailableError
from gateway.handlers import attach
from gateway.ingest import Health, ingest, watch_broker
from gateway.journal import (
    FILE_NAME,
    Journal,
    Outbox,
    Questions,
    Reader,
    StateLock,
    Stream,
    Upkeep,
    rollups,
    traceparent_behind,
)
from gateway.mqtt.publisher import Publisher
from gateway.mqtt.subscriber import Subscriber, make_subscriber
from gateway.operations import Operations, handler_context, http_token, link_key
from gateway.pipeline import Pipeline
from gateway.plugins import Plugins, build_plugins
from gateway.tasks import Tasks
from gateway.web.metrics import Metrics

log = structlog.get_logger(__name__)

ANNOUNCER = "announcer"
OTEL = "otel"
SUBSCRIPTIONS = "subscriptions"
_SENSORS_AT_ONCE = 10_000
"""Sensors whose newest readings are held at once for the page: there may be a hundred thousand."""
_GAUGES_EVERY = 2.0
_POINTS_EVERY = 0.2
"""Seconds. A request for each commit would be hundreds a second."""
_OWN_METRICS_EVERY = 10.0
_PASS_TIME_EVERY = 1.0
_FROZEN_NS = 5 * 10**9
"""A round that is so late was held up, and what the sensors sent meanwhile is still on its way."""
_TRY_AGAIN = 1.0


async def run(  # noqa: PLR0915 - the one wiring, readable from top to bottom
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
        filters = [*templates.filters, *signals_of(config).filters]
        pipeline = restored_pipeline(config, journal, templates)
        stream.know(pipeline.sensors)
        stack.push_async_callback(_last_snapshot, journal, pipeline)

        client_id = config.mqtt.client_id or f"vibration-gateway-{config.gateway.id}"
        subscribed_once = json.loads(journal.note(SUBSCRIPTIONS) or "[]")
        obsolete = sorted(set(subscribed_once) - set(filters))
        subscriber = make_subscriber(config.mqtt, client_id, filters, obsolete)
        followers = [each.table for each in rollups.RESOLUTIONS]
        followers += [*(["influx"] if config.influxdb else []), *(f"consumer.{name}" for name in plugins.consumers)]
        upkeep = Upkeep(journal, stream, config.gateway.state_dir, config.retention, pipeline.snapshot)
        health = Health(subscriber, upkeep)
        publisher = Publisher(config.mqtt, f"{client_id}-out", f"vibration/gateway/{config.gateway.id}/status")
        listener, page_url = _listen(config, stack)

        async def report(subject: str, problem: str | None, severity: Severity = "warning") -> None:
            """Raise or clear an alert about a part of the gateway itself."""
            condition = Condition(subject, severity if problem else None, problem or "well again")
            await _report(journal, pipeline, stream, condition)

        announcer = Announcer(publisher.publish, lambda fact: stream.read(traceparent_behind, fact))
        outbox = Outbox(journal, stream)
        operations = Operations(journal, pipeline, stream)
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

        questions = Questions(path)
        stack.callback(questions.close)
        context = handler_context(config, journal, pipeline, questions)
        tasks = await stack.enter_async_context(Tasks())
        tasks.start("notifier", notifier.plan(stream))
        for name, handler in plugins.handlers.items():
            attach(handler, context)
            table = config.handlers[name]
            tasks.start(f"handler {name}", notifier.deliver(name, handler, table.timeout, table.rate))
        tasks.start("publisher", publisher.run())
        tasks.start("announcer", follow(ANNOUNCER, announcer, stream, readings=False))
        if config.influxdb is not None:
            tasks.start("influx", _follow_influx(config, config.influxdb, journal, stream, metrics, report))
        if config.otel is not None:
            tasks.start("otel", _export_traces(config.otel, config.gateway.id, stream))
        for name, consumer in plugins.consumers.items():
            tasks.start(f"consumer {name}", follow(f"consumer.{name}", Foreign(consumer), stream))
        if listener is not None:
            tasks.start("http", _serve(config, listener, stream, metrics, health, operations))
        tasks.start("rollups", rollups.follow_journal(journal, stream))
        tasks.start("time", _pass_time(journal, pipeline, stream, health))
        tasks.start("upkeep", upkeep.run([NOTIFIER, ANNOUNCER, *followers], time.time_ns, report))
        tasks.start("inspection", upkeep.inspect(report))
        tasks.start("broker", watch_broker(lambda: health.broker_problems, report))
        if config.heartbeat is not None:
            from gateway.heartbeat import beat  # noqa: PLC0415 - httpx is 3 MB, only for those who have a heartbeat

            tasks.start("heartbeat", beat(config.heartbeat, health.reasons))
        tasks.start("gauges", _gauges(config, stream, metrics, subscriber))
        await stack.enter_async_context(subscriber)
        tasks.start("subscriptions", remember_subscriptions(subscriber, journal, filters, obsolete))
        tasks.start(
            "ingest",
            ingest(subscriber, journal=journal, pipeline=pipeline, stream=stream, metrics=metrics, health=health),
        )
        started(page_url)
        await tasks.failure()


async def _last_snapshot(journal: Journal, pipeline: Pipeline) -> None:
    """Save the sensors' state, so that the next start need not replay what has come since the last time."""
    with suppress(JournalUnavailableError):  # then it does replay it
        await journal.call(pipeline.snapshot)


async def remember_subscriptions(
    subscriber: Subscriber, journal: Journal, filters: list[str], obsolete: list[str]
) -> None:
    """Note what the broker's session has, so that what leaves the configuration can be removed from it."""
    await _note_subscriptions(journal, [*filters, *obsolete])
    await subscriber.subscribed.wait()
    await _note_subscriptions(journal, filters)
    await asyncio.Event().wait()


async def _note_subscriptions(journal: Journal, filters: list[str]) -> None:
    """Write them down; while the journal cannot be written, which is said where batches are, try again."""
    while True:
        try:
            return await journal.call(journal.write_note, SUBSCRIPTIONS, json.dumps(filters))
        except JournalUnavailableError as error:
            log.debug("the subscriptions cannot be noted; trying again", error=str(error))
            await asyncio.sleep(_TRY_AGAIN)


class Condition(Struct, frozen=True):
    """How a part of the gateway is; without a severity it is well."""

    subject: str
    severity: Severity | None
    reason: str


async def _report(journal: Journal, pipeline: Pipeline, stream: Stream, condition: Condition) -> None:
    try:
        await journal.call(pipeline.report, condition.subject, condition.severity, condition.reason, time.time_ns())
    except JournalUnavailableError as error:
        log.warning(
            "what is wrong with the gateway itself could not be recorded", about=condition.subject, error=str(error)
        )
    stream.announce()


def signals_of(config: Config) -> Signals:
    """Return the topics on which machines and sensors say how they are: configured, else beside the readings'."""
    mqtt = config.mqtt
    states = state_topics(mqtt.topics) if mqtt.state_topic is None else [mqtt.state_topic]
    statuses = status_topics(mqtt.topics) if mqtt.status_topic is None else [mqtt.status_topic]
    return Signals([topic for topic in states if topic], [topic for topic in statuses if topic])


def restored_pipeline(config: Config, journal: Journal, templates: TopicTemplates) -> Pipeline:
    """Return a pipeline that takes up where the journal ends."""
    pipeline = Pipeline(
        journal,
        templates,
        lambda sensor: rules_for(config, sensor.id, sensor.tags),
        config.detection.clock_tolerance,
        config.detection.lateness,
        expected=expected_sensors(config),
        signals=signals_of(config),
        longest_shelving_ns=config.alerts.max_shelving,
    )
    start = time.perf_counter()
    saved = journal.saved(LOOK_BACK)
    replayed = pipeline.restore(saved)
    seconds = round(time.perf_counter() - start, 3)
    log.info("state restored from the journal", sensors=len(saved.sensors), readings_replayed=replayed, seconds=seconds)
    return pipeline


def _listen(config: Config, stack: AsyncExitStack) -> tuple[Any, str | None]:
    """Return a listening socket and the page's address, if there is to be one. Only then is the web part imported."""
    if config.http is None:
        return None, None
    from gateway.web.server import listen  # noqa: PLC0415 - its imports cost 30 MB

    listener = listen(config.http.host, config.http.port)
    stack.callback(listener.close)  # a start that fails later must not keep the port
    if config.http.public_url is not None:
        return listener, str(config.http.public_url)
    return listener, f"{local_url(config.http.host, listener.getsockname()[1])}/"


async def _serve(  # noqa: PLR0917 - it hands over what it is given
    config: Config, listener: Any, stream: Stream, metrics: Metrics, health: Health, operations: Operations
) -> None:
    from gateway.web.app import create_app, forget_endpoints  # noqa: PLC0415 - see _listen
    from gateway.web.ports import PageSettings, Services  # noqa: PLC0415 - as above
    from gateway.web.server import serve  # noqa: PLC0415 - as above

    live = Live()
    questions = Questions(config.gateway.state_dir / FILE_NAME)
    start = stream.last_seq
    alerts = [describe(alert) for alert in await patiently(partial(stream.read, Reader.alerts, everything=False))]
    sensors = await patiently(partial(stream.read, Reader.sensors))
    live.seed(sensors, alerts)
    for after in range(0, sensors[-1].key if sensors else 0, _SENSORS_AT_ONCE):
        slice_ = partial(Reader.last_readings, after=after, until=after + _SENSORS_AT_ONCE)
        await live.consume(list((await patiently(partial(stream.read, slice_))).values()), [])
    del sensors
    public = config.http.public_url if config.http else None
    answers = Answers(config, questions, operations, lambda: health.broker_problems)
    token, key = http_token(config), link_key(config)
    services = Services(live, answers, health.reasons, metrics.registry, operations, token, key)
    page = PageSettings(
        gateway_id=config.gateway.id,
        topics=config.mqtt.topics,
        warning_ratio=config.detection.warning_ratio,
        critical_ratio=config.detection.critical_ratio,
        hosts=frozenset({public.host}) if public and public.host else frozenset(),
        timezone=zone_of(config),
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(watch(live, stream, start), name="live")
            group.create_task(serve(create_app(services, page), listener), name="http server")
    finally:
        questions.close()
        forget_endpoints()


async def _follow_influx(  # noqa: PLR0917 - it hands over what it is given
    config: Config,
    section: InfluxSection,
    journal: Journal,
    stream: Stream,
    metrics: Metrics,
    report: Callable[[str, str | None], Awaitable[None]],
) -> None:
    from gateway.consumers.influx import InfluxWriter, to_gateway_line  # noqa: PLC0415 - only where there is an InfluxDB

    async def quarantine(line: bytes, reason: str) -> None:
        await journal.call(_quarantine, journal, line, reason)

    writer = InfluxWriter(
        section, quarantine, metrics.influx_points_written.inc, lambda problem: report("influxdb", problem)
    )

    async def put_own_metrics() -> None:
        while True:
            now_ns, values = time.time_ns(), metrics.values()
            await writer.put([to_gateway_line(config.gateway.id, *each, now_ns) for each in values])
            await asyncio.sleep(_OWN_METRICS_EVERY)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(follow("influx", writer, stream, every=_POINTS_EVERY), name="influx")
            group.create_task(put_own_metrics(), name="own metrics to influx")
    finally:
        writer.close()


async def _export_traces(section: OtelSection, gateway_id: str, stream: Stream) -> None:
    """Export what happens from the first start with it on. Retention does not wait for it."""
    from gateway.consumers.otel import Exporter, Lookups  # noqa: PLC0415 - an extra

    if OTEL not in await patiently(partial(stream.read, Reader.cursors)):  # at 0 every start would be the first
        await patiently(partial(stream.move_cursor, OTEL, stream.last_seq))
    lookups = Lookups(
        lambda fact: stream.read(Reader.reading_behind, fact), lambda id_: stream.read(Reader.entries_with_id, id_)
    )
    async with Exporter(section, gateway_id, lookups) as exporter:
        await follow(OTEL, exporter, stream, readings=False)


def _quarantine(journal: Journal, line: bytes, reason: str) -> None:
    """Write a point that InfluxDB refused as a dead letter, once."""
    digest = blake2b(line, digest_size=16).digest()
    if journal.has_dead_letter(digest, 0):
        return
    batch = Batch(next_seq=journal.next_seq)
    rejected = Rejected("influxdb_refused", reason, line)
    batch.dead_letters.append(DeadLetter(batch.take_seq(), time.time_ns(), "influxdb", 0, digest, rejected))
    journal.write(batch)


def _gone(journal: Journal, config: Config) -> list[str]:
    """Return what there are open alerts about and what is not in the configuration any more."""
    subjects = {alert.sensor_id for alert in journal.open_alerts() if alert.kind == "gateway"}
    there = {handler_subject(name) for name in config.handlers} | ({"influxdb"} if config.influxdb else set())
    return sorted(name for name in subjects - there if name == "influxdb" or name.startswith(handler_subject("")))


async def _pass_time(journal: Journal, pipeline: Pipeline, stream: Stream, health: Health) -> None:
    """Let follow what follows from time alone. Nobody is silent while we are the ones who cannot hear."""
    since_ns: int | None = None
    last_ns = time.monotonic_ns()
    while True:
        await asyncio.sleep(_PASS_TIME_EVERY)
        now_ns = time.monotonic_ns()
        if now_ns - last_ns > _FROZEN_NS:  # a stopped process, a paused container, a closed lid
            since_ns = None
        last_ns = now_ns
        since_ns = None if health.reasons() else since_ns or now_ns
        with suppress(JournalUnavailableError):  # said where batches are written; it is tried again
            await journal.call(pipeline.pass_time, time.time_ns(), Reception(now_ns, since_ns))
        stream.announce()


async def _gauges(config: Config, stream: Stream, metrics: Metrics, subscriber: Subscriber) -> None:
    """Bring the gauges up to date from time to time."""
    path = config.gateway.state_dir / FILE_NAME
    files = [path, Path(f"{path}-wal")]
    while True:
        metrics.broker_connected.set(not subscriber.problems)
        metrics.journal_bytes.set(sum(file.stat().st_size for file in files if file.exists()))
        with suppress(JournalUnavailableError):  # said where it is read
            await _count_in_journal(config, stream, metrics)
        await asyncio.sleep(_GAUGES_EVERY)


async def _count_in_journal(config: Config, stream: Stream, metrics: Metrics) -> None:
    open_alerts = await stream.read(Reader.count_open_alerts)
    for severity in SEVERITIES:
        metrics.alerts_open.labels(severity).set(open_alerts.get(severity, 0))
    if config.influxdb is not None:
        metrics.influx_lag_readings.set(stream.last_seq - await stream.cursor("influx"))
    if config.otel is not None:
        metrics.otel_lag_entries.set(stream.last_seq - await stream.cursor(OTEL))
