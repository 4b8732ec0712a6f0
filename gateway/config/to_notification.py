"""From the tables of the file to what the planner works with."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from gateway.config.notification import HoursSection, RouteSection, SilenceSection
from gateway.config.sections import Config
from gateway.config.values import system_zone
from gateway.domain.model.timefmt import microseconds
from gateway.domain.notification.flood import Noise
from gateway.domain.notification.oncall import Hours, Rota
from gateway.domain.notification.routing import EscalationStep, Route, RouteTable
from gateway.domain.notification.silences import Silence


def route_table(config: Config) -> RouteTable:
    """Return the routes and the rotas."""
    zone = zone_of(config)
    rotas = [
        Rota(name, rota.timezone or zone, rota.handlers, rota.handover, rota.first)
        for name, rota in config.oncall.items()
    ]
    return RouteTable([_route(section, zone) for section in config.routes], rotas)


def noise_of(config: Config) -> Noise:
    """Return what is too much."""
    section = config.noise
    return Noise(
        flood_count=section.flood_count,
        flood_end=section.flood_end,
        flood_window_ns=section.flood_window,
        flap_count=section.flap_count,
        flap_window_ns=section.flap_window,
        inhibit=section.inhibit,
        stopped_states=frozenset(state.casefold() for state in config.detection.stopped_states),
        notice_ns=section.notice,
    )


def standing_silences(config: Config) -> list[Silence]:
    """Return the silences and maintenance windows of the configuration; their ids are their names."""
    return [_silence(section, zone_of(config)) for section in config.silences]


def zone_of(config: Config) -> ZoneInfo:
    """Return the time zone of a table that names none: the configured one, else the system's."""
    return config.gateway.timezone or system_zone()


def _route(section: RouteSection, zone: ZoneInfo) -> Route:
    return Route(
        section.severity,
        section.handlers,
        name=section.name or "",
        matchers=section.matchers,
        times=_hours(section.times, zone),
        quiet=_hours(section.quiet, zone),
        resolved=section.resolved,
        group_by=section.group_by,
        group_wait_ns=section.group_wait,
        repeat_ns=section.repeat or 0,
        steps=tuple(EscalationStep(step.after, step.handlers) for step in section.escalation),
        fallback=section.fallback or "",
    )


def _silence(section: SilenceSection, zone: ZoneInfo) -> Silence:
    return Silence(
        id=section.name,
        matchers=section.matchers,
        owner=section.owner,
        reason=section.reason,
        starts_ns=0 if section.starts is None else _ns(section.starts, zone),
        ends_ns=None if section.until is None else _ns(section.until, zone),
        severity=section.severity,
        hours=_hours(section.hours, zone),
    )


def _hours(section: HoursSection | None, zone: ZoneInfo) -> Hours | None:
    return None if section is None else Hours(section.timezone or zone, section.days, section.start, section.end)


def _ns(moment: datetime, zone: ZoneInfo) -> int:
    return microseconds(moment if moment.tzinfo else moment.replace(tzinfo=zone)) * 1000
