"""What the gateway offers to a handler that asks for it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gateway.api import Context, Trend
from gateway.config import Config, zone_of
from gateway.domain.detection.limits import Limits
from gateway.domain.engine.commands import CurrentLimits, Writer
from gateway.journal import QueryPool, Reader
from gateway.security import alert_links
from gateway.security.ack_links import VALID_NS, AckLink, sign
from gateway.security.reachable import page_address
from gateway.security.secrets import link_key


def trend_of(rows: Sequence[tuple[int, float, float | None]], limits: Limits | None) -> Trend:
    """Return rows of (time in ns, level, baseline) with the limits that hold now, if any are known."""
    times, levels, baselines = zip(*rows, strict=True) if rows else ((), (), ())
    known = limits is not None and limits.baseline is not None
    warning, critical = (limits.level.warning, limits.level.critical) if limits and known else (None, None)
    return Trend(times, levels, baselines, warning, critical)


def handler_context(config: Config, writer: Writer, questions: QueryPool) -> Context:
    """Return what the gateway offers to its handlers."""
    address, key = page_address(config), link_key(config)

    async def trend(sensor_id: str, since_ns: int, until_ns: int) -> Trend:
        rows = await questions.ask(Reader.trend, sensor_id, since_ns, until_ns)
        return trend_of(rows, await writer.ask(CurrentLimits(sensor_id)))

    def acknowledge_url(alert_id: str, person: str) -> str:
        if not address:  # nobody but this device would find the page
            return ""
        signed = sign(AckLink(alert_id, person, time.time_ns() + VALID_NS), key)
        return f"{address}/ack/{signed}"

    def alert_url(alert_id: str, severity: str, person: str) -> str:
        path = alert_links.sign(alert_id, severity, person, time.time_ns(), key) if address else ""
        return f"{address}{path}" if path else ""

    return Context(zone_of(config), trend, acknowledge_url, alert_url)
