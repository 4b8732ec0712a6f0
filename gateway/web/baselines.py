"""Baselines over HTTP: what is normal, and, for operators, saying so or having it learned anew."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.web.commands import By
from gateway.web.encoding import as_json
from gateway.web.permission import who
from gateway.web.ports import Actions, Services

State = Annotated[str, Field(max_length=64)]
_ERRORS: dict[int | str, dict[str, Any]] = {401: {}, 403: {}, 404: {}, 409: {}}


class Setting(BaseModel):
    """What is normal, in the sensor's unit and in an operating state (empty where nothing says it), and who says so."""

    model_config = ConfigDict(extra="forbid")

    level: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    state: State = ""
    by: By = None
    reason: Annotated[str, Field(max_length=1000)] = ""


class Relearning(BaseModel):
    """Who wants it learned anew, in one operating state or, left out, in all, and why."""

    model_config = ConfigDict(extra="forbid")

    state: State | None = None
    by: By = None
    reason: Annotated[str, Field(max_length=1000)] = ""


def create_baselines(services: Services) -> APIRouter:
    """Return the routes; those that change something only where something can be changed."""
    router = APIRouter(prefix="/api/v1/baselines")

    @router.get("")
    async def list_baselines(sensor: str | None = None) -> Response:
        """Return the baselines that hold, of one sensor or of all, one for each operating state."""
        found = await services.answers.baselines(sensor)
        return await as_json(lambda: found)

    if services.actions is not None:
        _add_changes(router, services.actions)
    return router


def _add_changes(router: APIRouter, actions: Actions) -> None:
    @router.post("/{sensor_id:path}/set", responses=_ERRORS)
    async def set_baseline(request: Request, sensor_id: str, body: Setting) -> dict[str, Any]:
        """Set what is normal for a sensor."""
        return dict(await actions.set_baseline(sensor_id, body.level, body.state, who(request, body.by), body.reason))

    @router.post("/{sensor_id:path}/relearn", responses=_ERRORS)
    async def relearn(request: Request, sensor_id: str, body: Relearning) -> dict[str, Any]:
        """Have it learned anew what is normal for a sensor; what was learned before stays in the journal."""
        return dict(await actions.relearn(sensor_id, body.state, who(request, body.by), body.reason))
