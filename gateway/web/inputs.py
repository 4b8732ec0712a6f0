"""What was heard and not understood, over HTTP: by groups, with the inputs that would read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from gateway.web.ports import Services
from gateway.web.schema import InputState, NotUnderstood, Problem, ProposedInputs

MAX_TEXT = 32 * 1024
"""Characters of a configuration that is tried."""


class WantedInputs(BaseModel):
    """The `[[inputs]]` to try, in TOML."""

    model_config = ConfigDict(extra="forbid")

    inputs: Annotated[str, Field(max_length=MAX_TEXT)]


def create_inputs(services: Services) -> APIRouter:
    """Return the routes. To try inputs takes an administrator: it loads the decoders that they name."""
    router = APIRouter(prefix="/api/v1", responses={code: {"model": Problem} for code in (401, 403, 404, 422, 503)})

    @router.get("/inputs", response_model=list[InputState])
    async def list_inputs() -> Sequence[Mapping[str, Any]]:
        """Return what each of the `[[inputs]]` has done since the gateway was started, in their order."""
        return await services.answers.inputs()

    @router.get("/deadletters/groups", response_model=NotUnderstood)
    async def list_groups() -> Mapping[str, Any]:
        """Return what was heard and not understood, by the kind of topic and the reason."""
        return await services.answers.not_understood()

    @router.get("/deadletters/{seq}/proposal", response_model=ProposedInputs)
    async def propose(seq: int) -> Mapping[str, Any]:
        """Return the `[[inputs]]` that would read the group whose newest dead letters this is among."""
        return await services.answers.proposal(seq)

    if services.actions is not None:
        _add_trial(router, services)
    return router


def _add_trial(router: APIRouter, services: Services) -> None:
    @router.post("/inputs/test")
    async def try_inputs(body: WantedInputs) -> dict[str, Any]:
        """Try `[[inputs]]` on what was heard and not understood; the answer is that of `inputs test -o json`."""
        return dict(await services.answers.tried(body.inputs))
