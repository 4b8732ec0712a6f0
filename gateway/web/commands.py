"""What changes something over HTTP. `web.rights` says who may."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from gateway.config.values import Duration
from gateway.domain.engine.purging import Selection
from gateway.web.permission import who
from gateway.web.ports import Actions
from gateway.web.schema import Problem

Person = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]

By = Annotated[Person | None, Field(description="who; only the gateway's own token may say so, others are known")]

NAMED = 1000
"""Sensors that an answer names."""


class Acknowledgement(BaseModel):
    """Who acknowledges, and why."""

    model_config = ConfigDict(extra="forbid")

    by: By = None
    reason: Annotated[str, Field(max_length=1000)] = ""


class ShelvingRequest(BaseModel):
    """Who shelves, for how long, and why."""

    model_config = ConfigDict(extra="forbid")

    by: By = None
    duration: Annotated[Duration, Field(alias="for", description="30m, 2h, 3d", examples=["8h"])]
    reason: Annotated[str, Field(min_length=1, max_length=1000)]


class Numbers(BaseModel):
    """Which dead letters; all, if there are none."""

    model_config = ConfigDict(extra="forbid")

    numbers: list[int] = []


class Place(BaseModel):
    """The sequence number after which everything is handed over again."""

    model_config = ConfigDict(extra="forbid")

    after: Annotated[int, Field(ge=0, lt=2**63)]


class PurgeRequest(BaseModel):
    """Which sensors to remove: those of which all of this is true. Who wants it, and why."""

    model_config = ConfigDict(extra="forbid")

    by: By = None
    reason: Annotated[str, Field(max_length=1000)] = ""
    ids: list[str] = []
    pattern: Annotated[str | None, Field(description="of their ids; a * stands for anything")] = None
    not_heard_for: Annotated[Duration | None, Field(alias="notHeardFor", description="30m, 2h, 3d")] = None
    unlearned: Annotated[bool, Field(description="those of which nothing has been learned")] = False
    machine_states: Annotated[
        bool, Field(alias="machineStates", description="what machines without a sensor have said, too")
    ] = False
    dry_run: Annotated[bool, Field(alias="dryRun", description="only say which")] = False

    def selection(self, now_ns: int) -> Selection:
        """Return what is asked of a sensor."""
        before_ns = None if self.not_heard_for is None else now_ns - self.not_heard_for
        return Selection(self.ids, self.pattern, before_ns, self.unlearned)


def create_actions(actions: Actions) -> APIRouter:
    """Return the routes that change something."""
    problems: dict[int | str, dict[str, Any]] = {
        code: {"model": Problem} for code in (400, 401, 403, 404, 409, 422, 429, 503)
    }
    router = APIRouter(prefix="/api/v1", responses=problems)

    @router.post("/alerts/{alert_id}/ack")
    async def acknowledge(request: Request, alert_id: str, body: Acknowledgement) -> dict[str, Any]:
        """Acknowledge an open alert; the first one wins."""
        return dict(await actions.acknowledge(alert_id, who(request, body.by), body.reason))

    @router.post("/alerts/{alert_id}/shelve")
    async def shelve(request: Request, alert_id: str, body: ShelvingRequest) -> dict[str, Any]:
        """Shelve an open alert: nobody is told of it for a while, unless it becomes worse."""
        return dict(await actions.shelve(alert_id, body.duration, who(request, body.by), body.reason))

    @router.post("/alerts/{alert_id}/unshelve")
    async def unshelve(request: Request, alert_id: str, body: Acknowledgement) -> dict[str, Any]:
        """Take an alert off the shelf before its time."""
        return dict(await actions.unshelve(alert_id, who(request, body.by), body.reason))

    @router.post("/sensors/{sensor_id:path}/forget")
    async def forget(request: Request, sensor_id: str, body: Acknowledgement) -> dict[str, Any]:
        """Let nobody wait for a sensor any more: its alerts end. It counts again with its next reading."""
        return dict(await actions.forget(sensor_id, who(request, body.by), body.reason))

    @router.post("/sensors/purge")
    async def purge(request: Request, body: PurgeRequest) -> dict[str, Any]:
        """Remove sensors, with all their readings: invented ones, or ones long gone. It cannot be undone."""
        wanted = body.selection(time.time_ns())
        if body.dry_run:
            names = await actions.selected(wanted)
            return {"sensors": len(names), "ids": names[:NAMED]}
        return dict(await actions.purge(wanted, who(request, body.by), body.reason, machine_states=body.machine_states))

    @router.post("/deadletters/replay")
    async def replay(body: Numbers) -> dict[str, Any]:
        """Take dead letters through the gateway again; those that can be used now are dead letters no longer."""
        return dict(await actions.replay(body.numbers))

    @router.post("/consumers/{consumer}/backfill")
    async def backfill(consumer: str, body: Place) -> dict[str, Any]:
        """Hand a consumer everything after a sequence number of the journal again."""
        return dict(await actions.backfill(consumer, body.after))

    return router
