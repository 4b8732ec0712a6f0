"""The HTTP API under /api/v1: reads only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from gateway.domain.model.naming import ambiguous
from gateway.domain.model.quantities import QUANTITIES
from gateway.web.encoding import GZIP, as_json
from gateway.web.fleet import LONGEST_LIST, Fleet
from gateway.web.permission import Permission, shown
from gateway.web.ports import Services
from gateway.web.schema import (
    Alert,
    AlertWithPast,
    Condition,
    History,
    Problem,
    Quantity,
    Reading,
    Sensor,
    SensorWithStanding,
    Trace,
)
from gateway.web.stream import Stream, StreamResponse, Watcher
from gateway.web.time_params import LAST_NS, Moment

Since = Annotated[Moment, Query(description="from this time on: RFC 3339, or how long ago (30s, 15m, 2h, 7d)")]
Until = Annotated[Moment, Query(description="before this time")]
From = Annotated[Moment | None, Query(alias="from", description="from this time on; an hour ago if left out")]
To = Annotated[Moment | None, Query(description="before this time; now if left out")]
Points = Annotated[int, Query(ge=1, le=5_000, description="about so many values; fewer where there is less")]
Limit = Annotated[int, Query(ge=1, le=LONGEST_LIST)]


_HOUR_NS = 3600 * 10**9


def create_router(services: Services, stream: Stream, permission: Permission) -> APIRouter:
    """Return the routes, answered from `services` and `stream`."""
    router = APIRouter(prefix="/api/v1", responses={code: {"model": Problem} for code in (404, 422, 503)})
    _add_sensors(router, services)
    _add_alerts(router, services)
    _add_events(router, services)

    @router.get("/quantities")
    async def list_quantities() -> list[Quantity]:
        """Return what can be measured beside the level, in the order in which it is shown."""
        return [Quantity.model_validate(quantity) for quantity in QUANTITIES]

    @router.get("/gateway", response_model=Condition)
    async def show_condition(request: Request) -> Mapping[str, Any]:
        """Return how the gateway itself is: broker, consumers, handlers, dead letters, disk."""
        return dict(shown(request, {**await services.answers.condition(), "reasons": services.readiness()}))

    @router.get("/stream", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
    async def follow(request: Request) -> StreamResponse:
        """Stream a `snapshot` event, then `update` events with the sensors and alerts that changed (SSE).

        It ends when who asked has signed out, or when the token that he came with has ended.
        """
        identity = request.state.identity
        return StreamResponse(stream, Watcher(identity is not None, lambda: permission.still(request, identity)))

    return router


def _add_sensors(router: APIRouter, services: Services) -> None:
    def known(sensor_id: str) -> dict[str, Any]:
        names = services.live.answering(sensor_id)
        if len(names) > 1:
            raise ambiguous(sensor_id, names)
        sensor = services.live.sensor(names[0]) if names else None
        if sensor is None:
            raise HTTPException(404, f"no reading of a sensor {sensor_id!r} has ever come in")
        return sensor

    fleet = Fleet(services.live)

    @router.get("/sensors", responses={200: {"model": list[Sensor]}}, response_class=Response)
    async def list_sensors(request: Request, limit: Limit = 1000) -> Response:
        """Return the sensors as they are now, the worst first; a list of many may be a second old."""
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        body = await fleet.worst(limit, zipped=zipped)
        headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"} if body.startswith(GZIP) else {}
        return Response(body, media_type="application/json", headers=headers)

    @router.get(
        "/sensors/{sensor_id:path}/readings", responses={200: {"model": list[Reading]}}, response_class=Response
    )
    async def list_readings(sensor_id: str, since: Since = 0, until: Until = LAST_NS, limit: Limit = 1000) -> Response:
        """Return the newest `limit` readings of a sensor in a span of time, the oldest first."""
        name = known(sensor_id)["id"]
        if since >= until:
            raise HTTPException(422, "since must be before until")
        found = await services.answers.history(name, since, until, limit)
        return await as_json(lambda: [Reading.of(reading).model_dump(by_alias=True) for reading in found])

    @router.get("/sensors/{sensor_id:path}/history", responses={200: {"model": History}}, response_class=Response)
    async def show_history(sensor_id: str, from_: From = None, to: To = None, points: Points = 500) -> Response:
        """Return the level of a sensor over a span of time, however long, in about so many points."""
        sensor = known(sensor_id)
        now_ns = time.time_ns()
        window = now_ns - _HOUR_NS if from_ is None else from_, now_ns if to is None else to
        if window[0] >= window[1]:
            raise HTTPException(422, "from must be before to")
        found = await services.answers.levels(sensor["id"], window, points)
        return await as_json(lambda: {"unit": sensor["unit"], **found})

    @router.get("/sensors/{sensor_id:path}", response_model=SensorWithStanding)
    async def show_sensor(sensor_id: str) -> dict[str, Any]:
        """Return one sensor as it is now, what of it was not judged, and how its machine was said to run."""
        sensor = known(sensor_id)
        return {**sensor, **await services.answers.standing(sensor["id"])}


def _add_alerts(router: APIRouter, services: Services) -> None:
    @router.get("/alerts", responses={200: {"model": list[Alert]}}, response_class=Response)
    async def list_alerts(
        request: Request,
        *,
        every: Annotated[bool, Query(alias="all", description="the closed ones too")] = False,
        limit: Limit = 1000,
        after: Annotated[str | None, Query(description="with all: those that follow the alert with this id")] = None,
    ) -> Response:
        """Return the `limit` worst open alerts, oldest first, or the newest of all, newest first."""
        found = await services.answers.list_alerts(every, limit, after)
        return await as_json(lambda: shown(request, found))

    @router.get("/alerts/{alert_id}", response_model=AlertWithPast)
    async def show_alert(request: Request, alert_id: str) -> Mapping[str, Any]:
        """Return one alert, open or closed, with its changes and every message about it."""
        alert = await services.answers.find_alert(alert_id)
        if alert is None:
            raise HTTPException(404, f"there is no alert {alert_id!r}")
        return dict(shown(request, alert))


def _add_events(router: APIRouter, services: Services) -> None:
    @router.get("/events/{event_id:path}/trace", response_model=Trace)
    async def show_trace(request: Request, event_id: str) -> Mapping[str, Any]:
        """Return the whole life of one event: published, received, stored, evaluated, told, written."""
        found = await services.answers.trace(event_id)
        if found is None:
            raise HTTPException(404, f"the journal knows no event {event_id!r}")
        return dict(shown(request, found))
