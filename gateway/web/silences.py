"""Silences over HTTP: adding and ending one needs an operator."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

from gateway.domain.model.events import Severity
from gateway.domain.notification.matching import DIMENSIONS
from gateway.web.commands import By
from gateway.web.permission import who
from gateway.web.ports import Actions, Services

Text = Annotated[str, Field(min_length=1, max_length=128)]
Texts = Annotated[tuple[Text, ...], Field(max_length=1000)]
MOST_TAGS = 20


if TYPE_CHECKING:
    _Dimensions = BaseModel
else:
    _Dimensions = create_model(
        "_Dimensions",
        **{each.names: (tuple[Literal[each.choices], ...] if each.choices else Texts, ()) for each in DIMENSIONS},
    )


class NewSilence(_Dimensions):
    """For what nobody is told, until when, who wants it and why. At least one list must name something.

    `tags` are further placeholders of the topics, each with its list.
    """

    model_config = ConfigDict(extra="forbid")

    by: By = None
    reason: Annotated[str, Field(min_length=1, max_length=1000)]
    until: AwareDatetime
    starts: AwareDatetime | None = None
    severity: Severity = "critical"
    tags: Annotated[dict[Text, Texts], Field(max_length=MOST_TAGS, default_factory=dict)]


class Ending(BaseModel):
    """Who ends a silence."""

    model_config = ConfigDict(extra="forbid")

    by: By = None


def create_silences(services: Services) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/silences")
    async def list_silences(
        *, every: Annotated[bool, Query(alias="all", description="those that are over, too")] = False
    ) -> Any:
        """Return the silences that hold or will, those of the configuration too."""
        return await services.answers.silences(every)

    if services.actions is not None:
        _add_changes(router, services.actions)
    return router


def _add_changes(router: APIRouter, actions: Actions) -> None:
    @router.post("/silences", responses={401: {}, 403: {}, 422: {}})
    async def add(request: Request, body: NewSilence) -> dict[str, Any]:
        """Tell nobody of what matches until a time; what is still active then is told then."""
        wanted = body.model_dump(exclude={"by", "reason"}, exclude_none=True)
        texts = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in wanted.items()}
        try:
            return dict(await actions.add_silence(texts, who(request, body.by), body.reason))
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    @router.post(
        "/silences/{silence_id}/expire",
        responses={401: {}, 403: {}, 404: {}, 409: {}},
    )
    async def expire(request: Request, silence_id: str, body: Ending) -> dict[str, Any]:
        """End a silence now."""
        return dict(await actions.expire_silence(silence_id, who(request, body.by)))
