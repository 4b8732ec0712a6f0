"""The page as a part of the gateway: its socket, and what it serves. The web part is imported only if there is one."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from gateway.commands import Commands
from gateway.config import Config, zone_of
from gateway.config.values import local_url
from gateway.consumers.cursor import patiently, watch
from gateway.consumers.live_state import Live
from gateway.domain.alerting.alert import describe
from gateway.journal import FILE_NAME, QueryPool, Reader, Stream
from gateway.queries import Queries
from gateway.security.secrets import http_token, link_key
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.readiness import Condition

_SWITCH = 0.0005
"""Seconds that a thread has the interpreter for. The event loop gives it away with every packet, and would wait for as
long to get it back from the thread that answers questions: 5 ms, as it is by itself, again and again."""

_SENSORS_AT_ONCE = 10_000
"""Sensors whose newest readings are held at once for the page: there may be a hundred thousand."""


def open_listener(config: Config, stack: AsyncExitStack) -> tuple[Any, str | None]:
    """Return a listening socket and the page's address, if there is to be one. Only then is the web part imported."""
    if config.http is None:
        return None, None
    from gateway.web.server import listen  # noqa: PLC0415 - its imports cost 30 MB

    listener = listen(config.http.host, config.http.port)
    stack.callback(listener.close)  # a start that fails later must not keep the port
    if config.http.public_url is not None:
        return listener, str(config.http.public_url)
    return listener, f"{local_url(config.http.host, listener.getsockname()[1])}/"


def _access(config: Config) -> Any:
    from gateway.security.audit import Audit  # noqa: PLC0415 - see open_listener
    from gateway.security.sessions import FILE_NAME as SESSIONS  # noqa: PLC0415 - see open_listener
    from gateway.security.sessions import Sessions  # noqa: PLC0415 - as above
    from gateway.web.permission import Access  # noqa: PLC0415 - as above

    http = config.http
    if http is None:
        return Access()
    return Access(
        users={user.name: user for user in config.users},
        tokens={token.sha256.get_secret_value(): token for token in config.tokens},
        audit=Audit(config.gateway.state_dir),
        sessions=Sessions(config.gateway.state_dir / SESSIONS),
        cookie=f"vibration-gateway-{config.gateway.id}",
        read_open=http.is_read_by_all,
        session_seconds=http.session / 10**9,
        proxies=http.proxies,
        user_header=http.user_header or "",
    )


async def serve_page(  # noqa: PLR0917 - it hands over what it is given
    config: Config,
    listener: Any,
    stream: Stream,
    metrics: Metrics,
    condition: Condition,
    operations: Commands,
    centre: Any = None,
) -> None:
    """Serve the page and the API for ever, with what happened before in them from the start."""
    from gateway.web.app import create_app, forget_endpoints  # noqa: PLC0415 - see open_listener
    from gateway.web.people import people_of  # noqa: PLC0415 - as above
    from gateway.web.ports import PageSettings, Services  # noqa: PLC0415 - as above
    from gateway.web.server import serve  # noqa: PLC0415 - as above

    sys.setswitchinterval(_SWITCH)
    live = Live()
    questions = QueryPool(config.gateway.state_dir / FILE_NAME)
    start = stream.last_seq
    alerts = [describe(alert) for alert in await patiently(partial(stream.read, Reader.alerts, everything=False))]
    sensors = await patiently(partial(stream.read, Reader.sensors))
    live.seed(sensors, alerts)
    for after in range(0, sensors[-1].key if sensors else 0, _SENSORS_AT_ONCE):
        slice_ = partial(Reader.last_readings, after=after, until=after + _SENSORS_AT_ONCE)
        await live.consume(list((await patiently(partial(stream.read, slice_))).values()), [])
    del sensors
    public = config.http.public_url if config.http else None
    answers = Queries(config, questions, operations, lambda: condition.broker_problems)
    token, key = http_token(config), link_key(config)
    services = Services(
        live,
        answers,
        condition.reasons,
        metrics.shown,
        operations,
        token,
        key,
        metrics.count_refused_request,
        _access(config),
        condition.dead,
        centre,
    )
    page = PageSettings(
        gateway_id=config.gateway.id,
        topics=config.mqtt.topics,
        warning_ratio=config.detection.warning_ratio,
        critical_ratio=config.detection.critical_ratio,
        hosts=frozenset({public.host}) if public and public.host else frozenset(),
        timezone=zone_of(config),
        people=people_of(config),
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(watch(live, stream, start), name="live")
            group.create_task(serve(create_app(services, page), listener, services.access.trusts), name="http server")
    finally:
        questions.close()
        forget_endpoints()
