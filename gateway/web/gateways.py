"""The centre's page and API: all gateways, all their open alerts, and what is ordered of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from gateway.config.values import Duration
from gateway.fleet.wire import Order
from gateway.web.commands import By
from gateway.web.permission import shown, who
from gateway.web.ports import FleetCentre

_PAGE = Path(__file__).parent / "static" / "fleet.html"
_Do = Literal["acknowledge", "shelve", "unshelve"]
_ORDERS: dict[str, _Do] = {"ack": "acknowledge", "shelve": "shelve", "unshelve": "unshelve"}


class OrderRequest(BaseModel):
    """Who wants it and why; to shelve, for how long too."""

    model_config = ConfigDict(extra="forbid")

    by: By = None
    reason: Annotated[str, Field(max_length=1000)] = ""
    duration: Annotated[Duration | None, Field(alias="for", description="30m, 2h, 3d; to shelve")] = None


class Forgetting(BaseModel):
    """Who forgets a gateway."""

    model_config = ConfigDict(extra="forbid")

    by: By = None


def create_gateways(fleet: FleetCentre) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get("/fleet", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(_PAGE)

    @router.get("/api/v1/fleet")
    async def seen(request: Request) -> dict[str, Any]:
        """Return all gateways, and the open alerts of all, the worst first, with what was asked of each."""
        return dict(shown(request, await fleet.seen()))

    @router.post("/api/v1/fleet/{gateway}/alerts/{alert_id}/{do}", status_code=202, responses={404: {}, 409: {}})
    async def order(
        request: Request, gateway: str, alert_id: str, do: Literal["ack", "shelve", "unshelve"], body: OrderRequest
    ) -> dict[str, Any]:
        """Ask a gateway to acknowledge, shelve or unshelve an alert. It decides; `asked` of the alert says what came.

        The order is bound to the severity that the centre shows, and counts for a day.
        """
        if (do == "shelve") != (body.duration is not None):
            raise HTTPException(422, "to shelve takes for how long (`for`), and nothing else does")
        if do == "shelve" and not body.reason:
            raise HTTPException(422, "to shelve takes a reason")
        by = who(request, body.by)
        wish = Order(_ORDERS[do], by=by, reason=body.reason, for_ns=body.duration or 0)
        made = await fleet.ask(gateway, alert_id, wish)
        return {"order": made.id, "gateway": gateway, "alert": made.alert, "do": made.do, "by": by}

    @router.post("/api/v1/fleet/{gateway}/forget", responses={404: {}, 409: {}})
    async def forget(request: Request, gateway: str, body: Forgetting) -> dict[str, Any]:
        """Forget a gateway that is no more, with what is known of it."""
        by = who(request, body.by)
        await fleet.forget(gateway, by)
        return {"gateway": gateway, "by": by}

    return router
