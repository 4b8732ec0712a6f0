"""The parts of both halves: a row for each, and whether it is wanted."""

from __future__ import annotations

import time

from gateway.app.component import Component, FollowerSide, IngestSide
from gateway.app.gauges import keep_gauges
from gateway.app.over_quota import watch_quotas
from gateway.consumers.notification_planning import NAME as NOTIFIER
from gateway.ingest.subscriptions import remember_broker
from gateway.ingest.ticker import pass_time
from gateway.journal import FILE_NAME
from gateway.journal.maintenance import rollups, sealing
from gateway.journal.queries.resolutions import RESOLUTIONS
from gateway.mqtt.incidents import watch_incidents
from gateway.telemetry.certificates import watch_certificates
from gateway.telemetry.readiness import watch_broker
from gateway.web.component import serve_page


def _always(_side: object) -> bool:
    return True


async def _measure(side: IngestSide) -> None:
    from gateway.ingest.waveforms import measure_waveforms  # noqa: PLC0415 - only where there are inputs

    retention = side.config.retention
    most = min(retention.waveforms, retention.max_size // 2)  # or no reading would have room
    await measure_waveforms(side.journal, side.pipeline, side.stream.announce, side.to_measure, most)


async def _host(side: IngestSide) -> None:
    assert side.broker.edge_nodes is not None  # noqa: S101 - else it is not wanted
    await side.broker.edge_nodes.run()


async def _watch_decoders(side: IngestSide) -> None:
    from gateway.plugins.foreign import watch_decoders  # noqa: PLC0415 - only where there are decoders

    await watch_decoders(side.plugins.decoders, side.report)


async def _beat(side: FollowerSide) -> None:
    from gateway.telemetry.heartbeat import beat  # noqa: PLC0415 - httpx is 3 MB, only for those who have a heartbeat

    assert side.config.heartbeat is not None  # noqa: S101 - else it is not wanted
    await beat(side.config.heartbeat, side.condition.reasons)


async def _report_to_centre(side: FollowerSide) -> None:
    from gateway.fleet.uplink import NAME, Uplink  # noqa: PLC0415 - only for one of a fleet

    runner = side.runners[NAME]
    uplink = runner.follower.consumer
    assert isinstance(uplink, Uplink)  # noqa: S101 - made in followers
    await uplink.run(side.commands, runner.send_back, side.condition.reasons, side.report)


async def _be_centre(side: FollowerSide) -> None:
    assert side.centre is not None  # noqa: S101 - else it is not wanted
    await side.centre.run()


async def _look_after_journal(side: IngestSide) -> None:
    """Keep the journal in bounds; what those who follow it have not had yet is kept for as long as possible."""
    await side.upkeep.run(_waited_for(side), time.time_ns, side.report)


def _waited_for(side: IngestSide) -> list[str]:
    return [NOTIFIER, *(each.table for each in RESOLUTIONS), *side.waited_for]


async def _seal(side: IngestSide) -> None:
    path, age_ns = side.config.gateway.state_dir / FILE_NAME, side.config.retention.seal_after
    await sealing.seal_for_ever(side.journal, path, _waited_for(side), age_ns, time.time_ns)


INGEST: tuple[Component[IngestSide], ...] = (
    Component("publisher", _always, lambda side: side.broker.publisher.run()),
    Component("rollups", _always, lambda side: rollups.follow_journal(side.journal, side.stream)),
    Component("time", _always, lambda s: pass_time(s.journal, s.pipeline, s.stream, s.health)),
    Component("upkeep", _always, _look_after_journal),
    Component("sealing", _always, _seal),
    Component("inspection", _always, lambda side: side.upkeep.inspect(side.report)),
    Component("broker", _always, lambda side: watch_broker(lambda: side.health.broker_problems, side.report)),
    Component("certificates", _always, lambda side: watch_certificates(side.config, side.report)),
    Component("incidents", _always, lambda side: watch_incidents(side.broker.incidents, side.report)),
    Component(
        "broker notes",
        _always,
        lambda s: remember_broker(s.journal, s.broker.name, s.broker.session, s.broker.dropped),
    ),
    Component("decoders", lambda side: bool(side.plugins.decoders), _watch_decoders),
    Component("waveforms", lambda side: bool(side.plugins.inputs), _measure),
    Component("sparkplug host", lambda side: side.broker.edge_nodes is not None, _host),
    Component("gauges", _always, keep_gauges),
    Component("quotas", _always, watch_quotas),
)

FOLLOWERS: tuple[Component[FollowerSide], ...] = (
    Component("notifier", _always, lambda side: side.notifier.plan(side.stream)),
    Component(
        "http",
        lambda side: side.listener is not None,
        lambda s: serve_page(s.config, s.listener, s.stream, s.metrics, s.condition, s.commands, s.centre),
    ),
    Component("fleet", lambda side: side.config.fleet is not None, _report_to_centre),
    Component("centre", lambda side: side.centre is not None, _be_centre),
    Component("heartbeat", lambda side: side.config.heartbeat is not None, _beat),
)
