"""The web application: the live page, the API, and what probes and Prometheus ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.dependencies import models
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway import __version__
from gateway.domain.model.alert_kinds import ALERT_KINDS
from gateway.errors import ConflictError, GatewayError, NotFoundError, RefusedError, TooMuchError
from gateway.web.ack_page import create_ack_page
from gateway.web.alert_page import create_alert_page
from gateway.web.api import create_router
from gateway.web.audited import Audited
from gateway.web.baselines import create_baselines
from gateway.web.commands import create_actions
from gateway.web.encoding import Compressed
from gateway.web.forwarded import Forwarded
from gateway.web.gateways import create_gateways
from gateway.web.inputs import create_inputs
from gateway.web.permission import Permission
from gateway.web.ports import PageSettings, Services
from gateway.web.schema import Readiness
from gateway.web.security import HEADERS, Guard
from gateway.web.signing_in import create_signing_in
from gateway.web.silences import create_silences
from gateway.web.stream import Stream
from gateway.web.turns import Turns

_STATIC = Path(__file__).parent / "static"
_STATUS: dict[type[Exception], int] = {NotFoundError: 404, ConflictError: 409, RefusedError: 422, TooMuchError: 422}


def create_app(services: Services, page: PageSettings, stream: Stream | None = None) -> FastAPI:
    """Return the application. `serve` closes its `state.stream` when it stops; tests may bring a faster one."""
    said = about(page)
    stream = stream or Stream(services.live, said, refused=services.refused)
    permission = Permission(services.token, page.hosts, services.refused, access=services.access)
    app = FastAPI(
        title="Vibration gateway",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(permission)],
    )
    app.state.stream = stream
    app.include_router(create_router(services, stream, permission))
    app.include_router(create_baselines(services))
    app.include_router(create_inputs(services))
    if services.actions is not None:
        actions = create_actions(services.actions)
        app.include_router(actions)
        said["actions"] = _alert_actions(actions)  # the page offers what there is
        app.include_router(create_ack_page(services, services.actions, page))
        app.include_router(create_alert_page(services, services.actions, page))
    app.include_router(create_silences(services))
    if services.fleet is not None:
        app.include_router(create_gateways(services.fleet))
        said["centre"] = True
    app.include_router(create_signing_in(permission))
    _add_probes(app, services)
    _add_files(app)
    app.add_exception_handler(RequestValidationError, _misunderstood)
    app.add_exception_handler(Exception, _failed)
    app.add_exception_handler(GatewayError, _failed)
    app.add_middleware(Compressed)
    app.add_middleware(Audited, audit=services.access.audit)
    app.add_middleware(Guard, hosts=page.hosts)
    app.add_middleware(Turns, refused=services.refused)
    app.add_middleware(Forwarded, access=services.access)  # outermost: the others go by who asks
    return app


def forget_endpoints() -> None:
    """Empty FastAPI's caches: they would keep every endpoint for good, with all that it refers to, at every reload."""
    for cached in vars(models).values():
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()


def about(page: PageSettings) -> dict[str, Any]:
    """Return what a snapshot says of the gateway itself."""
    return {
        "gateway": page.gateway_id,
        "topics": list(page.topics),
        "warningRatio": page.warning_ratio,
        "criticalRatio": page.critical_ratio,
        "kindsOfSensors": [kind for kind, row in ALERT_KINDS.items() if row.is_of_sensor],
    }


def _alert_actions(router: APIRouter) -> list[str]:
    paths = [route.path for route in router.routes if isinstance(route, APIRoute)]
    return sorted(path.rpartition("/")[2] for path in paths if "/alerts/" in path)


def _add_probes(app: FastAPI, services: Services) -> None:
    @app.head("/-/healthy", include_in_schema=False)
    @app.get("/-/healthy")
    async def healthy(response: Response) -> dict[str, bool]:
        """Answer, as long as the event loop turns; of two processes, that of each."""
        is_dead = bool(services.dead())
        response.status_code = 503 if is_dead else 200
        return {"healthy": not is_dead}

    @app.head("/-/ready", include_in_schema=False)
    @app.get("/-/ready", responses={503: {"model": Readiness}})
    async def ready(response: Response) -> Readiness:
        """Say whether the gateway can do its job, and if not, why."""
        reasons = list(services.readiness())
        response.status_code = 503 if reasons else 200
        return Readiness(ready=not reasons, reasons=reasons)

    @app.head("/metrics", include_in_schema=False)
    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(generate_latest(services.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _add_files(app: FastAPI) -> None:
    for path, name in (("/", "index.html"), ("/docs", "docs.html")):
        app.add_api_route(path, _file(name), methods=["GET", "HEAD"], include_in_schema=False)
    app.mount("/static", StaticFiles(directory=_STATIC))


def _file(name: str) -> Any:
    async def send() -> FileResponse:
        return FileResponse(_STATIC / name)

    return send


async def _failed(_request: Request, error: Exception) -> JSONResponse:
    """Answer what went wrong: in words if the gateway raised it on purpose; else it is in the log."""
    if isinstance(error, GatewayError):
        status = _STATUS.get(type(error), 503 if error.retry else 500)
        return JSONResponse({"detail": str(error)}, status_code=status)
    # this answer does not pass the guard: Starlette's outermost layer sends it
    return JSONResponse({"detail": "an error of the gateway's own; see its log"}, status_code=500, headers=HEADERS)


async def _misunderstood(_request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong with a request, without repeating what it held: that may not even be text."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    detail = [{"loc": [str(part) for part in problem["loc"]], "msg": str(problem["msg"])} for problem in problems]
    return JSONResponse({"detail": detail}, status_code=422, headers=HEADERS)
